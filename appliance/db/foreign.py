"""SQLite files that others made: a Grype database, read once; a Java database, kept as it is and asked by SHA-1.

Such a file is foreign bytes. It is opened as one that nobody changes, its views and triggers do not run, and what is
asked of it must be plain tables with the columns we name.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec

from appliance.db.advisories import open_immutable
from appliance.db.database import Row
from appliance.errors import FeedInvalid

MAGIC = b"SQLite format 3\0"
_LONGEST = 64 << 20  # bytes of one value; the largest blobs have some hundred KiB

_AFFECTED = """
SELECT CAST(coalesce(v.name, '') AS TEXT), CAST(coalesce(v.provider_id, '') AS TEXT),
  CAST(coalesce(v.status, '') AS TEXT), CAST(coalesce(vb.value, '') AS BLOB),
  CAST(coalesce(p.ecosystem, '') AS TEXT), CAST(coalesce(p.name, '') AS TEXT),
  CAST(coalesce(o.name, '') AS TEXT), CAST(coalesce(o.major_version, '') AS TEXT),
  CAST(coalesce(o.minor_version, '') AS TEXT), CAST(coalesce(o.label_version, '') AS TEXT),
  CAST(coalesce(o.channel, '') AS TEXT), CAST(coalesce(pb.value, '') AS BLOB)
FROM affected_package_handles a
JOIN vulnerability_handles v ON v.id = a.vulnerability_id
JOIN packages p ON p.id = a.package_id
JOIN blobs pb ON pb.id = a.blob_id
JOIN blobs vb ON vb.id = v.blob_id
LEFT JOIN operating_systems o ON o.id = a.operating_system_id
"""
_VULNERABILITIES = """
SELECT CAST(coalesce(v.name, '') AS TEXT), CAST(coalesce(v.provider_id, '') AS TEXT),
  CAST(coalesce(v.status, '') AS TEXT), CAST(coalesce(v.published_date, '') AS TEXT),
  CAST(coalesce(v.modified_date, '') AS TEXT), CAST(coalesce(v.withdrawn_date, '') AS TEXT),
  CAST(coalesce(b.value, '') AS BLOB)
FROM vulnerability_handles v JOIN blobs b ON b.id = v.blob_id
"""
_SCORES = "SELECT CAST(cve AS TEXT), CAST(epss AS REAL) FROM epss_handles WHERE cve IS NOT NULL AND epss IS NOT NULL"
_EXPLOITED = "SELECT CAST(cve AS TEXT) FROM known_exploited_vulnerability_handles WHERE cve IS NOT NULL"
_METADATA = "SELECT CAST(model AS INTEGER), CAST(coalesce(build_timestamp, '') AS TEXT) FROM db_metadata LIMIT 1"

GRYPE_TABLES: Mapping[str, Collection[str]] = {
    "db_metadata": ("model", "build_timestamp"),
    "blobs": ("id", "value"),
    "packages": ("id", "ecosystem", "name"),
    "operating_systems": ("id", "name", "major_version", "minor_version", "label_version", "channel"),
    "vulnerability_handles": (
        "id", "name", "status", "published_date", "modified_date", "withdrawn_date", "provider_id", "blob_id",
    ),
    "affected_package_handles": ("vulnerability_id", "operating_system_id", "package_id", "blob_id"),
}  # fmt: skip
GRYPE_EXTRAS: Mapping[str, Collection[str]] = {
    "epss_handles": ("cve", "epss"),
    "known_exploited_vulnerability_handles": ("cve",),
}
JAVA_TABLES: Mapping[str, Collection[str]] = {
    "artifacts": ("id", "group_id", "artifact_id"),
    "indices": ("artifact_id", "version", "sha1", "archive_type"),
}

_ARCHIVES = """
SELECT CAST(a.group_id AS TEXT), CAST(a.artifact_id AS TEXT), CAST(i.version AS TEXT), lower(hex(i.sha1))
FROM indices i JOIN artifacts a ON a.id = i.artifact_id
"""
_BY_SHA1 = f"{_ARCHIVES} WHERE i.sha1 IN (SELECT unhex(value) FROM json_each(?)) ORDER BY 4, 1, 2, 3"
_BY_ARTIFACT = (
    f"{_ARCHIVES} WHERE i.archive_type = 'jar' AND a.id IN"
    " (SELECT id FROM artifacts WHERE artifact_id IN (SELECT value FROM json_each(?)))"
)


class ForeignFile:
    """A foreign SQLite file, open for reading by one thread at a time."""

    def __init__(self, path: Path, what: str) -> None:
        """Open it; `what` is what messages call it. Raises FeedInvalid."""
        self._what = what
        with self._reading():
            self._connection = open_immutable(path)
            self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LONGEST)
            self._tables = self._find_tables()

    def has(self, tables: Mapping[str, Collection[str]]) -> bool:
        """Whether it has these tables with at least these columns."""
        return all(set(columns) <= self._tables.get(table, set()) for table, columns in tables.items())

    def check(self) -> None:
        """Read all of it once. Raises FeedInvalid where it is broken."""
        with self._reading():
            found = [row[0] for row in self._connection.execute("PRAGMA quick_check(1)")]
        if found != ["ok"]:
            raise FeedInvalid(f"{self._what} is broken: {found[0] if found else 'nothing can be read'}; fetch it again")

    def grype_metadata(self) -> tuple[int, str]:
        """Return the model and when it was built, as the file says it. Raises FeedInvalid."""
        row = next(self._rows(_METADATA), None)
        if row is None or not isinstance(row[0], int):
            raise FeedInvalid(f"{self._what} does not say which model it is; fetch it again")
        return row[0], str(row[1])

    def affected(self) -> Iterator[Row]:
        """Yield all rows about packages, as `feeds.grype.AffectedRow` has them."""
        return self._rows(_AFFECTED)

    def vulnerabilities(self) -> Iterator[Row]:
        """Yield all rows about ids, as `feeds.grype.VulnerabilityRow` has them."""
        return self._rows(_VULNERABILITIES)

    def scores(self) -> Iterator[Row]:
        """Yield (cve, probability of exploitation), nothing where the file has none."""
        return self._rows(_SCORES) if self.has({"epss_handles": GRYPE_EXTRAS["epss_handles"]}) else iter(())

    def exploited(self) -> Iterator[Row]:
        """Yield (cve,) of the catalogue of exploited ones, nothing where the file has none."""
        table = "known_exploited_vulnerability_handles"
        return self._rows(_EXPLOITED) if self.has({table: GRYPE_EXTRAS[table]}) else iter(())

    def archives_by_sha1(self, sums: Collection[str]) -> list[Row]:
        """Return (group, artifact, version, sha1) of the archives with these sums (hex, lower case)."""
        return list(self._rows(_BY_SHA1, msgspec.json.encode(sorted(sums)).decode()))

    def archives_by_artifact(self, names: Collection[str]) -> list[Row]:
        """Return the same of all jars whose artifact has one of these names."""
        return list(self._rows(_BY_ARTIFACT, msgspec.json.encode(sorted(names)).decode()))

    def close(self) -> None:
        """Let it go."""
        self._connection.close()

    def _find_tables(self) -> dict[str, set[str]]:
        """Return the columns of each plain table."""
        sql = (
            "SELECT s.name, c.name FROM sqlite_schema s, pragma_table_info(s.name) c"
            " WHERE s.type = 'table' AND s.sql LIKE 'CREATE TABLE%'"
        )
        tables: dict[str, set[str]] = {}
        for table, column in self._connection.execute(sql):
            tables.setdefault(str(table), set()).add(str(column))
        return tables

    def _rows(self, sql: str, *values: str) -> Iterator[Row]:
        with self._reading():
            yield from self._connection.execute(sql, values)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, OSError, UnicodeDecodeError) as error:
            raise FeedInvalid(f"{self._what} cannot be read: {error}; fetch it again") from error
