"""`scr install`: become a service of a host that has no package for it, or bring what is installed up to date."""

import argparse
from pathlib import Path

from appliance import assets, program
from appliance.cli import host
from appliance.cli.host import BEFORE, CONFIG, DATA, PROGRAM, SERVICE, UNITS, USER, Host
from appliance.cli.parser import Parser
from appliance.cli.terminal import say
from appliance.errors import Conflict, Unavailable

EXAMPLES = ("scr install --dry-run", "scr install --no-start")
_DATA_DIR = '#data_dir = "data"'


def add(parser: Parser) -> None:
    """Add the options."""
    host.add(parser)
    parser.add_argument("--no-start", action="store_true", help="write everything, and start nothing")
    parser.add_argument("--program", type=Path, metavar="FILE", help="install FILE instead of the running program")


def run(options: argparse.Namespace) -> int:
    """Install, or replace the program of an installation: its settings and data stay. Raises Conflict, Unavailable.

    A program that cannot take over the data replaces nothing; one that does not start makes way for the one before.
    """
    source = options.program.absolute() if options.program else _running()
    here = host.host_of(options)
    here.make_user()
    here.make_folder(DATA, 0o700, owner=USER)
    if here.has(PROGRAM) and here.has(CONFIG):
        here.call(str(source), "upgrade-check", "--config", f"/{CONFIG}")
    has_replaced = here.copy(source, PROGRAM)
    here.write(CONFIG, settings_for(f"/{DATA}"), 0o640, is_kept=True, group=USER)
    for name, place in UNITS.items():
        here.write(
            place, assets.read("appliance", f"files/{name}").decode().replace("/usr/bin/scr", f"/{PROGRAM}"), 0o644
        )
    if not here.has_systemd():
        say(f"no systemd runs here: as the user {USER}, start scr serve --config /{CONFIG}")
        return 0
    here.call("systemctl", "daemon-reload")
    if not options.no_start:
        here.call("systemctl", "enable", SERVICE)
        _restart(here, has_replaced=has_replaced)
    say(f"settings are in /{CONFIG}, data in /{DATA}. Next: sudo scr doctor --config /{CONFIG}")
    return 0


def _restart(here: Host, *, has_replaced: bool) -> None:
    """Start the service with the program that is there now, else with the one it replaced. Raises Unavailable."""
    try:
        here.call("systemctl", "restart", SERVICE)
    except Unavailable as error:
        if not has_replaced:
            raise Unavailable(f"{error.message}; see: journalctl -u {SERVICE}") from error
        here.copy(here.path(BEFORE), PROGRAM, keep=False)
        here.call("systemctl", "restart", SERVICE, may_fail=True)
        raise Unavailable(f"{error.message}; the program of before is back, see: journalctl -u {SERVICE}") from error


def settings_for(data_dir: str) -> str:
    """Return the text of a scr.toml that keeps its data in `data_dir`; all else in it is a comment."""
    return assets.read("appliance", "files/scr.toml").decode().replace(_DATA_DIR, f'data_dir = "{data_dir}"')


def _running() -> Path:
    if not program.is_packaged():
        raise Conflict("this scr runs from its sources; name the packaged program with --program (make package)")
    return Path(program.command_line()[0])
