"""`scr gc`: delete the bytes that nobody needs any more."""

import argparse

import msgspec

from appliance.cli import following
from appliance.cli.asking import add_asking, count_text
from appliance.cli.client import connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.sizes import size_text

EXAMPLES = ("scr gc --dry-run", "scr gc")


class _Collected(msgspec.Struct):
    manifests: int
    links: int
    blobs: int
    bytes: int
    uploads: int = 0


class _Expired(msgspec.Struct):
    uploads: int


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Collect, or say what would go. It never needs a yes: it takes only what was deleted or replaced before."""
    with connect(options) as client:
        if options.dry_run:
            done = client.post("/api/v1/collections", {"dryRun": True}, _Collected)
        else:
            expired = following.run(client, "upload-expiry", {}, _Expired)
            done = msgspec.structs.replace(following.run(client, "gc", {}, _Collected), uploads=expired.uploads)
    if options.json:
        show_json(done)
        return 0
    would = "would be" if options.dry_run else "were"
    show(f"{count_text(done.manifests, 'deleted manifest')} whose recycle time is over {would} forgotten")
    show(f"{count_text(done.links, 'use')} of blobs that no manifest needs {would} ended")
    show(f"{count_text(done.blobs, 'blob')} with {size_text(done.bytes)} {would} freed")
    if done.uploads:
        show(f"{count_text(done.uploads, 'unfinished upload')} went")
    if options.dry_run:
        say("nothing was changed; free it now with: scr gc")
    return 0
