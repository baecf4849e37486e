"""SPDX 2.3 (JSON): the bill of materials of an image."""

import msgspec

from appliance.domain.vulnerability import Package
from appliance.scan import licences
from appliance.scan.exports.told import Told, moment_text

Json = dict[str, object]

_NO = "NOASSERTION"
_IMAGE = "SPDXRef-Image"


def write(told: Told) -> bytes:
    """Return the bill. Licences that are no SPDX expression are told in words."""
    packages = told.report.inventory.packages
    listed = [_image(told), *(_package(package, number) for number, package in enumerate(packages, 1))]
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", _IMAGE)]
    relations += [_relation(_IMAGE, "CONTAINS", _ref(number)) for number in range(1, len(packages) + 1)]
    document: Json = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{told.name}@{told.digest}",
        "documentNamespace": f"urn:uuid:{told.identity}",
        "creationInfo": {
            "created": moment_text(told.report.matched_at),
            "creators": [f"Tool: scr-{told.program}"],
        },
        "packages": listed,
        "relationships": relations,
    }
    if limits := told.report.inventory.limits:
        document["comment"] = f"not complete: {'; '.join(limits)}"
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _image(told: Told) -> Json:
    algorithm, _, value = told.digest.partition(":")
    return {
        "SPDXID": _IMAGE,
        "name": told.name,
        "versionInfo": told.digest,
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": algorithm.upper(), "checksumValue": value}],
        "externalRefs": [_purl(told.purl)],
        **_unsaid(),
    }


def _package(package: Package, number: int) -> Json:
    described: Json = {"SPDXID": _ref(number), "name": package.name, **_unsaid()}
    if package.version:
        described["versionInfo"] = package.version
    if package.purl:
        described["externalRefs"] = [_purl(package.purl)]
    if package.found_in:
        described["sourceInfo"] = f"found in {package.found_in}, layer {package.layer}"
    if package.licences and all(one in licences.IDENTIFIERS for one in package.licences):
        described["licenseDeclared"] = " AND ".join(package.licences)
    elif package.licences:
        described["licenseComments"] = f"recorded as: {', '.join(package.licences)}"
    return described


def _unsaid() -> Json:
    return {
        "downloadLocation": _NO,
        "filesAnalyzed": False,
        "licenseConcluded": _NO,
        "licenseDeclared": _NO,
        "copyrightText": _NO,
    }


def _purl(purl: str) -> Json:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}


def _relation(one: str, kind: str, other: str) -> Json:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _ref(number: int) -> str:
    return f"SPDXRef-Package-{number}"
