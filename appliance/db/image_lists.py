"""Images as lists show them, in every order by an index."""

from appliance.db.database import Reader, Row, Values
from appliance.domain.moment import Timestamp
from appliance.domain.registry import ImageId, ImageRef, ImageRow, RegistryId
from appliance.errors import QueryInvalid

_LARGEST = (1 << 63) - 1  # SQLite's largest number
_SELECT = """
SELECT i.id, i.public_id, i.path, i.description,
       (SELECT count(*) FROM manifests m WHERE m.image_id = i.id AND m.removed_at IS NULL),
       (SELECT count(*) FROM tags t WHERE t.image_id = i.id),
       (SELECT total(b.size) FROM links l JOIN blobs b ON b.id = l.blob_id
        WHERE l.image_id = i.id AND l.removed_at IS NULL),
       i.pulls, i.last_pulled_at, i.pushed_at, i.locked OR r.locked, i.locked,
       i.created_at, i.created_by, i.modified_at, i.modified_by, i.revision
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
PAGES = {order: f"{_SELECT} AND instr(i.path, :contains) AND {rest} LIMIT :limit" for order, rest in _ORDERS.items()}


def list_page(
    reader: Reader,
    registry: RegistryId,
    repository: str | None,
    last: str,
    limit: int,
    contains: str = "",
    order: str = "path",
) -> list[ImageRow]:
    """Return up to `limit` visible images (of one repository, or all) that come after `last`, a key of `key_in`.

    Only those that have `contains` in their path. Raises QueryInvalid for the key of another order.
    """
    # a repository is a range of paths, found by the index wherever it lies: "0" is what comes after "/"
    first, end = ("", "\x7f") if repository is None else (f"{repository}/", f"{repository}0")
    values: dict[str, str | int] = {"registry": registry, "first": first, "end": end, "contains": contains}
    if order == "path":
        values["text"] = max(last, first)
    elif order == "-path":
        values["text"] = min(last or end, end)
    else:
        values["at"], values["id"] = _place(last, is_down=order.startswith("-"))
    return [_shown(row) for row in reader.rows(PAGES[order], {**values, "limit": limit})]


def key_in(order: str, row: ImageRow) -> str:
    """Return where `row` stands in a list of that order."""
    at = {"pushed": row.pushed_at, "pulls": row.pulls, "created": row.created_at}
    name = order.removeprefix("-")
    return row.path if name == "path" else f"{at[name] or 0}/{row.number}"


def find_row(reader: Reader, image: ImageRef) -> ImageRow | None:
    """Return the visible image as a list shows it, or None."""
    values: Values = {"registry": image.registry, "path": str(image.path)}
    row = reader.one(f"{_SELECT} AND i.path = :path", values)
    return _shown(row) if row else None


def _place(last: str, *, is_down: bool) -> tuple[int, int]:
    if not last:
        return (_LARGEST, _LARGEST) if is_down else (-1, 0)
    at, _, number = last.partition("/")
    if not (at.isdecimal() and number.isdecimal() and len(at) < 19 and len(number) < 19):
        raise QueryInvalid("cursor is of a list in another order; take it from `next` of the page before")
    return int(at), int(number)


def _shown(row: Row) -> ImageRow:
    return ImageRow(
        number=ImageId(row[0]),
        id=row[1],
        path=row[2],
        description=row[3],
        manifests=row[4],
        tags=row[5],
        size=int(row[6]),
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
    )
