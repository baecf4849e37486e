"""Blobs and links: which bytes there are, which image may use them, which must go."""

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, from_bytes, to_bytes
from appliance.domain.registry import BlobId, FoundBlob, ImageId, ImageRef, RegistryId, StoredBlob

_COLUMNS = "b.id, b.digest, b.generation, b.driver, b.form, b.size, b.sums"
_FIND = f"""
SELECT i.id, {_COLUMNS}
FROM images i JOIN repositories r ON r.id = i.repository_id
JOIN blobs b ON b.digest = ?3 AND b.quarantined_at IS NULL
JOIN links l ON l.image_id = i.id AND l.blob_id = b.id AND l.removed_at IS NULL
WHERE i.registry_id = ?1 AND i.path = ?2 AND i.removed_at IS NULL AND r.removed_at IS NULL
"""


def find(reader: Reader, image: ImageRef, digest: Digest) -> FoundBlob | None:
    """Return the blob `digest` as `image` may use it, or None. A point read: for the loop."""
    row = reader.one(_FIND, (image.registry, str(image.path), to_bytes(digest)))
    return FoundBlob(ImageId(row[0]), _stored(row[1:])) if row else None


def find_stored(reader: Reader, digest: Digest) -> StoredBlob | None:
    """Return the readable generation of `digest`, whoever uses it, or None. Never for a client's eyes."""
    row = reader.one(
        f"SELECT {_COLUMNS} FROM blobs b WHERE b.digest = ? AND b.quarantined_at IS NULL", (to_bytes(digest),)
    )
    return _stored(row) if row else None


def claim(tx: Transaction, blob: StoredBlob, now: Timestamp) -> StoredBlob:
    """Record a sealed generation, or return the readable one that is there already (the new bytes are then spare).

    A quarantined generation is condemned and replaced: a push heals.
    """
    row = tx.one(f"SELECT {_COLUMNS}, b.quarantined_at FROM blobs b WHERE b.digest = ?", (to_bytes(blob.digest),))
    values: Values = {
        "digest": to_bytes(blob.digest),
        "generation": blob.generation,
        "driver": blob.driver,
        "form": blob.form,
        "size": blob.size,
        "now": now,
        "sums": blob.sums,
    }
    if row is None:
        sql = (
            "INSERT INTO blobs (digest, generation, driver, form, size, sealed_at, sums)"
            " VALUES (:digest, :generation, :driver, :form, :size, :now, :sums)"
        )
        return msgspec.structs.replace(blob, id=BlobId(tx.insert(sql, values)))
    found = _stored(row)
    if row[7] is None:
        return found
    condemn_generation(tx, "blob", found.digest, found.generation, found.driver, found.size, now)
    tx.execute(
        "UPDATE blobs SET generation = :generation, driver = :driver, form = :form, size = :size,"
        " sealed_at = :now, sums = :sums, quarantined_at = NULL, scrubbed_at = NULL WHERE digest = :digest",
        values,
    )
    return msgspec.structs.replace(blob, id=found.id)


def link(tx: Transaction, image: ImageId, blob: BlobId, now: Timestamp, check_at: Timestamp) -> None:
    """Let `image` use `blob`; collection looks at `check_at` whether a manifest needs it."""
    sql = (
        "INSERT INTO links (image_id, blob_id, since, check_at) VALUES (:image, :blob, :now, :check)"
        " ON CONFLICT (image_id, blob_id) DO UPDATE"
        " SET check_at = max(coalesce(check_at, 0), :check), removed_at = NULL"
    )
    tx.execute(sql, {"image": image, "blob": blob, "now": now, "check": check_at})


def missing(reader: Reader, image: ImageId, digests: list[Digest]) -> list[Digest]:
    """Return those of `digests` that `image` may not use."""
    sql = (
        "SELECT 1 FROM blobs b JOIN links l ON l.image_id = ? AND l.blob_id = b.id AND l.removed_at IS NULL"
        " WHERE b.digest = ? AND b.quarantined_at IS NULL"
    )
    return [digest for digest in digests if reader.one(sql, (image, to_bytes(digest))) is None]


def needed_by(reader: Reader, image: ImageId, digest: Digest) -> Digest | None:
    """Return a live manifest of `image` that needs the blob, or None."""
    sql = (
        "SELECT m.digest FROM needs n JOIN manifests m ON m.id = n.manifest_id"
        " WHERE n.image_id = ? AND n.digest = ? AND n.kind IN (1, 2) AND m.removed_at IS NULL LIMIT 1"
    )
    row = reader.one(sql, (image, to_bytes(digest)))
    return from_bytes(row[0]) if row else None


def unlink(tx: Transaction, image: ImageId, blob: BlobId, now: Timestamp, check_at: Timestamp) -> None:
    """Take the blob away from readers of `image` at once; its bytes stay owned until `check_at`."""
    sql = "UPDATE links SET removed_at = :now, check_at = :check WHERE image_id = :image AND blob_id = :blob"
    tx.execute(sql, {"image": image, "blob": blob, "now": now, "check": check_at})


_REVIVE = """
UPDATE links SET removed_at = NULL WHERE image_id = :image AND removed_at IS NOT NULL
AND blob_id IN (SELECT id FROM blobs WHERE digest = :digest)
"""


def revive(tx: Transaction, image: ImageId, digests: list[Digest]) -> None:
    """Undo the removal of links to `digests`: a manifest that needs them came back."""
    tx.execute_many(_REVIVE, ({"image": image, "digest": to_bytes(digest)} for digest in digests))


def check_image(tx: Transaction, image: ImageId, now: Timestamp, limit: int) -> int:
    """Have collection look at up to `limit` more links of a removed image; return how many."""
    sql = (
        "UPDATE links SET check_at = :now, removed_at = :now WHERE image_id = :image AND blob_id IN"
        " (SELECT blob_id FROM links WHERE image_id = :image AND (removed_at IS NULL OR check_at IS NULL) LIMIT :limit)"
    )
    return tx.execute(sql, {"now": now, "image": image, "limit": limit})


_UNNEEDED = """
FROM links l JOIN blobs b ON b.id = l.blob_id
WHERE l.check_at <= ?1 AND NOT EXISTS (
  SELECT 1 FROM needs n WHERE n.image_id = l.image_id AND n.digest = b.digest AND n.kind IN (1, 2))
"""
_FORECAST = f"""
SELECT count(*), total(size) FROM (
  SELECT b.id, b.size, count(*) AS going {_UNNEEDED} GROUP BY b.id
  HAVING going = (SELECT count(*) FROM links a WHERE a.blob_id = b.id))
"""


def forecast(reader: Reader, now: Timestamp, condemned_before: Timestamp) -> tuple[int, int, int]:
    """Return how many links a collection would delete now, and how many blobs and bytes that would free."""
    links = reader.one(f"SELECT count(*) {_UNNEEDED}", (now,)) or (0,)
    freed = reader.one(_FORECAST, (now,)) or (0, 0)
    sql = "SELECT count(*), total(size) FROM condemned WHERE kind = 'blob' AND condemned_at <= ?"
    waiting = reader.one(sql, (condemned_before,)) or (0, 0)
    return links[0], freed[0] + waiting[0], int(freed[1] + waiting[1])


def is_owned(reader: Reader, kind: str, digest: Digest, generation: str) -> bool:
    """Whether a row owns the generation ("blob" or "manifest"): live, quarantined, or condemned and not yet deleted."""
    key = (to_bytes(digest), generation)
    table = "blobs" if kind == "blob" else "manifests"
    if reader.one(f"SELECT 1 FROM {table} WHERE digest = ? AND generation = ? LIMIT 1", key):
        return True
    return reader.one("SELECT 1 FROM condemned WHERE digest = ? AND generation = ?", key) is not None


class Condemned(msgspec.Struct, frozen=True):
    """A generation whose bytes must go."""

    id: int
    kind: str
    digest: Digest
    generation: str
    size: int


def condemn_generation(
    tx: Transaction, kind: str, digest: Digest, generation: str, driver: str, size: int, now: Timestamp
) -> None:
    """Write down that the bytes of a generation ("blob" or "manifest") must go."""
    sql = "INSERT INTO condemned (kind, digest, generation, driver, size, condemned_at) VALUES (?, ?, ?, ?, ?, ?)"
    tx.execute(sql, (kind, to_bytes(digest), generation, driver, size, now))


def list_condemned(reader: Reader, last: int, before: Timestamp, limit: int) -> list[Condemned]:
    """Return up to `limit` generations condemned at or before `before`, oldest first, after the row `last`."""
    columns = "id, kind, digest, generation, size"
    sql = f"SELECT {columns} FROM condemned WHERE id > ? AND condemned_at <= ? ORDER BY id LIMIT ?"
    rows = reader.rows(sql, (last, before, limit))
    return [Condemned(row[0], row[1], from_bytes(row[2]), row[3], row[4]) for row in rows]


def last_condemned(reader: Reader) -> int:
    """Return the number of the last row that was condemned, whether its bytes are gone or not."""
    row = reader.one("SELECT seq FROM sqlite_sequence WHERE name = 'condemned'")
    return row[0] if row else 0


def acquit(tx: Transaction, done: list[int]) -> None:
    """Forget condemned generations whose bytes are gone."""
    tx.execute_many("DELETE FROM condemned WHERE id = :id", ({"id": row} for row in done))


def quarantine(tx: Transaction, blob: StoredBlob, now: Timestamp) -> bool:
    """Make a broken generation unreadable; False when it was replaced meanwhile."""
    sql = (
        "UPDATE blobs SET quarantined_at = :now WHERE id = :id AND generation = :generation AND quarantined_at IS NULL"
    )
    return tx.execute(sql, {"now": now, "id": blob.id, "generation": blob.generation}) == 1


_SOLE = """
SELECT b.size FROM blobs b JOIN links l ON l.blob_id = b.id AND l.image_id = :image
WHERE b.digest = :digest AND NOT EXISTS (
  SELECT 1 FROM links o WHERE o.blob_id = b.id AND o.image_id <> :image AND o.removed_at IS NULL)
"""


def sole_size(reader: Reader, image: ImageId, digest: Digest) -> int:
    """Return the size of the blob, if `image` and no other one may use it, else 0."""
    row = reader.one(_SOLE, {"image": image, "digest": to_bytes(digest)})
    return row[0] if row else 0


_HOLDERS = """
SELECT i.path FROM blobs b JOIN links l ON l.blob_id = b.id AND l.removed_at IS NULL
JOIN images i ON i.id = l.image_id AND i.removed_at IS NULL AND i.registry_id = ?
JOIN repositories r ON r.id = i.repository_id AND r.removed_at IS NULL
WHERE b.digest = ? AND b.quarantined_at IS NULL LIMIT ?
"""


def holders(reader: Reader, registry: RegistryId, digest: Digest, limit: int) -> list[str]:
    """Return paths of live images of `registry` that may use the blob: sources for a mount without `from`."""
    return [row[0] for row in reader.rows(_HOLDERS, (registry, to_bytes(digest), limit))]


def list_places(reader: Reader) -> list[tuple[str, str]]:
    """Return the drivers and forms that blobs lie in; by index, a step each."""
    places: list[tuple[str, str]] = []
    last = ("", "")
    sql = "SELECT driver, form FROM blobs WHERE (driver, form) > (?, ?) ORDER BY driver, form LIMIT 1"
    while row := reader.one(sql, last):
        last = (row[0], row[1])
        places.append(last)
    return places


Place = tuple[str, str, int]  # driver and form of new blobs, and the id of their data key (0: whichever)
_ELSEWHERE = """
FROM blobs b WHERE b.quarantined_at IS NULL
AND (b.driver <> ?1 OR b.form <> ?2 OR (?3 <> '' AND b.form = 'e1' AND hex(substr(b.sums, 9, 4)) <> ?3))
"""


def count_elsewhere(reader: Reader, place: Place) -> int:
    """Return how many readable blobs lie in another store, in another form, or under another data key."""
    row = reader.one(f"SELECT count(*) {_ELSEWHERE}", _place(place))
    return row[0] if row else 0


def list_elsewhere(reader: Reader, place: Place, last: BlobId, limit: int) -> list[StoredBlob]:
    """Return those with ids after `last`."""
    sql = f"SELECT {_COLUMNS} {_ELSEWHERE} AND b.id > ?4 ORDER BY b.id LIMIT ?5"
    return [_stored(row) for row in reader.rows(sql, (*_place(place), last, limit))]


def _place(place: Place) -> tuple[str, str, str]:
    driver, form, key = place
    return driver, form, f"{key:08X}" if key else ""


def relocate(tx: Transaction, old: StoredBlob, new: StoredBlob, now: Timestamp) -> bool:
    """Let the row of `old` say what `new` says, and condemn the old generation; False: it was replaced meanwhile."""
    sql = (
        "UPDATE blobs SET generation = :new, driver = :driver, form = :form, sums = :sums"
        " WHERE id = :id AND generation = :old AND quarantined_at IS NULL"
    )
    values: Values = {
        "new": new.generation,
        "driver": new.driver,
        "form": new.form,
        "sums": new.sums,
        "id": old.id,
        "old": old.generation,
    }
    if not tx.execute(sql, values):
        return False
    condemn_generation(tx, "blob", old.digest, old.generation, old.driver, old.size, now)
    return True


def measure_places(reader: Reader) -> list[tuple[str, str, int, int]]:
    """Return how many blobs and bytes of content lie in each store and form; it walks the table."""
    sql = "SELECT driver, form, count(*), sum(size) FROM blobs GROUP BY driver, form ORDER BY driver, form"
    return [(row[0], row[1], row[2], row[3]) for row in reader.rows(sql)]


def list_after(reader: Reader, last: BlobId, limit: int) -> list[StoredBlob]:
    """Return readable blobs with ids after `last`, for scrub and verify."""
    sql = f"SELECT {_COLUMNS} FROM blobs b WHERE b.id > ? AND b.quarantined_at IS NULL ORDER BY b.id LIMIT ?"
    return [_stored(row) for row in reader.rows(sql, (last, limit))]


def readable_bytes(reader: Reader) -> int:
    """Return the bytes of all readable blobs. It walks the table: for a worker thread."""
    row = reader.one("SELECT coalesce(sum(size), 0) FROM blobs WHERE quarantined_at IS NULL")
    return row[0] if row else 0


def _stored(row: Row) -> StoredBlob:
    return StoredBlob(BlobId(row[0]), from_bytes(row[1]), row[2], row[3], row[4], row[5], row[6])
