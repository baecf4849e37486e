"""The systemd units: valid, shut in, and of one mind with the program."""

import re
import subprocess
from pathlib import Path

from tests.clients.programs import find

FILES = Path("appliance/files")
_LOOSEST = 2.0  # of systemd's rating from 0, shut in, to 10


def settings_of(name: str) -> dict[str, str]:
    """Return the settings of a unit; of one that is said twice, the last."""
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", (FILES / name).read_text()))


def test_systemd_rates_the_service_as_shut_in() -> None:
    words = [find("systemd-analyze"), "security", "--offline=yes", "--no-pager", str(FILES / "scr.service")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    rated = re.search(r"Overall exposure level for scr\.service: (\d+\.\d+)", ended.stdout)

    assert rated, ended.stderr
    assert float(rated[1]) <= _LOOSEST


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for name in ("scr.service", "scr.socket"):  # the program they start is not on this machine
        (tmp_path / name).write_text((FILES / name).read_text().replace("/usr/bin/scr", "/bin/true"))
    words = [find("systemd-analyze"), "verify", "--man=no", *map(str, tmp_path.iterdir())]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert [line for line in ended.stderr.splitlines() if "scr." in line] == []
    assert ended.returncode == 0


def test_the_service_is_given_more_time_to_stop_than_transfers_have() -> None:
    service = settings_of("scr.service")

    assert int(service["TimeoutStopSec"]) > 30  # [server] shutdown_grace
    assert (service["Type"], service["User"], service["StateDirectory"]) == ("notify", "scr", "scr")
    assert "HUP" in service["ExecReload"]


def test_the_socket_is_where_scr_listens_by_default() -> None:
    assert f'#listen = ["{settings_of("scr.socket")["ListenStream"]}"]' in (FILES / "scr.toml").read_text()
