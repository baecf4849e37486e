"""Pages of lists: `{"items": [...], "next": ...}` with an opaque cursor."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from appliance.domain.listing import Listing, parse_order
from appliance.domain.moment import Timestamp, to_datetime
from appliance.domain.resource_tags import parse_filter
from appliance.errors import QueryInvalid

_MOST = (1 << 63) - 1  # that SQLite counts

Item = TypeVar("Item")
Row = TypeVar("Row")

Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="entries of a page")]
Cursor = Annotated[str, QueryParameter(description="`next` of the page before")]
Name = Annotated[str, QueryParameter(max_length=255, description="only what has this text in its name")]


Sort = Annotated[
    Literal["name", "-name", "created", "-created", "modified", "-modified"],
    QueryParameter(description="the order; `-` turns it round"),
]
Removed = Annotated[bool, QueryParameter(description="what was deleted and can be restored, instead of what is there")]
TagQuery = Annotated[
    str | None,
    QueryParameter(
        name="resourceTag", max_length=400, description="only what has this resource tag: `key`, or `key=value`"
    ),
]


InListing = NamedDependency[SkipValidation[Listing]]


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page; `next` is the cursor of the following one, null on the last."""

    items: list[Item]
    next: str | None


async def collect_page(
    fetch: Callable[[str, int], Awaitable[list[Row]]],
    key: Callable[[Row], str],
    keep: Callable[[Row], bool],
    cursor: str,
    limit: int,
) -> Page[Row]:
    """Return a page of up to `limit` rows that `keep` lets through.

    `fetch(last, count)` returns rows in order of `key` after `last`; it is asked until the page is full or the list
    ends. Raises QueryInvalid for a cursor of another make.
    """
    last = _open(cursor)
    found: list[Row] = []
    while True:
        rows = await fetch(last, limit + 1)
        found += [row for row in rows if keep(row)]
        if len(found) > limit:
            return Page(found[:limit], _close(key(found[limit - 1])))
        if len(rows) <= limit:
            return Page(found, None)
        last = key(rows[-1])


def provide_listing(name: Name = "", tag: TagQuery = None, sort: Sort = "name", *, removed: Removed = False) -> Listing:
    """Return what a list of registries or repositories is asked for. Raises QueryInvalid."""
    return Listing(parse_order(sort), name, None if tag is None else parse_filter(tag), removed)


def moment(at: Timestamp) -> datetime:
    """Return a time of the database as the API shows it (RFC 3339, UTC)."""
    return to_datetime(at)


def moment_or_none(at: Timestamp | None) -> datetime | None:
    """Return the same for a time that may not have come yet."""
    return None if at is None else moment(at)


def number_in(cursor: str) -> int:
    """Return the number that stands in the cursor of a list. Raises QueryInvalid where none does that counts rows."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 20 and int(cursor) <= _MOST):
        raise QueryInvalid("cursor is none of this list; take it from `next` of the page before")
    return int(cursor)


def _close(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _open(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise QueryInvalid("cursor is none of this list; take it from `next` of the page before") from error
