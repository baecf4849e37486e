"""`scr version`: which program this is."""

import argparse
import json
import os
import sys

from appliance import __version__
from appliance.cli.parser import Parser
from appliance.cli.terminal import show

EXAMPLES = ("scr version", "scr version --json")


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print version, Python and machine as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the version."""
    if not options.json:
        show(f"scr {__version__}")
        return 0
    machine = os.uname()
    facts = {
        "version": __version__,
        "python": sys.version.partition(" ")[0],
        "system": machine.sysname.lower(),
        "machine": machine.machine,
    }
    show(json.dumps(facts))
    return 0
