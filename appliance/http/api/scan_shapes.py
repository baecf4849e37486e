"""What the management API tells of a scan: by vulnerability, by package, by secret, and in few words for lists."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from appliance.domain.exclusion import Tally
from appliance.domain.image_policy import ScanState
from appliance.domain.vulnerability import Ecosystem, Secret, Severity
from appliance.http.api.page import moment_or_none
from appliance.services.scan_links import links_of
from appliance.services.scan_shown import Judged, JudgedPackage
from appliance.services.scan_view import Known

_READ = frozenset({ScanState.PARTIAL.value, ScanState.NO_DATA.value, ScanState.COMPLETE.value})
_WAITING = {ScanState.FAILED.value: 2, ScanState.QUEUED.value: 1}  # what is told first where nothing was read yet
CATEGORIES = {True: "language", False: "os"}  # of a package


class SeverityCount(msgspec.Struct, frozen=True):
    """How many findings of one severity there are: excluded by the policy, accepted by somebody, and left to count."""

    severity: str
    found: int
    excluded: int
    accepted: int
    counted: int


class ScanBrief(msgspec.Struct, frozen=True, rename="camel"):
    """A scan in few words. `state` is never, queued, failed, partial, no data or complete.

    Of an index it is that of its worst platform, complete if all are; `platforms` is how many it was chosen from.
    """

    state: str
    scanned_at: datetime | None
    is_stale: bool  # newer data, detectors or rules have not been applied yet
    counts: tuple[SeverityCount, ...]
    secrets: int
    secrets_excluded: bool
    platforms: int = 0
    is_refused: bool = False  # the pull limit refuses it; an index, where it refuses each of these platforms


class CvssShown(msgspec.Struct, frozen=True):
    """A score and what it was made from."""

    source: str
    version: str
    score: float | None
    vector: str


class AcceptanceBrief(msgspec.Struct, frozen=True, rename="camel"):
    """Why a finding is accepted, by whom, until when."""

    id: str
    reason: str
    created_by: str
    expires_at: datetime | None
    document: str  # the @id of the OpenVEX document that says so; "": a person's word


class VulnerabilityFound(msgspec.Struct, frozen=True, rename="camel"):
    """A vulnerability of a package. `excluded` is why it does not count, null where it does."""

    id: str
    links: tuple[str, ...]
    title: str
    severity: str
    severity_source: str
    cvss: CvssShown | None
    category: str  # os, language
    type: str  # which distribution or language
    package: str
    version: str
    fixed: str
    is_fixable: bool
    status: str
    vendor_ids: tuple[str, ...]
    path: str
    layer: str
    epss: float | None
    known_exploited: bool
    is_new: bool
    blocks: bool  # the pull limit counts it, and refuses the image for it and its like
    excluded: str | None
    acceptance: AcceptanceBrief | None


class UpgradeShown(msgspec.Struct, frozen=True):
    """To which version a package would have to go, and how many findings that mends."""

    version: str
    fixes: int


class PackageFound(msgspec.Struct, frozen=True, rename="camel"):
    """A package, and how many findings it has."""

    name: str
    version: str
    category: str
    type: str
    purl: str
    licences: tuple[str, ...]
    arch: str
    source: str
    path: str
    layer: str
    counts: tuple[SeverityCount, ...]
    findings: int
    unjudged: int  # advisories that its version could not be compared with
    upgrade: UpgradeShown | None


class SecretFile(msgspec.Struct, frozen=True, rename="camel"):
    """A file that was searched for secrets, and one that was found in it; without one there is none."""

    file: str
    rule: str
    category: str
    title: str
    severity: str | None
    line: int | None
    match: str  # with all that is secret hidden
    layer: str
    is_excluded: bool
    is_hidden: bool = False  # a layer above removed or replaced the file: whoever pulls the image has it all the same


class SecretTotals(msgspec.Struct, frozen=True, rename="camel"):
    """How many secrets there are, and in how many of the files that were searched."""

    counts: tuple[SeverityCount, ...]
    secrets: int
    files_with_secrets: int
    files_without: int


def show_counts(tallies: tuple[Tally, ...]) -> tuple[SeverityCount, ...]:
    """Return counts as the API shows them."""
    return tuple(
        SeverityCount(one.severity.value, one.found, one.excluded, one.accepted, one.counted) for one in tallies
    )


def show_brief(known: Known) -> ScanBrief:
    """Return what lists show of a scan."""
    scanned = known.scanned
    if scanned is None:
        brief = ScanBrief("never", None, is_stale=False, counts=(), secrets=0, secrets_excluded=False)
        return msgspec.structs.replace(brief, is_refused=known.is_refused)
    at = known.standing.matched_at if known.standing is not None else scanned.scanned_at
    return ScanBrief(
        scanned.state.value,
        moment_or_none(at),
        known.is_stale,
        show_counts(known.tallies),
        known.secrets,
        known.secrets_excluded,
        is_refused=known.is_refused,
    )


def show_platforms(known: Sequence[Known]) -> ScanBrief:
    """Return what lists show of an index with platforms of which `known` is known; at least one."""
    briefs = [show_brief(one) for one in known]
    read = [one for one in briefs if one.state in _READ]
    worst = max(read or briefs, key=_badness)
    state = worst.state
    if read and any(one.state != read[0].state for one in briefs):
        state = ScanState.PARTIAL.value
    return msgspec.structs.replace(
        worst,
        state=state,
        scanned_at=min((one.scanned_at for one in read if one.scanned_at is not None), default=None),
        is_stale=any(one.is_stale for one in briefs),
        platforms=len(briefs),
        is_refused=all(one.is_refused for one in briefs),
    )


def _badness(brief: ScanBrief) -> tuple[list[tuple[int, int]], int, int]:
    counted = [(Severity(one.severity).rank, one.counted) for one in brief.counts if one.counted]
    return counted, 0 if brief.secrets_excluded else brief.secrets, _WAITING.get(brief.state, 0)


def type_of(ecosystem: Ecosystem, family: str) -> str:
    """Return the manual's "OS/Language" of a package: its distribution, or its language's ecosystem."""
    return ecosystem.value if ecosystem.is_language or not family else family


def show_vulnerability(one: Judged, family: str, *, blocks: bool) -> VulnerabilityFound:
    """Return a finding as the API shows it; `family` is the distribution's, `blocks` what the pull limit says."""
    finding, package, acceptance = one.finding, one.finding.package, one.acceptance
    cvss = finding.cvss
    return VulnerabilityFound(
        id=finding.id,
        links=links_of(finding.id, finding.feed),
        title=finding.title,
        severity=finding.severity.value,
        severity_source=finding.severity_source,
        cvss=None if cvss is None else CvssShown(cvss.source, cvss.version, cvss.score, cvss.vector),
        category=CATEGORIES[package.ecosystem.is_language],
        type=type_of(package.ecosystem, family),
        package=package.name,
        version=package.version,
        fixed=finding.fixed,
        is_fixable=finding.is_fixable,
        status=finding.status.value,
        vendor_ids=finding.vendor_ids,
        path=package.found_in,
        layer=package.layer,
        epss=finding.epss,
        known_exploited=finding.known_exploited,
        is_new=one.is_new,
        blocks=blocks,
        excluded=None if one.excluded is None else one.excluded.value,
        acceptance=None
        if acceptance is None
        else AcceptanceBrief(
            acceptance.public_id,
            acceptance.reason,
            acceptance.created_by,
            moment_or_none(acceptance.expires_at),
            acceptance.origin.document if acceptance.origin is not None else "",
        ),
    )


def show_package(row: JudgedPackage, family: str) -> PackageFound:
    """Return a package as the API shows it."""
    package = row.package
    return PackageFound(
        name=package.name,
        version=package.version,
        category=CATEGORIES[package.ecosystem.is_language],
        type=type_of(package.ecosystem, family),
        purl=package.purl,
        licences=package.licences,
        arch=package.arch,
        source=package.source,
        path=package.found_in,
        layer=package.layer,
        counts=show_counts(row.tallies),
        findings=row.findings,
        unjudged=row.unjudged,
        upgrade=None if row.upgrade is None else UpgradeShown(row.upgrade.version, row.upgrade.fixes),
    )


def show_secret(one: Secret, *, is_excluded: bool, is_hidden: bool) -> SecretFile:
    """Return a secret as the API shows it."""
    return SecretFile(
        one.found_in,
        one.rule,
        one.category,
        one.title,
        one.severity.value,
        one.line,
        one.match,
        one.layer,
        is_excluded,
        is_hidden,
    )


def clean_file(path: str, layer: str) -> SecretFile:
    """Return a file in which no secret was found."""
    return SecretFile(path, "", "", "", None, None, "", layer, is_excluded=False)
