"""Whether a database is whole: SQLite's own checks, and what rows say of bytes that lie elsewhere."""

from pathlib import Path

import apsw
import msgspec

from appliance.db import migrate
from appliance.db.database import Reader
from appliance.domain.names import Digest, from_bytes, to_bytes
from appliance.domain.registry import BlobId, ManifestId, StoredBlob

_FAULTS = 100  # of SQLite's own; a page that is torn brings thousands


class StoredManifest(msgspec.Struct, frozen=True):
    """A row of a manifest, without its body. `size` is bytes of the body."""

    id: ManifestId
    digest: Digest
    generation: str
    size: int


def list_faults(reader: Reader, *, deep: bool) -> list[str]:
    """Return what SQLite finds wrong in the file, at most some hundred; `deep` compares indexes with tables too."""
    pragma = "integrity_check" if deep else "quick_check"
    try:
        found = [str(row[0]) for row in reader.rows(f"PRAGMA {pragma}({_FAULTS})")]
        broken = reader.rows('SELECT "table", rowid, parent FROM pragma_foreign_key_check LIMIT ?', (_FAULTS,))
    except apsw.CorruptError as error:  # a page that the check itself stands on
        return [f"the file cannot be read to its end: {error}"]
    faults = [] if found == ["ok"] else found
    return faults + [f"row {row[1]} of {row[0]} names a row of {row[2]} that is not there" for row in broken]


def judge_file(path: Path) -> str:
    """Return why the database at `path` cannot be used by this program, or "" where it can. It is only read."""
    if not path.is_file() or not path.stat().st_size:
        return "it is empty"
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            if connection.pragma("application_id") != migrate.APPLICATION_ID:
                return "it is the database of another program"
            version = connection.pragma("user_version")
            if version > migrate.latest():
                return f"it has format {version}, and this scr knows {migrate.latest()}"
            if version < 1:
                return "it has no tables"
            row = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except apsw.Error as error:
        return f"it cannot be read: {error}"
    return "" if row and row[0] == "ok" else f"it is damaged: {row[0] if row else 'no answer'}"


def list_blobs(reader: Reader, low: bytes, high: bytes) -> list[tuple[StoredBlob, bool]]:
    """Return the blobs with digests (as stored) from `low` to before `high`, and which of them are quarantined."""
    sql = (
        "SELECT id, digest, generation, driver, form, size, sums, quarantined_at IS NOT NULL FROM blobs"
        " WHERE digest >= ? AND digest < ? ORDER BY digest"
    )
    return [
        (StoredBlob(BlobId(row[0]), from_bytes(row[1]), row[2], row[3], row[4], row[5], row[6]), bool(row[7]))
        for row in reader.rows(sql, (low, high))
    ]


def list_manifests(reader: Reader, low: bytes, high: bytes) -> list[StoredManifest]:
    """Return the manifests (removed ones too) with digests from `low` to before `high`."""
    sql = "SELECT id, digest, generation, length(body) FROM manifests WHERE digest >= ? AND digest < ? ORDER BY digest"
    return [
        StoredManifest(ManifestId(row[0]), from_bytes(row[1]), row[2], row[3]) for row in reader.rows(sql, (low, high))
    ]


_UNMET = """
SELECT DISTINCT m.id FROM needs n JOIN manifests m ON m.id = n.manifest_id AND m.removed_at IS NULL
WHERE n.kind = 1 AND m.id > ?1 AND NOT EXISTS (
  SELECT 1 FROM blobs b JOIN links l ON l.image_id = n.image_id AND l.blob_id = b.id AND l.removed_at IS NULL
  WHERE b.digest = n.digest AND b.quarantined_at IS NULL)
ORDER BY m.id LIMIT ?2
"""


def list_unmet(reader: Reader, after: ManifestId, limit: int) -> list[ManifestId]:
    """Return live manifests with ids after `after` that need a blob which their image cannot read, or may lack."""
    return [ManifestId(row[0]) for row in reader.rows(_UNMET, (after, limit))]


def body_of(reader: Reader, manifest: ManifestId) -> bytes:
    """Return the body of a manifest that is there; empty where it is not."""
    row = reader.one("SELECT body FROM manifests WHERE id = ?", (manifest,))
    return row[0] if row else b""


def find_body(reader: Reader, digest: Digest) -> tuple[str, bytes] | None:
    """Return media type and body of the manifest `digest`, whichever image has it, or None. Never for a client."""
    row = reader.one("SELECT media_type, body FROM manifests WHERE digest = ? LIMIT 1", (to_bytes(digest),))
    return (row[0], row[1]) if row else None


def path_of(reader: Reader, manifest: ManifestId) -> str | None:
    """Return the path of the image that has the manifest, or None."""
    row = reader.one("SELECT i.path FROM manifests m JOIN images i ON i.id = m.image_id WHERE m.id = ?", (manifest,))
    return row[0] if row else None


def list_unlinked(reader: Reader, limit: int) -> list[BlobId]:
    """Return readable blobs that no image may use."""
    sql = (
        "SELECT b.id FROM blobs b WHERE b.quarantined_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM links l WHERE l.blob_id = b.id) LIMIT ?"
    )
    return [BlobId(row[0]) for row in reader.rows(sql, (limit,))]
