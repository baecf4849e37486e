"""OpenVEX 0.2.0: which vulnerabilities an image has, and which somebody says it is not affected by."""

import hashlib
import uuid

import msgspec

from appliance.domain.vulnerability import Status
from appliance.scan.exports.told import Row, Told, advice_of, moment_text

Json = dict[str, object]

_CONTEXT = "https://openvex.dev/ns/v0.2.0"


def write(told: Told) -> bytes:
    """Return a document with a statement for each finding."""
    at = moment_text(told.report.matched_at)
    statements = [_statement(row, told, at) for row in told.rows]
    document: Json = {
        "@context": _CONTEXT,
        "@id": _identity(told, statements),
        "author": "scr",
        "timestamp": at,
        "version": 1,
        "tooling": f"scr {told.program}",
        "statements": statements,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


def _identity(told: Told, statements: list[Json]) -> str:
    """Return an id that is another one once somebody accepted a finding: one version of a document has one text."""
    text = told.identity.encode() + msgspec.json.encode(statements)
    return f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(text).digest()[:16], version=5)}"


def _statement(row: Row, told: Told, at: str) -> Json:
    finding = row.finding
    product: Json = {"@id": told.purl}
    if finding.package.purl:
        product["subcomponents"] = [{"@id": finding.package.purl}]
    statement: Json = {"vulnerability": {"name": finding.id}, "timestamp": at, "products": [product]}
    if row.reason:
        statement.update(status="not_affected", impact_statement=row.reason)
    elif finding.status is Status.UNDER_INVESTIGATION:
        statement["status"] = "under_investigation"
    else:
        statement.update(status="affected", action_statement=advice_of(finding))
    return statement
