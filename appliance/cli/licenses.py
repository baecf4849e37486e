"""`scr licenses`: what is inside the packaged program, under which terms."""

import argparse
import json
import sys
from typing import Any

from appliance import assets, program
from appliance.cli.parser import Parser
from appliance.cli.terminal import show, show_table
from appliance.errors import Unknown

EXAMPLES = ("scr licenses", "scr licenses --sbom")


def add(parser: Parser) -> None:
    """Add the options."""
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--list", action="store_true", help="names, versions and licences only")
    shown.add_argument("--sbom", action="store_true", help="print the bill of materials (CycloneDX, JSON)")


def run(options: argparse.Namespace) -> int:
    """Print the licence notices, or what was asked for. Raises Unknown where the program runs from its sources."""
    if not program.is_packaged():
        raise Unknown(
            "this scr runs from its sources: its licence is the file LICENSE, those of its libraries lie beside them;"
            " the packaged program carries them all"
        )
    if options.sbom:
        show(assets.read("appliance", "files/sbom.json").decode())
    elif options.list:
        parts = json.loads(assets.read("appliance", "files/sbom.json"))["components"]
        rows = [(part["name"], part.get("version", ""), _licence(part)) for part in parts]
        show_table(("NAME", "VERSION", "LICENCE"), rows)
    else:
        sys.stdout.write(assets.read("appliance", "files/notices.txt").decode())
    return 0


def _licence(part: dict[str, Any]) -> str:
    """Return the licence of a component as CycloneDX writes it, "" where it names none."""
    found = part.get("licenses", [{}])[0]
    return str(found.get("expression") or found.get("license", {}).get("name", ""))
