"""Lists of registries and of repositories: one query for each order, by an index, from the key of the last entry on."""

import re

from appliance.db.database import Value
from appliance.db.resource_tags import Tagged
from appliance.domain.listing import NEWEST_REMOVED, Listing, Order
from appliance.domain.registry import Registry, Repository
from appliance.domain.resource_tags import TagFilter
from appliance.errors import QueryInvalid

_PLACE = re.compile(r"(\d{1,18})\.(\d{1,18})")
_LARGEST = (1 << 63) - 1  # SQLite's largest number
_LAST_TEXT = "\U0010ffff"  # comes after every name
_ORDERS = {
    Order("name"): "r.name > :text ORDER BY r.name",
    Order("name", descending=True): "r.name < :text ORDER BY r.name DESC",
    Order("created"): "(r.created_at, r.id) > (:at, :id) ORDER BY r.created_at, r.id",
    Order("created", descending=True): "(r.created_at, r.id) < (:at, :id) ORDER BY r.created_at DESC, r.id DESC",
    Order("modified"): "(r.modified_at, r.id) > (:at, :id) ORDER BY r.modified_at, r.id",
    Order("modified", descending=True): "(r.modified_at, r.id) < (:at, :id) ORDER BY r.modified_at DESC, r.id DESC",
    NEWEST_REMOVED: "(r.removed_at, r.id) < (:at, :id) ORDER BY r.removed_at DESC, r.id DESC",
}


def make_pages(select: str, kind: Tagged, scope: str = "") -> dict[Order, str]:
    """Return the query of a page for each order: `select` reads rows of `r`, `scope` (with AND) says of what."""
    filters = f"AND instr(r.name, :contains) AND {tagged(kind, 'r')}"
    pages = {}
    for order, rest in _ORDERS.items():
        is_there = "r.removed_at IS NOT NULL" if order is NEWEST_REMOVED else "r.removed_at IS NULL"
        pages[order] = f"{select} {scope} {is_there} {filters} AND {rest} LIMIT :limit"
    return pages


def tagged(kind: Tagged, row: str) -> str:
    """Return the condition that `row` has the resource tag `:key`, and the value `:value` where one is given."""
    found = (
        f"SELECT 1 FROM resource_tags g WHERE g.kind = {kind:d} AND g.resource_id = {row}.id AND g.key = :key"
        " AND (:value IS NULL OR g.value = :value)"
    )
    return f"(:key = '' OR EXISTS ({found}))"


def values_of(listing: Listing, last: str, limit: int) -> dict[str, Value]:
    """Return what the query of a page is given; `last` is a key of `key_in`, "" for the beginning.

    Raises QueryInvalid for the key of another order.
    """
    tag = listing.tag or TagFilter("")
    place = _place_after(listing.effective, last)
    return {**place, "contains": listing.contains, "key": tag.key, "value": tag.value, "limit": limit}


def key_in(listing: Listing, one: Registry | Repository, name: str) -> str:
    """Return where `one` stands in the list."""
    by = listing.effective.by
    if by == "name":
        return name
    at = {"created": one.created_at, "modified": one.modified_at, "removed": one.removed_at}[by]
    return f"{at or 0}.{one.id}"


def _place_after(order: Order, last: str) -> dict[str, Value]:
    if order.by == "name":
        return {"text": last or (_LAST_TEXT if order.descending else "")}
    return place_after(last, descending=order.descending)


def place_after(last: str, *, descending: bool) -> dict[str, Value]:
    """Return the values `at` and `id` of a query that goes on after `last` (`<number>.<row>`), "" for the beginning.

    Raises QueryInvalid for the key of another order.
    """
    if not last:
        return {"at": _LARGEST, "id": _LARGEST} if descending else {"at": -1, "id": 0}
    if not (found := _PLACE.fullmatch(last)):
        raise QueryInvalid("cursor is of a list in another order; take it from `next` of the page before")
    return {"at": int(found[1]), "id": int(found[2])}
