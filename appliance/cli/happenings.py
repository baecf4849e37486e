"""What commands that show what happened have in common: the newest entries, those that follow, and since when."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

import msgspec

from appliance.cli.asking import Page, add_asking
from appliance.cli.client import Client
from appliance.cli.parser import Parser
from appliance.cli.terminal import show, show_json, show_table
from appliance.config.quantities import parse_duration
from appliance.errors import QueryInvalid

_LOOK_S = 1.0  # seconds between two looks for what follows
_NEWEST = "50"  # entries shown unless told otherwise


class Entry(Protocol):
    """Something with a place in an order."""

    seq: int


One = TypeVar("One", bound=Entry)


def add_following(parser: Parser, *, follows: bool = True) -> None:
    """Add the options that say how much of what happened is shown."""
    parser.add_argument("--since", metavar="TIME", help="from then on: 2026-11-20T12:00:00Z, or how long ago: 2h, 30d")
    parser.add_argument("--until", metavar="TIME", help="before then")
    parser.add_argument("--limit", type=int, default=int(_NEWEST), metavar="N", help=f"the newest N (else {_NEWEST})")
    if follows:
        parser.add_argument("--follow", action="store_true", help="go on with what comes, until it is interrupted")
    add_asking(parser)


def time_of(text: str | None) -> str:
    """Return a time of the command line as the API takes it, "" for none. Raises QueryInvalid."""
    if not text:
        return ""
    try:
        ago = timedelta(milliseconds=parse_duration(text))
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise QueryInvalid(f"{text!r} is no time; write 2026-11-20T12:00:00Z, or how long ago: 2h, 30d") from None
        return (moment if moment.tzinfo else moment.astimezone()).isoformat()
    return (datetime.now(UTC) - ago).isoformat()


def fetch(client: Client, address: str, shape: type[One], limit: int, query: dict[str, str]) -> list[One]:
    """Return the newest `limit` entries, the newest first."""
    found: list[One] = []
    cursor = ""
    while len(found) < limit:
        size = str(min(limit - len(found), 1000))
        page = client.get(address, Page[shape], cursor=cursor, limit=size, **query)  # type: ignore[valid-type]  # at run time
        found += page.items
        if page.next is None:
            break
        cursor = page.next
    return found


def show_entries(
    client: Client,
    options: argparse.Namespace,
    address: str,
    shape: type[One],
    query: dict[str, str],
    table: tuple[Sequence[str], Callable[[One], Sequence[str]]],
) -> int:
    """Print the newest entries, the oldest of them first, and with --follow what comes; return how many."""
    heads, cells = table
    found = fetch(client, address, shape, options.limit, query)[::-1]
    if options.json and not options.follow:
        show_json(found)
    elif options.json:
        _show_lines(found)
    else:
        show_table(heads, [[plain(cell) for cell in cells(one)] for one in found])
    if not options.follow:
        return len(found)
    with contextlib.suppress(KeyboardInterrupt):
        for one in _follow(client, address, shape, found[-1].seq if found else 0, query):
            if options.json:
                _show_lines([one])
            else:
                show("  ".join(plain(cell) for cell in cells(one)))
    return len(found)


def _follow(client: Client, address: str, shape: type[One], seq: int, query: dict[str, str]) -> Iterator[One]:
    """Yield entries as they come, for ever."""
    after = str(seq)
    while True:
        sys.stdout.flush()  # whoever reads a pipe waits for it
        page = client.get(address, Page[shape], after=after, limit="1000", **query)  # type: ignore[valid-type]  # at run time
        yield from page.items
        after = page.next or after
        if not page.items:
            time.sleep(_LOOK_S)


def _show_lines(found: Sequence[object]) -> None:
    for one in found:
        show(msgspec.json.encode(one).decode())


def plain(text: str) -> str:
    """Return foreign text for a terminal: whatever could move its cursor is a `?`."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)
