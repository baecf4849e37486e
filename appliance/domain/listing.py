"""What a list is asked for: in which order, from where on, and which entries."""

import re

import msgspec

from appliance.domain.resource_tags import TagFilter
from appliance.errors import QueryInvalid

_PLACE = re.compile(r"(-?\d{1,18})\.(\d{1,18})")
_LARGEST = (1 << 63) - 1  # SQLite's largest number
_LAST_TEXT = "\U0010ffff"  # comes after every name


class Order(msgspec.Struct, frozen=True):
    """By which column a list is sorted: `name`, or a time with the row's id behind it."""

    by: str = "name"
    descending: bool = False


NEWEST_REMOVED = Order("removed", descending=True)


class Listing(msgspec.Struct, frozen=True):
    """A list of registries or repositories: their order, and which of them."""

    order: Order = Order()
    contains: str = ""  # in the name
    tag: TagFilter | None = None
    removed: bool = False  # those in recycle, the newest first, instead of the live ones

    @property
    def effective(self) -> Order:
        """The order it is in: what is in recycle is shown by its removal."""
        return NEWEST_REMOVED if self.removed else self.order

    @property
    def filters(self) -> dict[str, str | None]:
        """The values of a query's filters."""
        tag = self.tag or TagFilter("")
        return {"contains": self.contains, "key": tag.key, "value": tag.value}


def parse_order(text: str) -> Order:
    """Return what `name` or `-created` asks for."""
    return Order(text.removeprefix("-"), text.startswith("-"))


def place_after(order: Order, last: str) -> dict[str, str | int]:
    """Return the values of a query that goes on after `last` (a `key_of`), "" for the beginning.

    Raises QueryInvalid for the key of another order.
    """
    if order.by == "name":
        return {"text": last or (_LAST_TEXT if order.descending else "")}
    if not last:
        return {"at": _LARGEST, "id": _LARGEST} if order.descending else {"at": -1, "id": 0}
    if not (found := _PLACE.fullmatch(last)):
        raise QueryInvalid("cursor is of a list in another order; take it from `next` of the page before")
    return {"at": int(found[1]), "id": int(found[2])}


def key_of(order: Order, name: str, at: int | None, number: int) -> str:
    """Return where an entry stands in `order`: `at` is the time that the order is by, `number` the row's id."""
    return name if order.by == "name" else f"{at or 0}.{number}"
