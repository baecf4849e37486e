"""How bad a finding is, and what the reader is told of it: the vendor's word first, then the source's, then CVSS."""

from collections.abc import Iterator

from appliance.domain.vulnerability import Cvss, Finding, Severity, Status, Vulnerability
from appliance.scan.matching import cvss
from appliance.scan.matching.verdict import Hit

_GHSA, _NVD = "ghsa", "nvd"
_CVSS_VERSIONS = ("3", "4", "2")  # 3 first: it is what the levels of most vendors and the manual's page speak of
_LEVELS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))

_NOTHING_KNOWN = Vulnerability("")


def finding(hit: Hit, vulnerability: Vulnerability | None) -> Finding:
    """Return what the report says of `hit`, given what is known of its id."""
    known = vulnerability or _NOTHING_KNOWN
    severity, source = _rate(hit, known)
    return Finding(
        hit.advisory.id,
        hit.package,
        severity,
        source,
        _status(hit),
        hit.advisory.fixed,
        hit.advisory.feed,
        hit.advisory.vendor_ids,
        known.title,
        _choose_score(known, (source, hit.advisory.feed, _NVD, _GHSA)),
        known.epss,
        known.known_exploited,
    )


def _rate(hit: Hit, known: Vulnerability) -> tuple[Severity, str]:
    """Return the severity and who gave it."""
    advisory = hit.advisory
    if advisory.severity is not None:  # for this very package
        return advisory.severity, advisory.feed
    opinions = {opinion.source: opinion.severity for opinion in known.vendor_severities}
    for source in (advisory.feed, _GHSA if advisory.id.startswith("GHSA-") else "", _NVD):
        if source in opinions:
            return opinions[source], source
    if known.severity is not None:
        return known.severity, ""
    best = _choose_score(known, (advisory.feed, _NVD, _GHSA))
    if best is not None and best.score is not None:
        return level(best.score), best.source
    return Severity.UNKNOWN, ""


def level(score: float) -> Severity:
    """Return the level of a base score (CVSS v3.1 Specification, 5): 0.0 is None, 10.0 is Critical."""
    return next((severity for least, severity in _LEVELS if score >= least), Severity.NONE)


def _status(hit: Hit) -> Status:
    if hit.advisory.fixed:
        return Status.FIXED
    return Status.AFFECTED if hit.advisory.status is Status.UNKNOWN else hit.advisory.status


def _choose_score(known: Vulnerability, sources: tuple[str, ...]) -> Cvss | None:
    """Return the score to show: by the first of `sources` that gives one, else by any; by CVSS 3 where there is one."""
    places = {source: place for place, source in reversed(list(enumerate(sources)))}
    scored = list(_scored(known))
    return min(
        scored,
        key=lambda one: (one.score is None, places.get(one.source, len(sources)), _CVSS_VERSIONS.index(one.version)),
        default=None,
    )


def _scored(known: Vulnerability) -> Iterator[Cvss]:
    for one in known.cvss:
        if one.version not in _CVSS_VERSIONS:
            continue
        if one.score is None and one.version == "3":
            yield Cvss(one.source, one.version, one.vector, cvss.base_score(one.vector))
        else:
            yield one
