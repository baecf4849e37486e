"""JSON in our own words: all that the report has."""

import msgspec

from appliance.domain.vulnerability import Finding, Package, Secret
from appliance.scan.exports.told import Row, Told, moment_text

_FORMAT = 1


def write(told: Told) -> bytes:
    """Return the whole report."""
    report = told.report
    system = report.inventory.distribution
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "format": _FORMAT,
                "image": told.name,
                "digest": told.digest,
                "program": f"scr {told.program}",
                "readAt": moment_text(report.read_at),
                "matchedAt": moment_text(report.matched_at),
                "data": None
                if report.data is None
                else {"digest": report.data.digest, "builtAt": moment_text(report.data.built_at)},
                "isComplete": report.is_complete,
                "distribution": None if system is None else msgspec.structs.asdict(system),
                "packages": [_package(one) for one in report.inventory.packages],
                "vulnerabilities": [_finding(row) for row in told.rows],
                "secrets": [_secret(one) for one in report.inventory.secrets],
                "unjudged": [
                    {"id": one.id, "package": one.package.name, "version": one.package.version, "reason": one.reason}
                    for one in report.unjudged
                ],
                "limits": report.inventory.limits,
                "uncovered": report.uncovered,
            }
        ),
        indent=1,
    )


def _package(package: Package) -> dict[str, object]:
    return {
        "ecosystem": package.ecosystem,
        "name": package.name,
        "version": package.version,
        "arch": package.arch,
        "source": package.source,
        "purl": package.purl,
        "licences": package.licences,
        "path": package.found_in,
        "layer": package.layer,
    }


def _finding(row: Row) -> dict[str, object]:
    finding: Finding = row.finding
    return {
        "id": finding.id,
        "severity": finding.severity,
        "severitySource": finding.severity_source,
        "cvss": finding.cvss,
        "title": finding.title,
        "package": finding.package.name,
        "ecosystem": finding.package.ecosystem,
        "version": finding.package.version,
        "purl": finding.package.purl,
        "path": finding.package.found_in,
        "layer": finding.package.layer,
        "fixed": finding.fixed,
        "status": finding.status,
        "source": finding.feed,
        "advisories": finding.vendor_ids,
        "epss": finding.epss,
        "isKnownExploited": finding.known_exploited,
        "excluded": row.excluded,
        "acceptedBecause": row.reason,
    }


def _secret(secret: Secret) -> dict[str, object]:
    return {
        "rule": secret.rule,
        "category": secret.category,
        "title": secret.title,
        "severity": secret.severity,
        "path": secret.found_in,
        "line": secret.line,
        "match": secret.match,
        "layer": secret.layer,
    }
