"""`scr uninstall`: take away what `scr install` brought; data and settings only when asked for."""

import argparse

from appliance.cli import host
from appliance.cli.asking import confirm
from appliance.cli.host import BEFORE, CONFIG, DATA, PROGRAM, UNITS
from appliance.cli.parser import Parser
from appliance.cli.terminal import say

EXAMPLES = ("scr uninstall --dry-run", "scr uninstall --purge --yes")


def add(parser: Parser) -> None:
    """Add the options."""
    host.add(parser)
    parser.add_argument("--purge", action="store_true", help=f"delete /{DATA}, /etc/scr and the user too")
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where no terminal is")


def run(options: argparse.Namespace) -> int:
    """Stop the service and remove it. Raises Conflict, Unavailable."""
    here = host.host_of(options)
    if options.purge and not options.dry_run:
        confirm(options, f"this deletes every image in /{DATA}, and the settings in /etc/scr")
    if here.has_systemd():
        here.call("systemctl", "disable", "--now", *UNITS, may_fail=True)
    for place in UNITS.values():
        here.remove(place)
    if here.has_systemd():
        here.call("systemctl", "daemon-reload")
    here.remove(PROGRAM)
    here.remove(BEFORE)
    if options.purge:
        here.remove_tree(DATA)
        here.remove_tree(CONFIG.rpartition("/")[0])
        here.remove_user()
    else:
        say(f"/{DATA} and /{CONFIG} are still there; scr uninstall --purge deletes them")
    return 0
