"""Images as lists show them, in every order by an index."""

from appliance.db import lists, resource_tags
from appliance.db.database import Reader, Row, Value, Values
from appliance.db.resource_tags import Tagged
from appliance.domain.listing import ImageListing
from appliance.domain.moment import Timestamp
from appliance.domain.registry import ImageId, ImageRef, ImageRow, RegistryId
from appliance.domain.resource_tags import TagFilter

_SELECT = """
SELECT i.id, i.public_id, i.path, i.description, i.manifests, i.tags, i.bytes, i.pulls,
       i.last_pulled_at, i.pushed_at, i.locked OR r.locked, i.locked,
       i.created_at, i.created_by, i.modified_at, i.modified_by, i.revision,
       EXISTS (SELECT 1 FROM jobs j WHERE j.kind = 'retention' AND j.subject = i.public_id AND j.state = 'running')
FROM images i JOIN repositories r ON r.id = i.repository_id
WHERE i.registry_id = :registry AND i.shown_at IS NOT NULL AND i.removed_at IS NULL AND r.removed_at IS NULL
"""
_ORDERS = {  # the repository is a range of paths; only by path it is the index that finds it
    "path": "i.path > :text AND i.path < :end ORDER BY i.path",
    "-path": "i.path < :text AND i.path > :first ORDER BY i.path DESC",
}
for _sort, _column in (("pushed", "pushed_at"), ("pulls", "pulls"), ("created", "created_at")):
    _ORDERS[_sort] = (
        f"i.path > :first AND i.path < :end AND (i.{_column}, i.id) > (:at, :id) ORDER BY i.{_column}, i.id"
    )
    _ORDERS[f"-{_sort}"] = (
        f"i.path > :first AND i.path < :end AND (i.{_column}, i.id) < (:at, :id) ORDER BY i.{_column} DESC, i.id DESC"
    )
_FILTERS = f"instr(i.path, :contains) AND {lists.tagged(Tagged.IMAGE, 'i')}"
PAGES = {order: f"{_SELECT} AND {_FILTERS} AND {rest} LIMIT :limit" for order, rest in _ORDERS.items()}


def list_page(reader: Reader, registry: RegistryId, listing: ImageListing, last: str, limit: int) -> list[ImageRow]:
    """Return up to `limit` visible images that come after `last`, a key of `key_in`.

    Raises QueryInvalid for the key of another order.
    """
    # a repository is a range of paths, found by the index wherever it lies: "0" is what comes after "/"
    of, order, tag = listing.repository, listing.order, listing.tag or TagFilter("")
    first, end = ("", "\x7f") if of is None else (f"{of}/", f"{of}0")
    values: dict[str, Value] = {
        "registry": registry,
        "first": first,
        "end": end,
        "contains": listing.contains,
        "key": tag.key,
        "value": tag.value,
        "limit": limit,
    }
    if order == "path":
        values["text"] = max(last, first)
    elif order == "-path":
        values["text"] = min(last or end, end)
    else:
        values |= lists.place_after(last, descending=order.startswith("-"))
    return _rows(reader, PAGES[order], values)


def key_in(order: str, row: ImageRow) -> str:
    """Return where `row` stands in a list of that order."""
    at = {"pushed": row.pushed_at, "pulls": row.pulls, "created": row.created_at}
    name = order.removeprefix("-")
    return row.path if name == "path" else f"{at[name] or 0}.{row.number}"


def find_row(reader: Reader, image: ImageRef) -> ImageRow | None:
    """Return the visible image as a list shows it, or None."""
    values: Values = {"registry": image.registry, "path": str(image.path)}
    return next(iter(_rows(reader, f"{_SELECT} AND i.path = :path", values)), None)


def _rows(reader: Reader, sql: str, values: Values) -> list[ImageRow]:
    rows = reader.rows(sql, values)
    tags = resource_tags.of_many(reader, Tagged.IMAGE, [row[0] for row in rows])
    return [_shown(row, tags.get(row[0], {})) for row in rows]


def _shown(row: Row, tags: dict[str, str]) -> ImageRow:
    return ImageRow(
        number=ImageId(row[0]),
        id=row[1],
        path=row[2],
        description=row[3],
        manifests=row[4],
        tags=row[5],
        size=row[6],
        pulls=row[7],
        last_pulled_at=None if row[8] is None else Timestamp(row[8]),
        pushed_at=None if row[9] is None else Timestamp(row[9]),
        locked=bool(row[10]),
        own_lock=bool(row[11]),
        created_at=Timestamp(row[12]),
        created_by=row[13],
        modified_at=Timestamp(row[14]),
        modified_by=row[15],
        revision=row[16],
        is_editing=bool(row[17]),
        resource_tags=tags,
    )
