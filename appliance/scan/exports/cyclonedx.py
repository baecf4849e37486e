"""CycloneDX 1.6 (JSON): the bill of materials of an image, with its vulnerabilities."""

import msgspec

from appliance.domain.vulnerability import Cvss, Distribution, Ecosystem, Package, Severity, Status
from appliance.scan import licences
from appliance.scan.exports.told import Row, Told, advice_of, moment_text, place_of

Json = dict[str, object]

_SEVERITIES = {Severity.NEGLIGIBLE: "info"}  # the others have the same words
_METHODS = {"2": "CVSSv2", "3": "CVSSv31", "4": "CVSSv4"}
_STATES = {
    Status.NOT_AFFECTED: "not_affected",
    Status.UNDER_INVESTIGATION: "in_triage",
    Status.WILL_NOT_FIX: "exploitable",
}
_IMAGE, _SYSTEM = "image", "system"


def write(told: Told) -> bytes:
    """Return the bill."""
    report = told.report
    refs = {place_of(package): f"package-{number}" for number, package in enumerate(report.inventory.packages, 1)}
    components = [] if report.inventory.distribution is None else [_system(report.inventory.distribution)]
    components += [_component(package, refs[place_of(package)]) for package in _unique(report.inventory.packages)]
    bill: Json = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{told.identity}",
        "version": 1,
        "metadata": {
            "timestamp": moment_text(report.matched_at),
            "tools": {"components": [{"type": "application", "name": "scr", "version": told.program}]},
            "component": {
                "type": "container",
                "bom-ref": _IMAGE,
                "name": told.name,
                "version": told.digest,
                "purl": told.purl,
            },
        },
        "components": components,
        "vulnerabilities": _vulnerabilities(told.rows, refs),
    }
    if not report.is_complete:  # who reads it must not take it for all there is
        bill["compositions"] = [{"aggregate": "incomplete", "assemblies": [_IMAGE]}]
    return msgspec.json.format(msgspec.json.encode(bill), indent=1)


def _unique(packages: tuple[Package, ...]) -> list[Package]:
    return list({place_of(package): package for package in packages}.values())


def _system(system: Distribution) -> Json:
    return {"type": "operating-system", "bom-ref": _SYSTEM, "name": system.family, "version": system.version}


def _component(package: Package, ref: str) -> Json:
    group, name = _split(package)
    component: Json = {"type": "library", "bom-ref": ref, "name": name, "version": package.version}
    if group:
        component["group"] = group
    if package.licences:
        component["licenses"] = [_licence(one) for one in package.licences]
    if package.purl:
        component["purl"] = package.purl
    properties = (
        ("scr:ecosystem", package.ecosystem.value),
        ("scr:path", package.found_in),
        ("scr:layer", package.layer),
        ("scr:source", package.source),
        ("scr:sourceVersion", package.source_version),
    )
    component["properties"] = [{"name": key, "value": value} for key, value in properties if value]
    return component


def _licence(text: str) -> Json:
    return {"license": {"id" if text in licences.IDENTIFIERS else "name": text}}


def _split(package: Package) -> tuple[str, str]:
    """Return group and name."""
    if package.ecosystem is Ecosystem.MAVEN:
        group, _, name = package.name.rpartition(":")
    elif package.ecosystem in (Ecosystem.NPM, Ecosystem.COMPOSER):
        group, _, name = package.name.rpartition("/")
    else:
        group, name = "", package.name
    return group, name


def _vulnerabilities(rows: tuple[Row, ...], refs: dict[tuple[str, str, str, str], str]) -> list[Json]:
    """Return an entry for each finding."""
    found: list[Json] = []
    for number, row in enumerate(rows, 1):
        finding = row.finding
        entry: Json = {"bom-ref": f"vulnerability-{number}", "id": finding.id}
        if finding.feed:
            entry["source"] = {"name": finding.feed}
        entry["ratings"] = [_rating(row)]
        if finding.title:
            entry["description"] = finding.title
        entry["recommendation"] = advice_of(finding)
        if finding.vendor_ids:
            entry["advisories"] = [{"title": one, "url": f"urn:{one}"} for one in finding.vendor_ids]
        if row.excluded:
            entry["analysis"] = {"state": "not_affected", "detail": row.reason or f"excluded: {row.excluded}"}
        elif finding.status in _STATES:
            entry["analysis"] = {"state": _STATES[finding.status]}
        if (ref := refs.get(place_of(finding.package))) is not None:
            entry["affects"] = [
                {"ref": ref, "versions": [{"version": finding.package.version or "unknown", "status": "affected"}]}
            ]
        found.append(entry)
    return found


def _rating(row: Row) -> Json:
    finding = row.finding
    rating: Json = {"severity": _SEVERITIES.get(finding.severity, finding.severity.value)}
    if finding.severity_source:
        rating["source"] = {"name": finding.severity_source}
    if finding.cvss is not None:
        rating.update(_score(finding.cvss))
    return rating


def _score(cvss: Cvss) -> Json:
    method = "CVSSv3" if cvss.vector.startswith("CVSS:3.0/") else _METHODS.get(cvss.version, "other")
    told: Json = {"method": method, "vector": cvss.vector}
    if cvss.score is not None:
        told["score"] = cvss.score
    return told
