"""Trivy's database (a bbolt file, schema 2) -> records.

Its buckets: `<release of a distribution>/<package>/<id>`, `<ecosystem>::<source>/<package>/<id>`,
`Red Hat/<package>/<RHSA or CVE>`, `Red Hat CPE/<repository | nvr>/<key>`, `data-source/<bucket>`,
`vulnerability/<id>`; the values are JSON. Buckets of distributions and ecosystems that no detector knows are left out.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import starmap
from typing import TypeVar

import msgspec

from appliance.domain.moment import Timestamp, from_datetime
from appliance.domain.vulnerability import (
    Advisory,
    Cvss,
    Ecosystem,
    FeedRecord,
    Platform,
    PlatformKind,
    Severity,
    Span,
    Status,
    VendorSeverity,
    Vulnerability,
)
from appliance.errors import FeedInvalid
from appliance.scan import namespaces
from appliance.scan.feeds.bbolt import Bucket, Data, Reader
from appliance.scan.feeds.unreadable import UNREADABLE

T = TypeVar("T")

SCHEMA = 2

_DETAILS = "vulnerability"
_SOURCES = "data-source"
_RED_HAT, _RED_HAT_CPE = "Red Hat", "Red Hat CPE"

_DISTRIBUTIONS = (  # bucket -> namespace; the first that fits
    (re.compile(r"(alpine|debian|ubuntu|rocky|alma) (\S+)"), r"\1 \2"),
    (re.compile(r"amazon linux (\S+)"), r"amazon \1"),
    (re.compile(r"Oracle Linux (\S+)"), r"oracle \1"),
    (re.compile(r"Photon OS (\S+)"), r"photon \1"),
    (re.compile(r"SUSE Linux Enterprise Micro (\S+)"), r"sle-micro \1"),
    (re.compile(r"SUSE Linux Enterprise (\d+)(?:-SP|\.)(\d+)"), r"sles \1.\2"),
    (re.compile(r"SUSE Linux Enterprise (\d+)"), r"sles \1"),
    (re.compile(r"openSUSE Leap (\S+)"), r"opensuse-leap \1"),
    (re.compile(r"openSUSE Tumbleweed"), "opensuse-tumbleweed"),
    (re.compile(r"CBL-Mariner (\S+)"), r"cbl-mariner \1"),
    (re.compile(r"Azure Linux (\S+)"), r"azure \1"),
    (re.compile(r"(wolfi|chainguard)"), r"\1"),
)
_ECOSYSTEMS = {
    "pip": Ecosystem.PYPI,
    "npm": Ecosystem.NPM,
    "maven": Ecosystem.MAVEN,
    "composer": Ecosystem.COMPOSER,
    "rubygems": Ecosystem.GEM,
    "cargo": Ecosystem.CARGO,
    "nuget": Ecosystem.NUGET,
    "go": Ecosystem.GOLANG,
}

_NULL, _NOTHING = b"null", b"{}"  # a value without a word: the advisory is only its key

_SEVERITIES = (Severity.UNKNOWN, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)  # by its number
_NAMED_SEVERITIES = {severity.value.upper(): severity for severity in _SEVERITIES[1:]}
_STATUSES = tuple(Status)  # the same words in the same order


class Metadata(msgspec.Struct, frozen=True, rename="pascal"):
    """The file beside the database: which schema, and how old the data are."""

    version: int
    updated_at: datetime
    next_update: datetime | None = None


class _Source(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="ID", default="")


class _Cve(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="ID", default="")
    severity: float = msgspec.field(name="Severity", default=0)


class _Entry(msgspec.Struct, frozen=True, rename="pascal"):
    fixed_version: str = ""
    affected_version: str = ""
    severity: float = 0
    status: float = 0
    arches: tuple[str, ...] | None = None
    vendor_ids: tuple[str, ...] | None = msgspec.field(name="VendorIDs", default=None)
    vulnerable_versions: tuple[str, ...] | None = None
    patched_versions: tuple[str, ...] | None = None
    unaffected_versions: tuple[str, ...] | None = None
    affected: tuple[int, ...] | None = None
    cves: tuple[_Cve, ...] | None = None
    entries: tuple["_Entry", ...] | None = None


class _Score(msgspec.Struct, frozen=True):
    v2_vector: str = msgspec.field(name="V2Vector", default="")
    v3_vector: str = msgspec.field(name="V3Vector", default="")
    v4_vector: str = msgspec.field(name="V40Vector", default="")
    v2_score: float | None = msgspec.field(name="V2Score", default=None)
    v3_score: float | None = msgspec.field(name="V3Score", default=None)
    v4_score: float | None = msgspec.field(name="V40Score", default=None)


class _Detail(msgspec.Struct, frozen=True, rename="pascal"):
    title: str = ""
    description: str = ""
    severity: str = ""
    vendor_severity: dict[str, float] | None = None
    cvss: dict[str, _Score] | None = msgspec.field(name="CVSS", default=None)
    cwes: tuple[str, ...] | None = msgspec.field(name="CweIDs", default=None)
    references: tuple[str, ...] | None = None
    published_date: datetime | None = None
    last_modified_date: datetime | None = None


_decode_metadata = msgspec.json.Decoder(Metadata).decode
_decode_source = msgspec.json.Decoder(_Source).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_detail = msgspec.json.Decoder(_Detail).decode
_decode_indices = msgspec.json.Decoder(tuple[int, ...]).decode


def read_metadata(body: bytes) -> Metadata:
    """Return what `metadata.json` says. Raises FeedInvalid: not such a file, or a schema that is unknown here."""
    try:
        metadata = _decode_metadata(body)
    except UNREADABLE as error:
        raise FeedInvalid(f"metadata.json of the vulnerability database cannot be read: {error}") from error
    if metadata.version != SCHEMA:
        raise FeedInvalid(
            f"the vulnerability database has schema {metadata.version}; this program reads schema {SCHEMA}: "
            "fetch one of that schema, or a newer program"
        )
    return metadata


def read(data: Data) -> Iterator[FeedRecord]:
    """Yield all records of a `trivy.db`, bytes or a memory map. Raises FeedInvalid."""
    reader = Reader(data)
    feeds = _feeds(reader)
    for key, value in reader.root:
        if not isinstance(value, Bucket):
            raise FeedInvalid(f"the vulnerability database has a value {_text(key)!r} where a bucket belongs")
        bucket = _text(key)
        if bucket == _DETAILS:
            yield from _details(value)
        elif bucket == _RED_HAT:
            yield from _red_hat(value)
        elif bucket == _RED_HAT_CPE:
            yield from _platforms(value)
        elif ecosystem := _ECOSYSTEMS.get(bucket.partition("::")[0]) if "::" in bucket else None:
            yield from _language(value, ecosystem, feeds.get(bucket) or bucket.partition("::")[2])
        elif namespace := _namespace(bucket):
            yield from _distribution(value, namespace, feeds.get(bucket) or namespace.partition(" ")[0])


def _namespace(bucket: str) -> str:
    """Return the namespace of a distribution's bucket, empty if no detector knows it."""
    for pattern, namespace in _DISTRIBUTIONS:
        if found := pattern.fullmatch(bucket):
            return found.expand(namespace)
    return ""


def _feeds(reader: Reader) -> dict[str, str]:
    """Return the id of the source of each bucket."""
    for key, value in reader.root:
        if key == _SOURCES.encode() and isinstance(value, Bucket):
            return {_text(bucket): _decode(_decode_source, body, _SOURCES).id for bucket, body in _values(value)}
    return {}


def _distribution(bucket: Bucket, namespace: str, feed: str) -> Iterator[Advisory]:
    for name, vulnerability, body in _packages(bucket):
        entry = _decode(_decode_entry, body, namespace, name, vulnerability)
        for one in entry.entries or (entry,):
            yield Advisory(
                namespace,
                name,
                vulnerability,
                feed,
                fixed=_without_epoch_0(one.fixed_version),
                introduced=one.affected_version,
                severity=_severity(one.severity),
                status=_status(one.status),
                arches=one.arches or (),
                vendor_ids=one.vendor_ids or (),
            )


def _red_hat(bucket: Bucket) -> Iterator[Advisory]:
    for name, key, body in _packages(bucket):
        is_erratum = not key.startswith("CVE-")
        for entry in _decode(_decode_entry, body, _RED_HAT, name, key).entries or ():
            for cve in entry.cves or ():
                yield Advisory(
                    namespaces.RED_HAT,
                    name,
                    cve.id if is_erratum else key,
                    "redhat",
                    fixed=_without_epoch_0(entry.fixed_version),
                    severity=_severity(cve.severity),
                    status=_status(entry.status),
                    arches=entry.arches or (),
                    vendor_ids=(key,) if is_erratum else (),
                    platforms=entry.affected or (),
                )


def _language(bucket: Bucket, ecosystem: Ecosystem, feed: str) -> Iterator[Advisory]:
    namespace = namespaces.of_ecosystem(ecosystem)
    for name, vulnerability, body in _packages(bucket):
        entry = _decode(_decode_entry, body, namespace, name, vulnerability)
        vulnerable, patched = entry.vulnerable_versions or (), entry.patched_versions or ()
        # an empty constraint is how the database says that no version is known to be safe
        is_every = "" in vulnerable or "" in patched
        yield Advisory(
            namespace,
            namespaces.advisory_name(ecosystem, name),
            vulnerability,
            feed,
            fixed=", ".join(dict.fromkeys(filter(None, patched) if patched else _ends(vulnerable))),
            spans=(Span(),) if is_every else (),
            vulnerable=() if is_every else vulnerable,
            patched=() if is_every else patched,
            unaffected=() if is_every else entry.unaffected_versions or (),
            vendor_ids=entry.vendor_ids or (),
        )


def _ends(vulnerable: Iterable[str]) -> Iterator[str]:
    """Yield the versions that end a vulnerable range: the first ones that are mended."""
    for constraint in vulnerable:
        for term in constraint.split(","):
            bound = term.strip()
            if bound.startswith("<") and not bound.startswith("<="):
                yield bound[1:].strip()


def _platforms(bucket: Bucket) -> Iterator[Platform]:
    kinds = {kind.value.encode(): kind for kind in PlatformKind}
    for key, inner in bucket:
        if isinstance(inner, Bucket) and key in kinds:
            for name, body in _values(inner):
                yield Platform(kinds[key], _text(name), _decode(_decode_indices, body, _RED_HAT_CPE, _text(name)))


def _details(bucket: Bucket) -> Iterator[Vulnerability]:
    for key, body in _values(bucket):
        vulnerability = _text(key)
        detail = _decode(_decode_detail, body, _DETAILS, vulnerability)
        yield Vulnerability(
            vulnerability,
            detail.title,
            detail.description,
            severity=_NAMED_SEVERITIES.get(detail.severity),
            vendor_severities=tuple(filter(None, starmap(_opinion, (detail.vendor_severity or {}).items()))),
            cvss=tuple(_scores(detail.cvss or {})),
            cwes=detail.cwes or (),
            references=detail.references or (),
            published_at=_moment(detail.published_date),
            modified_at=_moment(detail.last_modified_date),
        )


@functools.lru_cache(maxsize=1024)  # a few dozen sources times four levels, asked for some million times
def _opinion(source: str, number: float) -> VendorSeverity | None:
    severity = _severity(number)
    return VendorSeverity(source, severity) if severity else None


def _scores(by_source: dict[str, _Score]) -> Iterator[Cvss]:
    for source, score in by_source.items():
        if score.v2_vector:
            yield Cvss(source, "2", score.v2_vector, score.v2_score)
        if score.v3_vector:
            yield Cvss(source, "3", score.v3_vector, score.v3_score)
        if score.v4_vector:
            yield Cvss(source, "4", score.v4_vector, score.v4_score)


def _packages(bucket: Bucket) -> Iterator[tuple[str, str, bytes]]:
    """Yield (package, id, value) of a bucket of buckets."""
    for key, inner in bucket:
        if not isinstance(inner, Bucket):
            raise FeedInvalid(f"the vulnerability database has a value {_text(key)!r} where a package belongs")
        name = _text(key)
        for vulnerability, body in _values(inner):
            yield name, _text(vulnerability), body


def _values(bucket: Bucket) -> Iterator[tuple[bytes, bytes]]:
    for key, value in bucket:
        if isinstance(value, Bucket):
            raise FeedInvalid(f"the vulnerability database has a bucket {_text(key)!r} where a value belongs")
        yield key, value


def _decode(decode: Callable[[bytes], T], body: bytes, *place: str) -> T:
    try:
        return decode(_NOTHING if body == _NULL else body)
    except UNREADABLE as error:
        raise FeedInvalid(f"the vulnerability database is broken at {' / '.join(place)}: {error}") from error


def _text(key: bytes) -> str:
    return key.decode(errors="replace")


def _severity(number: float) -> Severity | None:
    """Return the severity of this number; None where the source has no opinion."""
    place = int(number)
    return _SEVERITIES[place] if 0 < place < len(_SEVERITIES) else None


def _status(number: float) -> Status:
    place = int(number)
    return _STATUSES[place] if 0 <= place < len(_STATUSES) else Status.UNKNOWN


def _without_epoch_0(version: str) -> str:
    return version.removeprefix("0:")


def _moment(moment: datetime | None) -> Timestamp | None:
    """Return `moment`; None for the year 1, by which the source says that it does not know."""
    return from_datetime(moment) if moment and moment.year > 1 else None
