"""`scr deletion list|undo`: what was deleted, and bringing it back."""

import argparse

import msgspec

from appliance.cli.asking import add_asking, count_text, show_list, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.image_change import add_place
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show_json

EXAMPLES = ("scr deletion list", "scr deletion undo k3x2mzq4ab")


class _Deletion(msgspec.Struct, rename="camel"):
    id: str
    kind: str
    path: str
    tags: int
    manifests: int
    deleted_at: str
    deleted_by: str
    until: str


class _Left(msgspec.Struct):
    name: str
    reason: str


class _Undone(msgspec.Struct):
    manifests: int
    tags: int
    left: list[_Left]


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser(
        "list",
        help="list what was deleted and can still come back, the newest first",
        examples=("scr deletion list", "scr deletion list pay/api"),
    )
    list_.add_argument("path", nargs="?", default="", metavar="IMAGE|REPOSITORY", help="only of this one, or in it")
    add_place(list_)
    undo = verbs.add_parser(
        "undo",
        help="bring back all that one act deleted",
        examples=("scr deletion undo k3x2mzq4ab", "scr deletion undo k3x2mzq4ab --json"),
    )
    undo.add_argument("id", metavar="ID", help="from scr deletion list")
    add_asking(undo)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    with connect(options) as client:
        return {"list": _list, "undo": _undo}[options.verb](client, options)


def _list(client: Client, options: argparse.Namespace) -> int:
    found = list(walk(client, "/api/v1/deletions", _Deletion, path=options.path, registry=options.registry))
    cells = [
        (one.id, one.kind, one.path, _what(one), time_text(one.deleted_at), one.deleted_by, time_text(one.until))
        for one in found
    ]
    show_list(options, ("ID", "KIND", "OF", "WITH", "DELETED", "BY", "UNTIL"), found, cells)
    if not found and not options.json:
        say("nothing was deleted that could still come back")
    return 0


def _undo(client: Client, options: argparse.Namespace) -> int:
    answer = client.ask("POST", f"/api/v1/deletions/{options.id}/undo", b"")
    done = msgspec.json.decode(answer.body, type=_Undone)
    if options.json:
        show_json(done)
        return 0
    say(f"came back: {count_text(done.manifests, 'manifest')}, {count_text(done.tags, 'tag')}")
    for left in done.left:
        say(f"left as it is: {left.name}, for {left.reason}")
    return 0


def _what(one: _Deletion) -> str:
    if one.kind in ("image", "repository"):
        return "all of it"
    return f"{count_text(one.manifests, 'manifest')}, {count_text(one.tags, 'tag')}"
