"""Scans: what is known of a manifest's content, by its digest. In `scan.sqlite`."""

import zlib
from collections.abc import Collection
from typing import NewType

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, from_bytes, to_bytes
from appliance.domain.scan import Scan, Verdict
from appliance.domain.vulnerability import DataVersion, Inventory, Severity, Summary, summarise

ScanId = NewType("ScanId", int)

Mark = Row | None

_INVENTORY = msgspec.msgpack.Decoder(Inventory)
_VERDICT = msgspec.msgpack.Decoder(Verdict)
_SUMMARY = msgspec.json.Decoder(Summary)
_LEVEL = 1  # of zlib: a quarter of the time of its usual level, for a tenth more bytes
_COLUMNS = "id, digest, reader, read_at, matcher, data, data_built_at, matched_at, inventory, verdict"


class Standing(msgspec.Struct, frozen=True):
    """With what a manifest was scanned: enough to tell whether that is stale."""

    reader: str
    read_at: Timestamp
    matcher: int
    data: str  # digest of the vulnerability data; "" for none
    matched_at: Timestamp
    is_complete: bool
    summary: Summary  # before any exclusion; of packages and secrets alone where there were no data


def put(tx: Transaction, scan: Scan) -> None:
    """Write down the scan of a manifest in the place of the one before."""
    digest = to_bytes(scan.digest)
    for (old,) in tx.rows("SELECT id FROM scans WHERE digest = ?", (digest,)):
        drop(tx, ScanId(old))
    values: Values = {
        "digest": digest,
        "reader": scan.reader,
        "read_at": scan.read_at,
        "matcher": scan.matcher,
        "data": scan.data.digest if scan.data else "",
        "built": scan.data.built_at if scan.data else None,
        "matched_at": scan.matched_at,
        "complete": scan.report.is_complete,
        "summary": msgspec.json.encode(summarise(scan.report)).decode(),
        "inventory": _pack(scan.inventory),
        "verdict": _pack(scan.verdict),
    }
    row = tx.insert(
        "INSERT INTO scans (digest, reader, read_at, matcher, data, data_built_at, matched_at, is_complete, summary,"
        " inventory, verdict) VALUES (:digest, :reader, :read_at, :matcher, :data, :built, :matched_at, :complete,"
        " :summary, :inventory, :verdict)",
        values,
    )
    tx.execute_many(
        "INSERT INTO scan_layers (scan_id, position, digest) VALUES (?, ?, ?)",
        ((row, position, to_bytes(layer)) for position, layer in enumerate(scan.layers)),
    )
    _index_packages(tx, ScanId(row), scan)
    _index_findings(tx, ScanId(row), scan)


def judge(tx: Transaction, row: ScanId, scan: Scan, *, has_other_packages: bool) -> bool:
    """Write down the verdict of `scan`, which was loaded as `row`. False: another scan has taken its place.

    Its packages are written down only where the data have made other ones of them: they are the most of a scan.
    """
    values: Values = {
        "id": row,
        "matcher": scan.matcher,
        "data": scan.data.digest if scan.data else "",
        "built": scan.data.built_at if scan.data else None,
        "matched_at": scan.matched_at,
        "complete": scan.report.is_complete,
        "summary": msgspec.json.encode(summarise(scan.report)).decode(),
        "inventory": _pack(scan.inventory) if has_other_packages else None,
        "verdict": _pack(scan.verdict),
    }
    changed = tx.execute(
        "UPDATE scans SET matcher = :matcher, data = :data, data_built_at = :built, matched_at = :matched_at,"
        " is_complete = :complete, summary = :summary,"
        " inventory = coalesce(:inventory, inventory), verdict = :verdict WHERE id = :id",
        values,
    )
    if changed:
        if has_other_packages:
            tx.execute("DELETE FROM scan_packages WHERE scan_id = ?", (row,))
            _index_packages(tx, row, scan)
        _index_findings(tx, row, scan)
    return changed == 1


def _index_packages(tx: Transaction, row: ScanId, scan: Scan) -> None:
    """Let the search find the scan by its packages."""
    packages = {(one.name.lower(), one.version, one.ecosystem.value) for one in scan.inventory.packages}
    tx.execute_many(
        "INSERT INTO scan_packages (name, version, ecosystem, scan_id) VALUES (?, ?, ?, ?)",
        ((*package, row) for package in sorted(packages)),
    )


def _index_findings(tx: Transaction, row: ScanId, scan: Scan) -> None:
    """Let the search find the scan by its findings. Another matching changes few of them: only those are written."""
    worst: dict[str, Severity] = {}
    for finding in scan.verdict.findings:
        worst[finding.id] = max(worst.get(finding.id, Severity.NONE), finding.severity)
    wanted = {(vulnerability.upper(), severity.rank) for vulnerability, severity in worst.items()}
    there = set(tx.rows("SELECT vulnerability, severity FROM scan_findings WHERE scan_id = ?", (row,)))
    tx.execute_many(
        "DELETE FROM scan_findings WHERE vulnerability = ? AND scan_id = ?",
        ((vulnerability, row) for vulnerability, _ in sorted(there - wanted)),
    )
    tx.execute_many(
        "INSERT OR IGNORE INTO scan_findings (vulnerability, scan_id, severity) VALUES (?, ?, ?)",
        ((vulnerability, row, rank) for vulnerability, rank in sorted(wanted - there, key=lambda one: one[0])),
    )


def drop(tx: Transaction, row: ScanId) -> None:
    """Forget a scan; its layers stay for others, until they belong to none."""
    for table in ("scan_layers", "scan_packages", "scan_findings"):
        tx.execute(f"DELETE FROM {table} WHERE scan_id = ?", (row,))
    tx.execute("DELETE FROM scans WHERE id = ?", (row,))


def find(reader: Reader, digest: Digest) -> Scan | None:
    """Return the scan of the manifest `digest`, or None. It inflates what was kept: for a worker thread."""
    row = reader.one(f"SELECT {_COLUMNS} FROM scans WHERE digest = ?", (to_bytes(digest),))
    return _scan(reader, row) if row else None


def mark_of(reader: Reader, digest: Digest) -> Mark:
    """Return a value that is another one whenever the scan of the manifest is; None: there is none."""
    return reader.one("SELECT id, matched_at, matcher, data FROM scans WHERE digest = ?", (to_bytes(digest),))


def find_standing(reader: Reader, digest: Digest) -> Standing | None:
    """Return with what the manifest was scanned, or None."""
    sql = "SELECT reader, read_at, matcher, data, matched_at, is_complete, summary FROM scans WHERE digest = ?"
    row = reader.one(sql, (to_bytes(digest),))
    return _standing(row) if row else None


def standings_of(reader: Reader, digests: Collection[Digest]) -> dict[Digest, Standing]:
    """Return the same for many, by one query; nothing for those never scanned."""
    sql = (
        "SELECT s.reader, s.read_at, s.matcher, s.data, s.matched_at, s.is_complete, s.summary, s.digest"
        " FROM json_each(?) w CROSS JOIN scans s ON s.digest = unhex(w.value)"
    )
    rows = reader.rows(sql, (msgspec.json.encode([to_bytes(one).hex() for one in digests]).decode(),))
    return {from_bytes(row[7]): _standing(row) for row in rows}


def list_matched_otherwise(reader: Reader, data: str, matcher: int, after: ScanId, limit: int) -> list[ScanId]:
    """Return scans above `after` that were matched with other data than `data`, or by another version of the rules."""
    sql = "SELECT id FROM scans WHERE id > ? AND (data <> ? OR matcher <> ?) ORDER BY id LIMIT ?"
    return [ScanId(row[0]) for row in reader.rows(sql, (after, data, matcher, limit))]


def load(reader: Reader, row: ScanId) -> Scan | None:
    """Return the scan of that id, or None where another one has taken its place."""
    found = reader.one(f"SELECT {_COLUMNS} FROM scans WHERE id = ?", (row,))
    return _scan(reader, found) if found else None


def list_with(reader: Reader, vulnerability: str | None) -> list[ScanId]:
    """Return the scans that found `vulnerability` (in upper case); None: that found any."""
    if vulnerability is None:
        return [ScanId(row[0]) for row in reader.rows("SELECT DISTINCT scan_id FROM scan_findings ORDER BY scan_id")]
    sql = "SELECT scan_id FROM scan_findings WHERE vulnerability = ?"
    return [ScanId(row[0]) for row in reader.rows(sql, (vulnerability,))]


def list_digests(reader: Reader, after: ScanId, limit: int) -> list[tuple[ScanId, Digest]]:
    """Return scans with ids above `after`, and which manifests they are of, in order."""
    sql = "SELECT id, digest FROM scans WHERE id > ? ORDER BY id LIMIT ?"
    return [(ScanId(row[0]), from_bytes(row[1])) for row in reader.rows(sql, (after, limit))]


def layers_of(reader: Reader, row: ScanId) -> tuple[Digest, ...]:
    """Return the blobs of a scan's layers, the lowest first."""
    sql = "SELECT digest FROM scan_layers WHERE scan_id = ? ORDER BY position"
    return tuple(from_bytes(found[0]) for found in reader.rows(sql, (row,)))


def _scan(reader: Reader, row: Row) -> Scan:
    data = DataVersion(row[5], Timestamp(row[6])) if row[5] else None
    inventory = _INVENTORY.decode(zlib.decompress(row[8]))
    verdict = _VERDICT.decode(zlib.decompress(row[9]))
    layers = layers_of(reader, ScanId(row[0]))
    read_at, matched_at = Timestamp(row[3]), Timestamp(row[7])
    return Scan(from_bytes(row[1]), layers, row[2], read_at, inventory, row[4], data, matched_at, verdict)


def _standing(row: Row) -> Standing:
    return Standing(row[0], Timestamp(row[1]), row[2], row[3], Timestamp(row[4]), bool(row[5]), _SUMMARY.decode(row[6]))


def _pack(value: object) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(value), _LEVEL)
