"""The configuration in force, as the API shows it: each key with its value, where it comes from, and what waits."""

from appliance.assemble.reload import RESTART
from appliance.config import Loaded
from appliance.http.running import Configuration, SettingShown


def show_settings(started: Loaded, loaded: Loaded, fault: str) -> Configuration:
    """Return what is in force: `loaded`, but what only a restart changes as it was `started`.

    `fault` says why the newest file is not in force, "" where it is.
    """
    before = {one.key: one for one in started.settings}
    shown = []
    for one in loaded.settings:
        needs_restart = one.key.startswith(RESTART)
        effective = before.get(one.key) if needs_restart else one
        waits = needs_restart and (effective is None or effective.value != one.value)
        shown.append(
            SettingShown(
                key=one.key,
                value="" if effective is None else effective.value,
                source=one.origin.kind,
                where=one.origin.where,
                needs_restart=needs_restart,
                waiting=one.value if waits else None,
            )
        )
    return Configuration(shown, fault)
