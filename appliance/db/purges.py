"""Rows that go for good: a whole step of collection in one statement for each table.

SQLite runs a statement without the interpreter; a statement for each row would take that from the requests, and wait
for it again, as often as there are rows.
"""

from collections.abc import Iterable, Sequence

import msgspec

from appliance.db.database import Reader, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, to_bytes
from appliance.domain.registry import BlobId, ImageId, ManifestId

Link = tuple[ImageId, BlobId]
_ROWS = "(SELECT value FROM json_each(:rows))"


class Doomed(msgspec.Struct, frozen=True):
    """A manifest that has to go, and what it needs: digests with their kinds of need."""

    row: ManifestId
    image: ImageId
    needs: tuple[tuple[Digest, int], ...]


_GOING = f"""
SELECT id, EXISTS (SELECT 1 FROM tags WHERE manifest_id = manifests.id) FROM manifests
WHERE id IN {_ROWS} AND (:before IS NULL OR removed_at <= :before)
"""


def list_going(reader: Reader, rows: Sequence[ManifestId], before: Timestamp | None) -> dict[ManifestId, bool]:
    """Return those of `rows` that are still there, and whether each has tags.

    With `before` only those that were removed at or before that.
    """
    found = reader.rows(_GOING, {"rows": _json(rows), "before": before})
    return {ManifestId(row[0]): bool(row[1]) for row in found}


_NEEDS = """
DELETE FROM needs WHERE (image_id, digest, kind, manifest_id) IN
  (SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3 FROM json_each(:needs))
"""
_CHECK = """
UPDATE links SET check_at = max(coalesce(check_at, 0), :now) WHERE (image_id, blob_id) IN
  (SELECT value ->> 0, b.id FROM json_each(:needs) JOIN blobs b ON b.digest = unhex(value ->> 1) WHERE value ->> 2 <> 3)
"""
_CONDEMN_COPIES = f"""
INSERT INTO condemned (kind, digest, generation, driver, size, condemned_at)
SELECT 'manifest', digest, generation, '', length(body), :now FROM manifests WHERE id IN {_ROWS} ORDER BY id
"""
MANIFESTS = (_NEEDS, _CHECK, _CONDEMN_COPIES, f"DELETE FROM manifests WHERE id IN {_ROWS}")


def delete_manifests(tx: Transaction, doomed: Sequence[Doomed], now: Timestamp) -> None:
    """Delete manifests without tags, with their needs; their blobs are looked at next, their copies are condemned.

    A link that is to be looked at later stays so: somebody pushed the blob again, and will name it in a manifest.
    """
    needs = [(one.image, to_bytes(digest).hex(), kind, one.row) for one in doomed for digest, kind in one.needs]
    values: Values = {"rows": _json([one.row for one in doomed]), "needs": _json(needs), "now": now}
    for sql in MANIFESTS:
        tx.execute(sql, values)


def list_suspects(reader: Reader, now: Timestamp, limit: int) -> list[Link]:
    """Return links whose time to be looked at has come, oldest first."""
    sql = "SELECT image_id, blob_id FROM links WHERE check_at <= ? ORDER BY check_at LIMIT ?"
    return [(ImageId(row[0]), BlobId(row[1])) for row in reader.rows(sql, (now, limit))]


_LINKS = "(SELECT value ->> 0, value ->> 1 FROM json_each(:links))"
_UNLINKED = """
id IN (SELECT value ->> 1 FROM json_each(:links)) AND NOT EXISTS (SELECT 1 FROM links WHERE blob_id = blobs.id)
"""
_KEEP = f"""
UPDATE links SET check_at = NULL WHERE (image_id, blob_id) IN {_LINKS} AND EXISTS (
  SELECT 1 FROM blobs b JOIN needs n ON n.image_id = links.image_id AND n.digest = b.digest AND n.kind IN (1, 2)
  WHERE b.id = links.blob_id)
"""
_UNLINK = f"DELETE FROM links WHERE (image_id, blob_id) IN {_LINKS} AND check_at IS NOT NULL"
_CONDEMN = f"""
INSERT INTO condemned (kind, digest, generation, driver, size, condemned_at)
SELECT 'blob', digest, generation, driver, size, :now FROM blobs WHERE {_UNLINKED} ORDER BY id
"""
LINKS = (_KEEP, _UNLINK, _CONDEMN, f"DELETE FROM blobs WHERE {_UNLINKED}")


def settle(tx: Transaction, suspects: Sequence[Link], now: Timestamp) -> int:
    """Keep the links that a manifest (removed ones count) needs, delete the others; return how many those are.

    A blob that loses its last link is condemned in the same transaction; only its bytes are left to delete.
    """
    values: Values = {"links": _json(suspects), "now": now}
    _, gone, _, _ = [tx.execute(sql, values) for sql in LINKS]
    return gone


POSTPONE = f"UPDATE links SET check_at = :at WHERE (image_id, blob_id) IN {_LINKS}"


def postpone(tx: Transaction, suspects: Sequence[Link], at: Timestamp) -> None:
    """Look at links again later: a client was told that the blob is there."""
    tx.execute(POSTPONE, {"links": _json(suspects), "at": at})


def _json(values: Iterable[object]) -> str:
    return msgspec.json.encode(list(values)).decode()
