"""`scr backup`: copy everything while it is served, or the database alone into the data folder."""

import argparse
from pathlib import Path

import msgspec

from appliance.cli import following
from appliance.cli.asking import Page, add_asking, count_text, show_list, time_text
from appliance.cli.client import Client, connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.sizes import size_text

EXAMPLES = ("scr backup /mnt/backup", "scr backup --list")


class _BackedUp(msgspec.Struct, rename="camel"):
    path: str
    database: int
    blobs: int
    bytes: int
    linked: int
    missing: list[str]


class _Snapshot(msgspec.Struct, rename="camel"):
    name: str
    size: int
    taken_at: str


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="where a backup of everything goes, on the server's host; without it, a snapshot of the database is made",
    )
    parser.add_argument("--list", action="store_true", help="list the snapshots in the data folder")
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Back up, or list; 1 where the store has lost blobs."""
    with connect(options) as client:
        if options.list:
            return _list(options, client)
        if options.folder is None:
            return _snapshot(options, client)
        order: dict[str, object] = {"folder": str(options.folder.absolute())}
        done = following.run(client, "backup", order, _BackedUp)
    if options.json:
        show_json(done)
        return 1 if done.missing else 0
    show(done.path)
    linked = f", {done.linked} of them links" if done.linked else ""
    say(f"{count_text(done.blobs, 'blob')} with {size_text(done.bytes)}{linked}; database {size_text(done.database)}")
    for digest in done.missing:
        say(f"the store has lost {digest}: it is not in the backup; push its images again")
    say(f"check it with: scr verify --backup {done.path}")
    return 1 if done.missing else 0


def _snapshot(options: argparse.Namespace, client: Client) -> int:
    taken = following.run(client, "backup", {}, _Snapshot)
    if options.json:
        show_json(taken)
    else:
        show(taken.name)
        say(f"the database alone, {size_text(taken.size)}; with the blobs: scr backup <folder>")
    return 0


def _list(options: argparse.Namespace, client: Client) -> int:
    found = client.get("/api/v1/snapshots", Page[_Snapshot]).items
    rows = [(one.name, size_text(one.size), time_text(one.taken_at)) for one in found]
    show_list(options, ("NAME", "SIZE", "TAKEN"), found, rows)
    return 0
