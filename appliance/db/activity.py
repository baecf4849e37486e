"""Activity: who changed what, from where, when; written in the transaction of the change, never changed afterwards.

`seq` orders everything, whatever the clock does. Views of it (audit, a resource's log, the manual's counters) are
cursors on `seq`.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.admission import Caller
from appliance.domain.moment import Timestamp
from appliance.domain.registry import RegistryId

Detail = Mapping[str, object]  # what changed, by name; values that JSON can hold, edits as `before` and `after`

LONGEST = 64 << 10  # bytes of JSON; an edit of two large documents is told without them
_SHORT = 512  # characters of a text that stays even then
HIDDEN = "(hidden)"  # stands for what no log may hold
_SECRET = re.compile(r"(?i)password|passphrase|secret|token|hash")


class About(msgspec.Struct, frozen=True):
    """Which resources a change is about; 0 for none. `subject` names what has no such id: `user:ann`, `policy:ci`."""

    registry: int = 0
    repository: int = 0
    image: int = 0
    subject: str = ""


class Happening(msgspec.Struct, frozen=True):
    """A record as it is read. Names are those of now; None where the resource is gone for good, or there is none."""

    seq: int
    at: Timestamp
    kind: str
    principal: str
    address: str
    client: str
    registry: RegistryId | None
    registry_name: str | None
    repository: str | None
    image: str | None  # its path
    is_inner: bool  # about a repository or an image, whether or not that is still there
    subject: str
    detail: msgspec.Raw


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for; None for anything. `principal` is `user:ann`; times are [since, until)."""

    registry: int | None = None
    repository: int | None = None
    image: int | None = None
    subject: str | None = None
    principal: str | None = None
    kind: str | None = None
    since: Timestamp = Timestamp(0)
    until: Timestamp = Timestamp(1 << 62)


_INSERT = """
INSERT INTO activity (at, kind, principal, address, client, registry_id, repository_id, image_id, subject, detail)
VALUES (:at, :kind, :principal, :address, :client, :registry,
        coalesce(:repository, (SELECT repository_id FROM images WHERE id = :image)), :image, :subject, :detail)
"""


def record(tx: Transaction, kind: str, caller: Caller, about: About, detail: Detail, now: Timestamp) -> int:
    """Append a record; return its `seq`, which orders everything, whatever the clock does.

    `kind` is `noun.verb` in the past; `detail` of an edit has `before` and `after`. Values whose names sound secret are
    replaced, for nothing here is ever taken back.
    """
    return append(tx, kind, (str(caller.principal), caller.address, caller.client), about, detail, now)


def append(tx: Transaction, kind: str, who: tuple[str, str, str], about: About, detail: Detail, now: Timestamp) -> int:
    """Do the same for `who` is no caller: a principal, an address and a program as texts."""
    principal, address, client = who
    values: Values = {
        "at": now,
        "kind": kind,
        "principal": principal,
        "address": address,
        "client": client,
        "registry": about.registry or None,
        "repository": about.repository or None,
        "image": about.image or None,
        "subject": about.subject,
        "detail": _encode(detail),
    }
    return tx.insert(_INSERT, values)


def _encode(detail: Detail) -> str:
    shown = {name: _open(name, value) for name, value in detail.items()}
    text = msgspec.json.encode({"v": 1, **shown})
    if len(text) > LONGEST:
        text = msgspec.json.encode({"v": 1, "cut": len(text), **_cut(shown)})
    return text.decode()


def _cut(shown: dict[str, object]) -> dict[str, object]:
    """Return what identifies the change: numbers, short texts, and of lists how long they are."""
    kept: dict[str, object] = {}
    for name, value in shown.items():
        if isinstance(value, int) or (isinstance(value, str) and len(value) <= _SHORT):
            kept[name] = value
        elif isinstance(value, list):
            kept[f"{name}_count"] = len(value)
    return kept


def _open(name: str, value: object) -> object:
    """Return `value` without what sounds secret, however deep it lies."""
    if _SECRET.search(name) and not isinstance(value, bool | int | None):
        return HIDDEN
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if isinstance(value, Mapping):
        return {str(key): _open(str(key), one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_open("", one) for one in value]
    return value


_SELECT = """
SELECT a.seq, a.at, a.kind, a.principal, a.address, a.client, a.registry_id, g.name, r.name, i.path,
       a.repository_id IS NOT NULL OR a.image_id IS NOT NULL, a.subject, a.detail
FROM activity a
LEFT JOIN registries g ON g.id = a.registry_id
LEFT JOIN repositories r ON r.id = a.repository_id
LEFT JOIN images i ON i.id = a.image_id
"""
_PAGE = (
    _SELECT
    + """
WHERE {lead}
  AND (:registry IS NULL OR a.registry_id = :registry) AND (:repository IS NULL OR a.repository_id = :repository)
  AND (:image IS NULL OR a.image_id = :image) AND (:subject IS NULL OR a.subject = :subject)
  AND (:principal IS NULL OR a.principal = :principal) AND (:kind IS NULL OR a.kind = :kind)
  AND a.at >= :since AND a.at < :until AND {order} LIMIT :limit
"""
)
# the narrowest of what is asked for leads, by its index; the rest only filters what that finds
_LEADS = {
    "image": "a.image_id = :image",
    "subject": "a.subject = :subject AND a.subject <> ''",
    "repository": "a.repository_id = :repository",
    "principal": "a.principal = :principal",
    "kind": "a.kind = :kind",
    "registry": "a.registry_id = :registry",
    "": "TRUE",
}
_ORDERS = {False: "a.seq < :seq ORDER BY a.seq DESC", True: "a.seq > :seq ORDER BY a.seq"}
PAGES = {
    (name, is_onward): _PAGE.format(lead=lead, order=order)
    for name, lead in _LEADS.items()
    for is_onward, order in _ORDERS.items()
}


def list_page(reader: Reader, wanted: Wanted, seq: int, limit: int, *, onward: bool = False) -> list[Happening]:
    """Return up to `limit` records before the `seq`, the newest first; `onward`: after it, the oldest first."""
    asked = msgspec.structs.asdict(wanted)
    lead = next((name for name in _LEADS if name and asked[name] is not None), "")
    return [_happening(row) for row in reader.rows(PAGES[lead, onward], {**asked, "seq": seq, "limit": limit})]


# by who and by what: through the index of that column, unless few enough are asked for to put them in order
_NARROW = ("image", "subject", "repository", "")
_SORTS = {
    f"{sign}{by}": f"(a.{by}, a.seq) {is_after} (:text, :seq) ORDER BY a.{by}{turn}, a.seq{turn}"
    for by in ("principal", "kind")
    for sign, is_after, turn in (("", ">", ""), ("-", "<", " DESC"))
}
SORTED = {
    (lead, sort): _PAGE.format(lead=_LEADS[lead], order=order) for lead in _NARROW for sort, order in _SORTS.items()
}
_LAST_TEXT = "\U0010ffff"  # comes after every name


def list_sorted(reader: Reader, wanted: Wanted, sort: str, last: tuple[str, int] | None, limit: int) -> list[Happening]:
    """Return up to `limit` records by `sort` (`principal`, `-kind`), and then by `seq`, after the `last` such two."""
    asked = msgspec.structs.asdict(wanted)
    lead = next((name for name in _NARROW if name and asked[name] is not None), "")
    text, seq = last or ((_LAST_TEXT, 1 << 62) if sort.startswith("-") else ("", 0))
    values = {**asked, "text": text, "seq": seq, "limit": limit}
    return [_happening(row) for row in reader.rows(SORTED[lead, sort], values)]


def _happening(row: Row) -> Happening:
    return Happening(
        seq=row[0],
        at=Timestamp(row[1]),
        kind=row[2],
        principal=row[3],
        address=row[4],
        client=row[5],
        registry=None if row[6] is None else RegistryId(row[6]),
        registry_name=row[7],
        repository=row[8],
        image=row[9],
        is_inner=bool(row[10]),
        subject=row[11],
        detail=msgspec.Raw(row[12].encode()),
    )


def bounds(reader: Reader) -> tuple[int, int]:
    """Return the first and the last `seq` there are; (0, -1) for none."""
    row = reader.one("SELECT min(seq), max(seq) FROM activity")
    return (row[0], row[1]) if row and row[0] is not None else (0, -1)


# a row, its four entries in indexes, and what a page leaves free
_WEIGHT = "length(detail) + length(client) + 2 * length(principal) + 2 * length(kind) + 160"


def weigh(reader: Reader, after: int, until: int) -> int:
    """Return about how many bytes the records with `after` < seq <= `until` take."""
    row = reader.one(f"SELECT total({_WEIGHT}) FROM activity WHERE seq > ? AND seq <= ?", (after, until))
    return int(row[0]) if row else 0


def forget(tx: Transaction, before: Timestamp, limit: int) -> int:
    """Delete those of the `limit` oldest records that are older than `before`; return how many."""
    sql = (
        "DELETE FROM activity WHERE seq IN"
        " (SELECT seq FROM (SELECT seq, at FROM activity ORDER BY seq LIMIT :limit) WHERE at < :before)"
    )
    return tx.execute(sql, {"limit": limit, "before": before})


def forget_oldest(tx: Transaction, kind: str | None, limit: int) -> int:
    """Delete the `limit` oldest records of `kind` (None: of all); return about how many bytes they took."""
    lead = "WHERE kind = :kind" if kind is not None else ""
    chosen = f"SELECT seq FROM activity {lead} ORDER BY seq LIMIT :limit"
    rows = tx.rows(
        f"DELETE FROM activity WHERE seq IN ({chosen}) RETURNING {_WEIGHT}",
        {"limit": limit} if kind is None else {"limit": limit, "kind": kind},
    )
    return sum(row[0] for row in rows)
