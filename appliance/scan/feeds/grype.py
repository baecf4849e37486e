"""Grype's database (SQLite, model 6) -> records. Whoever opened it hands over the rows; the blobs in them are JSON.

Its rpm advisories name packages by source or by binary, as each vendor does, so they are kept in namespaces of their
own (`namespaces.by_any_name`) and asked for by both names.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

import msgspec

from appliance.domain.moment import Timestamp, from_datetime
from appliance.domain.vulnerability import (
    Advisory,
    Cvss,
    Distribution,
    Ecosystem,
    Severity,
    Span,
    Status,
    VendorSeverity,
    Vulnerability,
)
from appliance.errors import FeedInvalid
from appliance.scan import namespaces
from appliance.scan.feeds.unreadable import UNREADABLE

T = TypeVar("T")

MODEL = 6

_LANGUAGES = {
    "python": Ecosystem.PYPI,
    "npm": Ecosystem.NPM,
    "java-archive": Ecosystem.MAVEN,
    "php-composer": Ecosystem.COMPOSER,
    "dotnet": Ecosystem.NUGET,
    "go-module": Ecosystem.GOLANG,
    "rust-crate": Ecosystem.CARGO,
    "gem": Ecosystem.GEM,
}
_FAMILIES = {  # name of the operating system -> family, where they differ
    "rhel": "redhat",
    "amazonlinux": "amazon",
    "amzn": "amazon",
    "oraclelinux": "oracle",
    "ol": "oracle",
    "rockylinux": "rocky",
    "almalinux": "alma",
    "mariner": "cbl-mariner",
    "azurelinux": "azure",
    "archlinux": "arch",
}
_BY_EXACT_NAME = frozenset({"apk", "deb"})  # of these, Grype names the packages that Trivy names, and we ask for
_FEEDS = {"github": "ghsa", "rhel": "redhat"}  # provider -> feed
_SEVERITIES = {severity.value: severity for severity in Severity if severity is not Severity.UNKNOWN}
_STATUSES = {
    "fixed": Status.FIXED,
    "not-fixed": Status.AFFECTED,
    "wont-fix": Status.WILL_NOT_FIX,
    "not-affected": Status.NOT_AFFECTED,
}
_REJECTED = "rejected"
_ANY_BINARY = "binary-no-arch-specified"
_BOUNDS = {  # operator -> the ends of a span that it sets
    "<": ("fixed",),
    "<=": ("last",),
    ">=": ("introduced",),
    "=": ("introduced", "last"),
    "==": ("introduced", "last"),
}
_TERM = re.compile(r"(?P<operator><=|>=|<|>|==?|)\s*(?P<version>[^\s,|<>=]+)[\s,]*")


class AffectedRow(msgspec.Struct, frozen=True):
    """A row of `affected_package_handles` with what it points to.

    From `vulnerability_handles`: name, provider_id, status and the value of its blob; from `packages`: ecosystem and
    name; from `operating_systems`: name, major_version, minor_version, label_version, channel (empty for languages);
    and the value of its own blob.
    """

    vulnerability: str
    provider: str
    status: str
    vulnerability_blob: bytes
    ecosystem: str
    package: str
    system: str
    major: str
    minor: str
    label: str
    channel: str
    blob: bytes


class VulnerabilityRow(msgspec.Struct, frozen=True):
    """A row of `vulnerability_handles` with the value of its blob; dates as the database has them, or empty."""

    name: str
    provider: str
    status: str
    published: str
    modified: str
    withdrawn: str
    blob: bytes


class _Fix(msgspec.Struct, frozen=True):
    version: str = ""
    state: str = ""


class _Version(msgspec.Struct, frozen=True):
    constraint: str = ""


class _Range(msgspec.Struct, frozen=True):
    version: _Version = _Version()
    fix: _Fix | None = None


class _Qualifiers(msgspec.Struct, frozen=True):
    rpm_modularity: str | None = None
    platform_cpes: tuple[str, ...] | None = None
    rootio: bool | None = None
    architecture: str | None = None


class _Package(msgspec.Struct, frozen=True):
    cves: tuple[str, ...] | None = None
    qualifiers: _Qualifiers | None = None
    ranges: tuple[_Range, ...] | None = None


class _Vector(msgspec.Struct, frozen=True):
    vector: str
    version: str = ""


class _Severity(msgspec.Struct, frozen=True):
    value: _Vector | str
    source: str = ""


class _Reference(msgspec.Struct, frozen=True):
    url: str


class _Vulnerability(msgspec.Struct, frozen=True):
    description: str = ""
    refs: tuple[_Reference, ...] | None = None
    aliases: tuple[str, ...] | None = None
    severities: tuple[_Severity, ...] | None = None


_decode_package = msgspec.json.Decoder(_Package).decode
_decode_vulnerability = msgspec.json.Decoder(_Vulnerability).decode


def check_model(model: int) -> None:
    """Refuse what `db_metadata.model` says is not model 6. Raises FeedInvalid."""
    if model != MODEL:
        raise FeedInvalid(
            f"the Grype database has model {model}; this program reads model {MODEL}: fetch one of that model"
        )


def read_affected(rows: Iterable[AffectedRow]) -> Iterator[Advisory]:
    """Yield the advisories of packages that a detector knows. Raises FeedInvalid."""
    for row in rows:
        place = _place(row)
        if place is None or row.status == _REJECTED:
            continue
        body = _decode_row(_decode_package, row.blob, row.vulnerability)
        qualifiers = body.qualifiers or _Qualifiers()
        if qualifiers.platform_cpes or qualifiers.rootio:  # about a product that is no package of the distribution
            continue
        told = _decode_row(_decode_vulnerability, row.vulnerability_blob, row.vulnerability)
        namespace, name = place
        if qualifiers.rpm_modularity:
            name = f"{qualifiers.rpm_modularity}::{name}"
        yield from _advisories(row, namespace, name, body, told)


def read_vulnerabilities(rows: Iterable[VulnerabilityRow]) -> Iterator[Vulnerability]:
    """Yield what each provider says of an id: several may be about one, see merging.merge. Raises FeedInvalid."""
    for row in rows:
        told = _decode_row(_decode_vulnerability, row.blob, row.name)
        feed = _feed(row.provider)
        severities = told.severities or ()
        opinion = next((_SEVERITIES.get(one.value.lower()) for one in severities if isinstance(one.value, str)), None)
        flaws = _flaws(row.name, told.aliases or ())
        for identity in flaws:
            yield Vulnerability(
                identity,
                description=told.description,
                vendor_severities=(VendorSeverity(feed, opinion),) if opinion else (),
                cvss=tuple(
                    Cvss(feed, one.value.version[:1], one.value.vector)
                    for one in severities
                    if not isinstance(one.value, str)
                ),
                references=tuple(reference.url for reference in told.refs or ()),
                aliases=tuple(one for one in (row.name, *(told.aliases or ())) if one != identity and len(flaws) == 1),
                published_at=_moment(row.published),
                modified_at=_moment(row.modified),
                withdrawn=bool(row.withdrawn) or row.status == _REJECTED,
            )


def read_exploitation(scores: Iterable[tuple[str, float]], exploited: Iterable[str]) -> Iterator[Vulnerability]:
    """Yield what is known of exploitation: `scores` are (cve, epss), `exploited` the ids of the KEV catalogue."""
    for identity, score in scores:
        yield Vulnerability(identity, epss=score)
    for identity in exploited:
        yield Vulnerability(identity, known_exploited=True)


def _place(row: AffectedRow) -> tuple[str, str] | None:
    """Return namespace and name of the package, None where no detector knows it."""
    if language := _LANGUAGES.get(row.ecosystem):
        return namespaces.of_ecosystem(language), namespaces.advisory_name(language, row.package)
    if not row.system or row.channel:  # a channel is a paid extension of a release with fixes of its own
        return None
    family = _FAMILIES.get(row.system.lower(), row.system.lower())
    minor = row.minor.zfill(2) if row.minor and family == "ubuntu" else row.minor  # kept there without leading zeros
    distribution = Distribution(family, ".".join(filter(None, (row.major, minor))) or row.label)
    if row.ecosystem in _BY_EXACT_NAME:
        return namespaces.of_distribution(distribution), row.package
    if row.ecosystem == "rpm":
        return namespaces.by_any_name(distribution), row.package
    return None


def _advisories(
    row: AffectedRow, namespace: str, name: str, body: _Package, told: _Vulnerability
) -> Iterator[Advisory]:
    ranges = body.ranges or (_Range(),)
    spans: list[Span] = []
    constraints: list[str] = []
    for one in ranges:
        read = _spans(one.version.constraint)
        if read is None:
            constraints.append(one.version.constraint)
        else:
            spans += read
    fixes = [one.fix for one in ranges if one.fix is not None]
    aliases = (*(told.aliases or ()), *(body.cves or ()))
    flaws = _flaws(row.vulnerability, aliases)
    for identity in flaws:
        yield Advisory(
            namespace,
            name,
            identity,
            _feed(row.provider),
            fixed=", ".join(dict.fromkeys(fix.version.removeprefix("0:") for fix in fixes if fix.version)),
            spans=tuple(spans),
            vulnerable=tuple(constraints),
            severity=_own_severity(told) if row.system else None,
            status=next((_STATUSES[fix.state] for fix in fixes if fix.state in _STATUSES), Status.UNKNOWN),
            vendor_ids=(row.vulnerability,) if row.vulnerability != identity else (),
            arches=_arches(body.qualifiers),
            aliases=tuple(dict.fromkeys(one for one in (row.vulnerability, *aliases) if one != identity))
            if len(flaws) == 1
            else (),
        )


def _arches(qualifiers: _Qualifiers | None) -> tuple[str, ...]:
    """Return the architecture that a fix is for; "src" where the advisory names the source package."""
    named = qualifiers.architecture if qualifiers else None
    return (named,) if named and named != _ANY_BINARY else ()


def _flaws(name: str, aliases: Iterable[str]) -> list[str]:
    """Return the CVEs that a record is about, else the name it has."""
    if name.startswith("CVE-"):
        return [name]
    return list(dict.fromkeys(one for one in aliases if one.startswith("CVE-"))) or [name]


def _own_severity(told: _Vulnerability) -> Severity | None:
    """Return the distribution's word, which these records hold for each of its releases."""
    first = next(iter(told.severities or ()), None)
    return _SEVERITIES.get(first.value.lower()) if first is not None and isinstance(first.value, str) else None


def _spans(constraint: str) -> list[Span] | None:
    """Return a constraint such as ">= 1.0, < 2.0 || = 3.0" as spans, None where it is none; empty: all versions."""
    spans = []
    for choice in constraint.split("||"):
        bounds = {"introduced": "", "fixed": "", "last": ""}
        position = 0
        text = choice.strip()
        while position < len(text):
            term = _TERM.match(text, position)
            if term is None or term["operator"] == ">" or (not term["operator"] and term[0] != text):
                return None
            for bound in _BOUNDS[term["operator"] or "="]:
                bounds[bound] = term["version"]
            position = term.end()
        spans.append(Span(**bounds))
    return spans


def _decode_row(decode: Callable[[bytes], T], body: bytes, name: str) -> T:
    try:
        return decode(body)
    except UNREADABLE as error:
        raise FeedInvalid(f"the Grype database is broken at {name}: {error}") from error


def _feed(provider: str) -> str:
    return _FEEDS.get(provider, provider)


def _moment(text: str) -> Timestamp | None:
    """Return a date of the database; None where it has none that can be read."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return from_datetime(moment) if moment.tzinfo is not None and moment.year > 1 else None
