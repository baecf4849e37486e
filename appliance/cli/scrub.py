"""`scr scrub`: read and hash every blob; put aside what is broken."""

import argparse

import msgspec

from appliance.cli import following
from appliance.cli.asking import add_asking, count_text
from appliance.cli.client import connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.sizes import size_text

EXAMPLES = ("scr scrub", "scr scrub --json")


class _Scrubbed(msgspec.Struct):
    blobs: int
    bytes: int
    broken: list[str]
    unread: int


def add(parser: Parser) -> None:
    """Add the options."""
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Scrub; 1 where something is broken or cannot be read."""
    with connect(options) as client:
        found = following.run(client, "scrub", {"fullSpeed": True}, _Scrubbed)
    if options.json:
        show_json(found)
    else:
        show(f"read {count_text(found.blobs, 'blob')} with {size_text(found.bytes)}: {len(found.broken)} broken")
        for digest in found.broken:
            show(digest)
    if found.unread:
        say(f"{count_text(found.unread, 'blob')} could not be read; look at the disk and the log of the server")
    if found.broken:
        say("broken blobs are in quarantine; push their images again, and check the disk")
    return 1 if found.broken or found.unread else 0
