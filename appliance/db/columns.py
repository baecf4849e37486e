"""Lists that are few enough to be put in order for each page: by any of their columns, from the last entry on."""

from collections.abc import Callable, Mapping
from typing import Annotated, Generic, TypeVar

import msgspec

from appliance.db.database import Reader, Row, Value
from appliance.errors import QueryInvalid

_Number = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]  # that SQLite counts
_PLACE = msgspec.json.Decoder(tuple[str | _Number, _Number])


Item = TypeVar("Item")


class Placed(msgspec.Struct, Generic[Item], frozen=True):
    """An entry of a list, and where it stands there."""

    place: str  # what the list goes on after
    one: Item


class Query(msgspec.Struct, Generic[Item], frozen=True):
    """What is asked of the database, and how an entry is read from a row."""

    sql: str
    values: Mapping[str, Value]
    read: Callable[[Row], Item]


def make_sorted(select: str, rest: str, columns: Mapping[str, str], row: str) -> dict[str, str]:
    """Return the query of a page for each order, both ways (`name`, `-name`).

    It reads what `select` names, from what `rest` says up to its conditions. `columns` are the expressions to put in
    order by; `row` is the number that tells apart what is equal there.
    """
    return {
        f"{sign}{name}": f"SELECT {key}, {row}, {select} FROM {rest} AND (:row IS NULL OR ({key}, {row}) {is_after}"
        f" (:key, :row)) ORDER BY {key}{turn}, {row}{turn} LIMIT :limit"
        for name, key in columns.items()
        for sign, is_after, turn in (("", ">", ""), ("-", "<", " DESC"))
    }


def list_sorted(reader: Reader, query: Query[Item], last: str, limit: int) -> list[Placed[Item]]:
    """Return up to `limit` entries of a query of `make_sorted` after the place `last`, "" for the beginning.

    Raises QueryInvalid for a place of another make.
    """
    key, row = _parse(last) if last else ("", None)
    found = reader.rows(query.sql, {**query.values, "key": key, "row": row, "limit": limit})
    return [Placed(msgspec.json.encode(one[:2]).decode(), query.read(one[2:])) for one in found]


def _parse(place: str) -> tuple[str | int, int]:
    try:
        return _PLACE.decode(place)
    except msgspec.MsgspecError as error:
        raise QueryInvalid("cursor is none of this list; take it from `next` of the page before") from error
