"""`scr upgrade-check`: what this program would do to a data folder at its start, tried on a copy."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance import __version__
from appliance.cli import settings
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.sizes import size_text
from appliance.errors import ConfigInvalid
from appliance.services.upgrade import Upgrade, look, rehearse

EXAMPLES = ("scr upgrade-check --config /etc/scr/scr.toml", "scr upgrade-check --data-dir /var/lib/scr --json")


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="read FILE (else ./scr.toml, if there is one)")
    parser.add_argument("--data-dir", metavar="DIR", help="the data folder; a server may run on it")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.set_defaults(listen=None)


def run(options: argparse.Namespace) -> int:
    """Look at the folder and try the upgrade on a copy; 1 where it would fail. Raises ConfigInvalid for newer data."""
    folder = settings.load_from(options).config.storage.data_dir
    if not folder.is_dir():
        raise ConfigInvalid(f"{folder} is no data folder; name it with --data-dir, or its scr.toml with --config")
    with _as_owner(folder):
        plan = _look(folder)
    if options.json:
        show_json(plan)
    else:
        _tell(plan, folder)
    return 1 if plan.fault else 0


def _look(folder: Path) -> Upgrade:
    disk = os.statvfs(folder)
    database, cache = folder / "scr.sqlite", folder / "cache"
    plan = look(database, disk.f_bavail * disk.f_frsize)
    if not plan.missing or not plan.found:
        return plan
    cache.mkdir(mode=0o700, exist_ok=True)
    return rehearse(database, cache, plan)


@contextmanager
def _as_owner(folder: Path) -> Iterator[None]:
    """Be the folder's owner where we are root: what SQLite writes beside the database must be the server's."""
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _tell(plan: Upgrade, folder: Path) -> None:
    if not plan.found:
        show(f"{folder} has no database: scr {__version__} makes a new one")
    elif not plan.missing:
        show(f"{folder} has schema {plan.found}, as scr {__version__} does: nothing is to be done")
    elif plan.fault:
        show(f"{folder} has schema {plan.found}, scr {__version__} has {plan.known}: the upgrade would fail")
        show(plan.fault)
    else:
        show(f"{folder} has schema {plan.found}, scr {__version__} has {plan.known}; tried on a copy, it works:")
        for name in plan.missing:
            show(f"  {name.removesuffix('.sql')}")
        show(f"the changes took {(plan.took_ms or 0) / 1000:.1f} s; the start copies {size_text(plan.size)} before")
        say(f"to go back: stop scr, then, with the scr of before, scr restore {folder}/backups/before-… --force")
