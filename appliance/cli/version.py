"""`scr version`: which program this is."""

import argparse
import json
import os
import sys

from appliance import __version__, program
from appliance.cli.parser import Parser
from appliance.cli.terminal import show

EXAMPLES = ("scr version", "scr version --json")


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print version, commit, build and libraries as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the version."""
    if not options.json:
        show(f"scr {__version__}")
        return 0
    machine = os.uname()
    build = program.build()
    facts = {
        "version": __version__,
        "commit": build["commit"],
        "build": {"tool": build["tool"], "id": build["id"]},
        "python": sys.version.partition(" ")[0],
        "interpreter": sys.version,
        "system": machine.sysname.lower(),
        "machine": machine.machine,
        "libraries": build["libraries"],
    }
    show(json.dumps(facts, indent=2))
    return 0
