"""Records of the OSV schema (ossf.github.io/osv-schema), from an archive of JSON files or one record a line.

A flaw goes by its CVE where it has one, so that it meets what other sources say of it. Records of a distribution's
errata count for each CVE they mend. Ecosystems that no detector knows, and distributions whose records name packages
otherwise than our matching asks, are left out.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from appliance.domain.moment import from_datetime
from appliance.domain.vulnerability import (
    Advisory,
    Cvss,
    Ecosystem,
    FeedRecord,
    Severity,
    Span,
    VendorSeverity,
    Vulnerability,
)
from appliance.errors import FeedInvalid
from appliance.scan import namespaces
from appliance.scan.feeds.archive import read_json_files
from appliance.scan.feeds.bbolt import Data
from appliance.scan.feeds.unreadable import UNREADABLE
from appliance.scan.matching.verdict import is_within
from appliance.scan.versions import SCHEMES, Scheme, VersionInvalid

_LANGUAGES = {  # ecosystem, up to its first point or colon
    "PyPI": Ecosystem.PYPI,
    "npm": Ecosystem.NPM,
    "Maven": Ecosystem.MAVEN,
    "Packagist": Ecosystem.COMPOSER,
    "NuGet": Ecosystem.NUGET,
    "Go": Ecosystem.GOLANG,
    "crates": Ecosystem.CARGO,
    "RubyGems": Ecosystem.GEM,
}
_DISTRIBUTIONS = (  # ecosystem -> namespace; a major release is enough for Debian and AlmaLinux
    (re.compile(r"Debian:(\d+)(?:\.\d+)?"), r"debian \1", Ecosystem.DEB),
    (re.compile(r"Ubuntu:(\d+\.\d+)(?::LTS)?"), r"ubuntu \1", Ecosystem.DEB),
    (re.compile(r"Alpine:v(\d+\.\d+)"), r"alpine \1", Ecosystem.APK),
    (re.compile(r"AlmaLinux:(\d+)(?:\.\d+)?"), r"alma \1", Ecosystem.RPM),
    (re.compile(r"Wolfi"), "wolfi", Ecosystem.APK),
    (re.compile(r"Chainguard"), "chainguard", Ecosystem.APK),
)
_FEEDS = {"GHSA": "ghsa", "GO": "govulndb"}  # by the first part of an id; all others are "osv", as Trivy calls them
_SEVERITIES = {
    "negligible": Severity.NEGLIGIBLE,
    "low": Severity.LOW,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
_CVSS_TYPES = {"CVSS_V2": "2", "CVSS_V3": "3", "CVSS_V4": "4"}
_JUDGED_RANGES = frozenset({"ECOSYSTEM", "SEMVER"})  # a range of commits says nothing about an installed package


class _Event(msgspec.Struct, frozen=True):
    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""
    limit: str = ""


class _Range(msgspec.Struct, frozen=True):
    type: str
    events: tuple[_Event, ...] = ()


class _Package(msgspec.Struct, frozen=True):
    ecosystem: str
    name: str


class _Score(msgspec.Struct, frozen=True):
    type: str
    score: str


class _Affected(msgspec.Struct, frozen=True):
    package: _Package | None = None
    ranges: tuple[_Range, ...] | None = None
    versions: tuple[str, ...] | None = None
    severity: tuple[_Score, ...] | None = None


class _Reference(msgspec.Struct, frozen=True):
    url: str


class _Extra(msgspec.Struct, frozen=True):
    severity: str = ""
    cwe_ids: tuple[str, ...] = ()


_NOTHING = msgspec.Raw(b"{}")


class _Record(msgspec.Struct, frozen=True):
    id: str
    modified: datetime | None = None
    published: datetime | None = None
    withdrawn: datetime | None = None
    aliases: tuple[str, ...] | None = None
    upstream: tuple[str, ...] | None = None
    related: tuple[str, ...] | None = None
    summary: str = ""
    details: str = ""
    severity: tuple[_Score, ...] | None = None
    affected: tuple[_Affected, ...] | None = None
    references: tuple[_Reference, ...] | None = None
    database_specific: msgspec.Raw = _NOTHING


_decode_record = msgspec.json.Decoder(_Record).decode
_decode_extra = msgspec.json.Decoder(_Extra).decode


class _Place(msgspec.Struct, frozen=True):
    """Where the advisories of an ecosystem belong."""

    namespace: str
    ecosystem: Ecosystem


def read_archive(data: Data) -> Iterator[FeedRecord]:
    """Yield the records of a zip archive of JSON files. Raises FeedInvalid."""
    for name, body in read_json_files(data):
        yield from read_record(body, name)


def read_lines(lines: Iterable[bytes]) -> Iterator[FeedRecord]:
    """Yield the records of `lines`, a JSON document each. Raises FeedInvalid."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield from read_record(line, f"line {number}")


def read_record(body: bytes, place: str) -> Iterator[FeedRecord]:
    """Yield what one record says: nothing if it was withdrawn. `place` names it in errors. Raises FeedInvalid."""
    try:
        record = _decode_record(body)
    except UNREADABLE as error:
        raise FeedInvalid(f"{place} is no OSV record: {error}") from error
    if record.withdrawn is not None:
        return
    told: dict[str, None] = {}
    for affected in record.affected or ():
        found = _place(affected.package)
        if affected.package is None or found is None:
            continue
        for advisory in _advisories(record, affected, affected.package.name, found):
            told[advisory.id] = None
            yield advisory
    for identity in told:
        yield _vulnerability(record, identity)


def _place(package: _Package | None) -> _Place | None:
    if package is None:
        return None
    if language := _LANGUAGES.get(re.split(r"[.:]", package.ecosystem, maxsplit=1)[0]):
        return _Place(namespaces.of_ecosystem(language), language)
    for pattern, namespace, ecosystem in _DISTRIBUTIONS:
        if found := pattern.fullmatch(package.ecosystem):
            return _Place(found.expand(namespace), ecosystem)
    return None


def _advisories(record: _Record, affected: _Affected, name: str, place: _Place) -> Iterator[Advisory]:
    """Yield an advisory for each flaw that `record` is about."""
    scheme = SCHEMES[place.ecosystem]
    spans = tuple(_spans(scheme, affected.ranges or ()))
    listed = tuple(_beyond(scheme, affected.versions or (), spans, is_exact=place.ecosystem.is_language))
    names = _names(record, is_erratum=not place.ecosystem.is_language)
    flaws = [one for one in names if one.startswith("CVE-")] or [record.id]
    for identity in flaws:
        yield Advisory(
            place.namespace,
            namespaces.advisory_name(place.ecosystem, name),
            identity,
            _feed(record, place),
            fixed=", ".join(dict.fromkeys(span.fixed for span in spans if span.fixed)),
            spans=spans,
            versions=listed,
            severity=_vendor_severity(affected.severity or record.severity or ()),
            vendor_ids=(record.id,) if record.id != identity else (),
            aliases=tuple(one for one in names if one != identity) if len(flaws) == 1 else (),
        )


def _names(record: _Record, *, is_erratum: bool) -> list[str]:
    """Return all names of the flaw; those of an erratum include what it mends, which is no alias of each other."""
    names = [record.id, *(record.aliases or ())]
    if is_erratum:
        names += [*(record.upstream or ()), *(record.related or ())]
    return list(dict.fromkeys(names))


def _feed(record: _Record, place: _Place) -> str:
    if not place.ecosystem.is_language:
        return place.namespace.partition(" ")[0]
    return _FEEDS.get(record.id.partition("-")[0], "osv")


def _spans(scheme: Scheme, ranges: Iterable[_Range]) -> Iterator[Span]:
    for one in ranges:
        if one.type in _JUDGED_RANGES:
            yield from _spans_of(_sorted(scheme, one.events))


def _spans_of(events: Iterable[_Event]) -> Iterator[Span]:
    """Yield the spans between events in their order ("Evaluation": each event switches the state at its version)."""
    start: str | None = None
    for event in events:
        if event.introduced:
            start = event.introduced if start is None else start
        elif start is not None:
            begin = "" if start == "0" else start
            yield Span(begin, last=event.last_affected) if event.last_affected else Span(begin, _end(event))
            start = None
    if start is not None:
        yield Span("" if start == "0" else start)


def _beyond(scheme: Scheme, versions: tuple[str, ...], spans: tuple[Span, ...], *, is_exact: bool) -> Iterator[str]:
    """Yield the listed versions that no span covers: few, and often none, of hundreds.

    A distribution's list repeats its spans, and checking it would cost more than all the rest (`is_exact` False).
    """
    if spans and not is_exact:
        return
    for version in versions:
        try:
            if not is_within(scheme, version, spans):
                yield version
        except VersionInvalid:
            yield version


def _end(event: _Event) -> str:
    return event.fixed or ("" if event.limit == "*" else event.limit)


def _sorted(scheme: Scheme, events: tuple[_Event, ...]) -> Iterable[_Event]:
    """Return `events` by version, as they come where one of them cannot be read."""
    try:
        return sorted(events, key=lambda event: _event_key(scheme, event))
    except VersionInvalid:
        return events


def _event_key(scheme: Scheme, event: _Event) -> tuple[object, ...]:
    version = event.introduced or event.fixed or event.last_affected or event.limit
    if version == "0":  # before all versions, whether the ecosystem has such a version or not
        return (0,)
    if version == "*":
        return (2,)
    return (1, scheme.key(version))


def _vendor_severity(scores: Iterable[_Score]) -> Severity | None:
    """Return the distribution's own word; CVSS is the business of the vulnerability."""
    return next((_SEVERITIES.get(one.score.lower()) for one in scores if one.type not in _CVSS_TYPES), None)


def _vulnerability(record: _Record, identity: str) -> Vulnerability:
    feed = _FEEDS.get(record.id.partition("-")[0], "osv")
    extra = _extra(record.database_specific)
    severity = _SEVERITIES.get(extra.severity.lower())
    scores = [*(record.severity or ()), *(one for each in record.affected or () for one in each.severity or ())]
    return Vulnerability(
        identity,
        record.summary,
        record.details,
        vendor_severities=(VendorSeverity(feed, severity),) if severity else (),
        cvss=tuple(
            dict.fromkeys(Cvss(feed, _CVSS_TYPES[one.type], one.score) for one in scores if one.type in _CVSS_TYPES)
        ),
        cwes=extra.cwe_ids,
        references=tuple(dict.fromkeys(reference.url for reference in record.references or ())),
        aliases=tuple(one for one in (record.id, *(record.aliases or ())) if one != identity),
        published_at=from_datetime(record.published) if record.published and record.published.year > 1 else None,
        modified_at=from_datetime(record.modified) if record.modified and record.modified.year > 1 else None,
    )


def _extra(body: msgspec.Raw) -> _Extra:
    """Return what some databases add; each has its own fields there, so a stranger's are no fault of the record."""
    try:
        return _decode_extra(body)
    except UNREADABLE:
        return _Extra()
