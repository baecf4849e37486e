"""OpenVEX 0.2.0: which vulnerabilities an image has, and which somebody says it is not affected by; out and in."""

import msgspec

from appliance.domain.vulnerability import Status
from appliance.errors import FeedInvalid
from appliance.scan.exports.told import Row, Told, advice_of, moment_text
from appliance.scan.feeds.unreadable import UNREADABLE

Json = dict[str, object]

_CONTEXT = "https://openvex.dev/ns/v0.2.0"
_CONTEXTS = ("https://openvex.dev/ns",)
_MOST = 100_000  # statements of one document


def write(told: Told) -> bytes:
    """Return a document with a statement for each finding."""
    at = moment_text(told.report.matched_at)
    document: Json = {
        "@context": _CONTEXT,
        "@id": f"urn:uuid:{told.identity}",
        "author": "scr",
        "timestamp": at,
        "version": 1,
        "tooling": f"scr {told.program}",
        "statements": [_statement(row, told, at) for row in told.rows],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1)


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


class Judgement(msgspec.Struct, frozen=True):
    """Somebody's word that products do not have a vulnerability. `products` are package URLs or names."""

    vulnerability: str
    reason: str
    products: tuple[str, ...]
    subcomponents: tuple[str, ...]


class _Part(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="@id", default="")


class _Product(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="@id", default="")
    subcomponents: tuple[_Part, ...] = ()


class _Named(msgspec.Struct, frozen=True):
    name: str = ""


class _Statement(msgspec.Struct, frozen=True):
    vulnerability: _Named | str
    status: str
    products: tuple[_Product, ...] = ()
    justification: str = ""
    impact_statement: str = ""


class _Document(msgspec.Struct, frozen=True):
    context: str = msgspec.field(name="@context")
    statements: tuple[_Statement, ...]


_decode = msgspec.json.Decoder(_Document).decode


def read(body: bytes) -> list[Judgement]:
    """Return what a document says not to be affected. Raises FeedInvalid: it is none, or says more than is read."""
    try:
        document = _decode(body)
    except UNREADABLE as error:
        raise FeedInvalid(f"this is no OpenVEX document: {error}") from error
    if not document.context.startswith(_CONTEXTS):
        raise FeedInvalid(f"this is no OpenVEX document: its @context is {document.context[:80]!r}")
    if len(document.statements) > _MOST:
        raise FeedInvalid(f"the document has {len(document.statements)} statements; at most {_MOST} are read")
    return [_judgement(one) for one in document.statements if one.status == "not_affected"]


def _judgement(statement: _Statement) -> Judgement:
    told = statement.vulnerability
    reason = statement.impact_statement or statement.justification.replace("_", " ")
    return Judgement(
        told if isinstance(told, str) else told.name,
        reason or "not affected",
        tuple(product.id for product in statement.products),
        tuple(part.id for product in statement.products for part in product.subcomponents),
    )
