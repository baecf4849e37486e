"""`scr install`: become a service of a host that has no package for it, or bring what is installed up to date."""

import argparse
from pathlib import Path

from appliance import assets, program
from appliance.cli import host
from appliance.cli.host import CONFIG, DATA, PROGRAM, UNITS, USER
from appliance.cli.parser import Parser
from appliance.cli.terminal import say
from appliance.errors import Conflict

EXAMPLES = ("scr install --dry-run", "scr install --no-start")
_DATA_DIR = '#data_dir = "data"'


def add(parser: Parser) -> None:
    """Add the options."""
    host.add(parser)
    parser.add_argument("--no-start", action="store_true", help="write everything, and start nothing")
    parser.add_argument("--program", type=Path, metavar="FILE", help="install FILE instead of the running program")


def run(options: argparse.Namespace) -> int:
    """Install, or replace the program of an installation: its settings and data stay. Raises Conflict, Unavailable."""
    source = options.program or _running()
    here = host.host_of(options)
    here.copy(source, PROGRAM)
    here.make_user()
    here.write(CONFIG, settings_for(f"/{DATA}"), 0o640, is_kept=True, group=USER)
    here.make_folder(DATA, 0o700, owner=USER)
    for name, place in UNITS.items():
        here.write(
            place, assets.read("appliance", f"files/{name}").decode().replace("/usr/bin/scr", f"/{PROGRAM}"), 0o644
        )
    if not here.has_systemd():
        say(f"no systemd runs here: as the user {USER}, start scr serve --config /{CONFIG}")
        return 0
    here.call("systemctl", "daemon-reload")
    if not options.no_start:
        here.call("systemctl", "enable", "scr.service")
        here.call("systemctl", "restart", "scr.service")
    say(f"settings are in /{CONFIG}, data in /{DATA}. Next: sudo scr doctor --config /{CONFIG}")
    return 0


def settings_for(data_dir: str) -> str:
    """Return the text of a scr.toml that keeps its data in `data_dir`; all else in it is a comment."""
    return assets.read("appliance", "files/scr.toml").decode().replace(_DATA_DIR, f'data_dir = "{data_dir}"')


def _running() -> Path:
    if not program.is_packaged():
        raise Conflict("this scr runs from its sources; name the packaged program with --program (make package)")
    return Path(program.command_line()[0])
