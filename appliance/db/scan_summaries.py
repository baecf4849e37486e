"""What the pull limit knows of a manifest's scan; no row: it was never scanned."""

from collections.abc import Iterable

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.image_policy import Scanned, ScanState
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, to_bytes
from appliance.domain.registry import ImageId, ManifestId
from appliance.domain.vulnerability import Summary

_DECODER = msgspec.json.Decoder(Summary)


def find(reader: Reader, manifest: ManifestId) -> Scanned | None:
    """Return the last scan of `manifest`, or None. A point read: for the loop."""
    row = reader.one("SELECT state, summary, scanned_at FROM scan_summaries WHERE manifest_id = ?", (manifest,))
    return _scanned(row) if row is not None else None


def find_many(reader: Reader, wanted: Iterable[ManifestId]) -> dict[ManifestId, Scanned]:
    """Return the last scans of `wanted`, by one query; nothing for those never scanned."""
    sql = (
        "SELECT s.state, s.summary, s.scanned_at, s.manifest_id FROM json_each(?) w"
        " CROSS JOIN scan_summaries s ON s.manifest_id = w.value"
    )
    rows = reader.rows(sql, (msgspec.json.encode(list(wanted)).decode(),))
    return {ManifestId(row[3]): _scanned(row) for row in rows}


def list_asked(reader: Reader, digest: Digest) -> list[tuple[ManifestId, ImageId, ScanState]]:
    """Return the live manifests of that digest for which a scan was ever asked, with their images."""
    sql = (
        "SELECT m.id, m.image_id, s.state FROM manifests m JOIN scan_summaries s ON s.manifest_id = m.id"
        " WHERE m.digest = ? AND m.removed_at IS NULL"
    )
    return [(ManifestId(row[0]), ImageId(row[1]), ScanState(row[2])) for row in reader.rows(sql, (to_bytes(digest),))]


def put(tx: Transaction, manifest: ManifestId, scanned: Scanned) -> None:
    """Write down the last scan of `manifest`; the writer keeps a complete one while the next only waits."""
    values: Values = {
        "manifest": manifest,
        "state": scanned.state.value,
        "at": scanned.scanned_at,
        "summary": "" if scanned.summary is None else msgspec.json.encode(scanned.summary).decode(),
    }
    tx.execute(
        "INSERT INTO scan_summaries (manifest_id, state, scanned_at, summary) VALUES (:manifest, :state, :at, :summary)"
        " ON CONFLICT (manifest_id) DO UPDATE SET state = :state, scanned_at = :at, summary = :summary",
        values,
    )


def _scanned(row: Row) -> Scanned:
    summary = _DECODER.decode(row[1]) if row[1] else None
    return Scanned(ScanState(row[0]), summary, None if row[2] is None else Timestamp(row[2]))
