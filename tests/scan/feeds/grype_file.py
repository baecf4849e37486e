"""A Grype database made from vunnel records as its builder makes it: the tables and blobs of model 6 that we read."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from appliance.scan.feeds.grype import AffectedRow, VulnerabilityRow

R = TypeVar("R", bound=msgspec.Struct)

_TABLES = """
CREATE TABLE blobs (id INTEGER PRIMARY KEY, value TEXT);
CREATE TABLE db_metadata (build_timestamp DATETIME, model INTEGER, revision INTEGER, addition INTEGER);
CREATE TABLE vulnerability_handles (id INTEGER PRIMARY KEY, name TEXT, status TEXT, published_date DATETIME,
    modified_date DATETIME, withdrawn_date DATETIME, provider_id TEXT, blob_id INTEGER);
CREATE TABLE operating_systems (id INTEGER PRIMARY KEY, name TEXT, release_id TEXT, major_version TEXT,
    minor_version TEXT, label_version TEXT, channel TEXT);
CREATE TABLE packages (id INTEGER PRIMARY KEY, ecosystem TEXT, name TEXT);
CREATE TABLE affected_package_handles (id INTEGER PRIMARY KEY, vulnerability_id INTEGER, operating_system_id INTEGER,
    package_id INTEGER, blob_id INTEGER);
CREATE TABLE epss_handles (id INTEGER PRIMARY KEY, cve TEXT, epss REAL, percentile REAL);
CREATE TABLE known_exploited_vulnerability_handles (id INTEGER PRIMARY KEY, cve TEXT, blob_id INTEGER);
INSERT INTO db_metadata VALUES ('2026-08-01T00:00:00Z', 6, 1, 10);
"""

AFFECTED = """
SELECT v.name, v.provider_id, v.status, CAST(vb.value AS BLOB), p.ecosystem, p.name, coalesce(o.name, ''),
    coalesce(o.major_version, ''), coalesce(o.minor_version, ''), coalesce(o.label_version, ''),
    coalesce(o.channel, ''), CAST(pb.value AS BLOB)
FROM affected_package_handles a
JOIN vulnerability_handles v ON v.id = a.vulnerability_id
JOIN packages p ON p.id = a.package_id
JOIN blobs pb ON pb.id = a.blob_id
JOIN blobs vb ON vb.id = v.blob_id
LEFT JOIN operating_systems o ON o.id = a.operating_system_id
"""
VULNERABILITIES = """
SELECT v.name, v.provider_id, v.status, coalesce(v.published_date, ''), coalesce(v.modified_date, ''),
    coalesce(v.withdrawn_date, ''), CAST(b.value AS BLOB)
FROM vulnerability_handles v JOIN blobs b ON b.id = v.blob_id
"""

_SYSTEMS = {"rhel": "redhat", "ol": "oraclelinux", "amzn": "amazonlinux"}
_ECOSYSTEMS = {"dpkg": "deb", "rpm": "rpm", "apk": "apk"}


class _Cve(msgspec.Struct, rename="pascal"):
    name: str


class _Metadata(msgspec.Struct):
    cves: list[_Cve] = msgspec.field(name="CVE", default_factory=list)


class _Notice(msgspec.Struct, rename="pascal"):
    no_advisory: bool = False


class _FixedIn(msgspec.Struct, rename="pascal"):
    name: str
    version: str
    version_format: str
    module: str | None = None
    vulnerable_range: str | None = None
    vendor_advisory: _Notice | None = None


class _Score(msgspec.Struct):
    vector_string: str
    version: str


class Flaw(msgspec.Struct, rename="pascal"):
    """What vunnel says of a flaw in a release of a distribution."""

    name: str
    namespace_name: str
    severity: str
    description: str
    fixed_in: list[_FixedIn]
    metadata: _Metadata
    cvss: list[_Score] = msgspec.field(name="CVSS", default_factory=list)


class _Item(msgspec.Struct):
    flaw: Flaw | None = msgspec.field(name="Vulnerability", default=None)


class _Record(msgspec.Struct):
    schema: str
    item: msgspec.Raw


class _Line(msgspec.Struct):
    record: _Record


def read_flaws(lines: Iterable[bytes]) -> Iterator[Flaw]:
    """The records of distributions among `lines`."""
    for line in lines:
        record = msgspec.json.decode(line, type=_Line).record
        if "/vulnerability/os/" in record.schema:
            flaw = msgspec.json.decode(record.item, type=_Item).flaw
            assert flaw is not None
            yield flaw


class GrypeFile:
    """A database in memory that is filled flaw by flaw."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.executescript(_TABLES)

    def blob(self, value: object) -> int:
        return self.insert("INSERT INTO blobs (value) VALUES (?)", msgspec.json.encode(value).decode())

    def insert(self, statement: str, *values: object) -> int:
        row = self.connection.execute(statement, values).lastrowid
        assert row is not None
        return row

    def add(self, flaw: Flaw) -> None:
        """Write `flaw` as the builder does: a handle, and for each package a handle with its range and fix."""
        system, _colon, release = flaw.namespace_name.partition(":")
        release, _plus, channel = release.partition("+")
        major, _point, minor = release.partition(".")
        label = "" if major.isdigit() else major
        number = self.insert(
            "INSERT INTO operating_systems (name, release_id, major_version, minor_version, label_version, channel)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            _SYSTEMS.get(system, system),
            system,
            "" if label else major,
            minor.lstrip("0") or minor[:1],
            label,
            channel,
        )
        handle = self.vulnerability(system, flaw)
        for fixed in flaw.fixed_in:
            package = self.insert(
                "INSERT INTO packages (ecosystem, name) VALUES (?, ?)", _ECOSYSTEMS[fixed.version_format], fixed.name
            )
            self.insert(
                "INSERT INTO affected_package_handles (vulnerability_id, operating_system_id, package_id, blob_id)"
                " VALUES (?, ?, ?, ?)",
                handle,
                number,
                package,
                self.blob(_affected(flaw, fixed)),
            )

    def vulnerability(self, provider: str, flaw: Flaw) -> int:
        severities: list[object] = []
        if flaw.severity != "Unknown":
            severities.append({"scheme": "CHMLN", "value": flaw.severity.lower(), "rank": 1})
        severities += [
            {"scheme": "CVSS", "value": {"vector": score.vector_string, "version": score.version}, "rank": 2}
            for score in flaw.cvss
        ]
        body = {
            "id": flaw.name,
            "description": flaw.description,
            "aliases": [cve.name for cve in flaw.metadata.cves],
            "severities": severities,
        }
        return self.insert(
            "INSERT INTO vulnerability_handles (name, status, provider_id, blob_id) VALUES (?, 'active', ?, ?)",
            flaw.name,
            provider,
            self.blob(body),
        )

    def affected(self) -> list[AffectedRow]:
        """All rows that matching is about."""
        return self._rows(AFFECTED, AffectedRow)

    def vulnerabilities(self) -> list[VulnerabilityRow]:
        """All rows about ids."""
        return self._rows(VULNERABILITIES, VulnerabilityRow)

    def _rows(self, statement: str, kind: type[R]) -> list[R]:
        names = [field.name for field in msgspec.structs.fields(kind)]
        rows = self.connection.execute(statement)
        return [msgspec.convert(dict(zip(names, row, strict=True)), kind) for row in rows]


def _affected(flaw: Flaw, fixed: _FixedIn) -> object:
    version = "" if fixed.version == "None" else fixed.version
    constraint = fixed.vulnerable_range or (f"< {version}" if version else "")
    is_refused = fixed.vendor_advisory is not None and fixed.vendor_advisory.no_advisory
    state = "fixed" if version else "wont-fix" if is_refused else "not-fixed"
    body: dict[str, object] = {
        "cves": [cve.name for cve in flaw.metadata.cves],
        "ranges": [{"version": {"constraint": constraint}, "fix": {"version": version, "state": state}}],
    }
    if fixed.module is not None:
        body["qualifiers"] = {"rpm_modularity": fixed.module}
    return body
