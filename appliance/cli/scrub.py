"""`scr scrub`: read and hash every blob; put aside what is broken."""

import argparse

import msgspec

from appliance.cli.asking import add_asking, count_text, size_text
from appliance.cli.client import connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json

EXAMPLES = ("scr scrub", "scr scrub --json")


class _Scrubbed(msgspec.Struct):
    blobs: int
    bytes: int
    broken: list[str]


def add(parser: Parser) -> None:
    """Add the options."""
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Scrub; 1 where something is broken."""
    with connect(options) as client:
        found = client.post("/api/v1/scrubs", {}, _Scrubbed)
    if options.json:
        show_json(found)
    else:
        show(f"read {count_text(found.blobs, 'blob')} with {size_text(found.bytes)}: {len(found.broken)} broken")
        for digest in found.broken:
            show(digest)
    if found.broken:
        say("broken blobs are in quarantine; push their images again, and check the disk")
    return 1 if found.broken else 0
