"""`scr gc`: delete the bytes that nobody needs any more."""

import argparse

import msgspec

from appliance.cli import following
from appliance.cli.asking import add_asking, count_text, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json, show_table
from appliance.domain.sizes import size_text

EXAMPLES = ("scr gc --dry-run", "scr gc")

_SHOWN = 200  # entries of a dry run, unless all are asked for


class _Collected(msgspec.Struct):
    manifests: int
    links: int
    blobs: int
    bytes: int
    uploads: int = 0


class _Expired(msgspec.Struct):
    uploads: int


class _Leaving(msgspec.Struct, rename="camel"):
    kind: str
    name: str
    path: str
    size: int
    reason: str
    at: str
    is_due: bool


class _Sum(msgspec.Struct):
    count: int = 0
    bytes: int = 0

    def add(self, one: _Leaving) -> None:
        self.count += 1
        self.bytes += one.size


class _Foreseen(msgspec.Struct):
    """What a dry run tells: what would go now, what later, and each of it, the first ones."""

    due: _Sum
    later: _Sum
    items: list[_Leaving]


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--dry-run", action="store_true", help="say what would go, why and when, and delete nothing")
    parser.add_argument("--all", action="store_true", help=f"with --dry-run: all of it, not only the first {_SHOWN}")
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Collect, or say what would go. It never needs a yes: it takes only what was deleted or replaced before."""
    with connect(options) as client:
        if options.dry_run:
            return _foresee(options, client)
        expired = following.run(client, "upload-expiry", {}, _Expired)
        done = msgspec.structs.replace(following.run(client, "gc", {}, _Collected), uploads=expired.uploads)
    if options.json:
        show_json(done)
        return 0
    show(f"{count_text(done.manifests, 'deleted manifest')} whose recycle time is over were forgotten")
    show(f"{count_text(done.links, 'use')} of blobs that no manifest needs were ended")
    show(f"{count_text(done.blobs, 'blob')} with {size_text(done.bytes)} were freed")
    if done.uploads:
        show(f"{count_text(done.uploads, 'unfinished upload')} went")
    return 0


def _foresee(options: argparse.Namespace, client: Client) -> int:
    """Tell what goes, why and when."""
    found = _Foreseen(_Sum(), _Sum(), [])
    for one in walk(client, "/api/v1/collections/leaving", _Leaving):
        (found.due if one.is_due else found.later).add(one)
        if options.all or len(found.items) < _SHOWN:
            found.items.append(one)
    if options.json:
        show_json(found)
        return 0
    rows = [
        ("now" if one.is_due else time_text(one.at), size_text(one.size), one.kind, one.name, one.path, one.reason)
        for one in sorted(found.items, key=lambda one: (not one.is_due, one.at))
    ]
    if rows:
        show_table(("WHEN", "SIZE", "WHAT", "NAME", "IMAGE", "WHY"), rows)
    if (left := found.due.count + found.later.count - len(rows)) > 0:
        say(f"... and {left} more; see them with --all")
    say(f"{size_text(found.due.bytes)} would be freed now, {size_text(found.later.bytes)} later")
    say("nothing was changed; free what is due with: scr gc")
    return 0
