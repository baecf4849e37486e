"""OpenVEX documents of others, read: what each statement says, of which products. What is not understood is told.

A statement is taken only where it is clear what it is about: a product by the digest of an image, by the package URL of
an image (`pkg:oci/...`) or of a package. Spec: openvex/spec, OPENVEX-SPEC.md 0.2.0; 0.0.x documents differ only in that
products and vulnerabilities are plain texts.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec

from appliance.domain.exclusion import Judgement, Product
from appliance.domain.moment import FIRST, LAST, Timestamp, from_datetime
from appliance.domain.names import Digest
from appliance.domain.purl import PackageUrl, parse_purl
from appliance.errors import VexInvalid
from appliance.scan.feeds.unreadable import UNREADABLE

LARGEST = 8 << 20  # bytes of a document: the largest published ones at hand are a tenth of that
MOST_STATEMENTS = 10_000
MOST_MARKS = 50_000  # vulnerabilities times products of all statements: a row of the database each
_LONGEST = 500  # characters of an id, a name, a package URL
_REASON = 2000  # characters
_DIGITS = 10  # of a version
_CONTEXTS = ("https://openvex.dev/ns",)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_HASHES = {"sha-256": "sha256", "sha-512": "sha512"}
_IMAGES = frozenset({"oci", "docker"})
_JUSTIFICATIONS = frozenset(
    {
        "component_not_present",
        "vulnerable_code_not_present",
        "vulnerable_code_not_in_execute_path",
        "vulnerable_code_cannot_be_controlled_by_adversary",
        "inline_mitigations_already_exist",
    }
)

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Statement(msgspec.Struct, frozen=True):
    """What a document says of a vulnerability (by each of its ids, in upper case) in some products."""

    vulnerabilities: tuple[str, ...]
    judgement: Judgement
    reason: str
    said_at: Timestamp
    products: tuple[Product, ...]


class Untaken(msgspec.Struct, frozen=True):
    """A statement, or one product of it, that is not taken. `number` counts statements from 1."""

    number: int
    reason: str


class Document(msgspec.Struct, frozen=True):
    """An OpenVEX document."""

    id: str
    version: int
    author: str
    issued_at: Timestamp
    statements: tuple[Statement, ...]
    untaken: tuple[Untaken, ...]


class _Part(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="@id", default="")
    identifiers: dict[str, str] = {}
    hashes: dict[str, str] = {}


class _Product(_Part, frozen=True):
    subcomponents: tuple[_Part, ...] = ()


class _Named(msgspec.Struct, frozen=True):
    name: str = ""
    aliases: tuple[str, ...] = ()


class _Statement(msgspec.Struct, frozen=True):
    vulnerability: _Named | str
    status: Judgement
    products: tuple[_Product | str, ...] = ()
    timestamp: _Moment | None = None
    justification: str = ""
    impact_statement: str = ""
    action_statement: str = ""
    status_notes: str = ""


class _Document(msgspec.Struct, frozen=True):
    context: str = msgspec.field(name="@context")
    id: str = msgspec.field(name="@id")
    author: str
    timestamp: _Moment
    version: int | str
    statements: tuple[msgspec.Raw, ...]


_decode = msgspec.json.Decoder(_Document).decode
_decode_statement = msgspec.json.Decoder(_Statement).decode


class _Unclear(Exception):
    """It is not clear what a statement says, or of what."""


def read(text: bytes) -> Document:
    """Return what a document says. Raises VexInvalid: it is none, or says more than is read."""
    if len(text) > LARGEST:
        raise VexInvalid(f"the document has {len(text)} bytes; at most {LARGEST} are read")
    try:
        found = _decode(text)
    except UNREADABLE as error:
        raise VexInvalid(f"this is no OpenVEX document: {error}") from error
    _check(found)
    issued = _time(found.timestamp)
    if issued is None:
        raise VexInvalid(f"the document is of {found.timestamp.isoformat()}; its time lies between 1970 and 2200")
    statements: list[Statement] = []
    untaken: list[Untaken] = []
    marks = 0
    for number, raw in enumerate(found.statements, 1):
        try:
            statement, unclear = _statement(_decode_statement(raw), issued)
        except UNREADABLE as error:  # of another form, or a status that is none: nobody can say what is left of it
            raise VexInvalid(f"statement {number} is none of OpenVEX: {error}") from error
        except _Unclear as error:
            untaken.append(Untaken(number, str(error)))
            continue
        untaken += [Untaken(number, reason) for reason in unclear]
        statements.append(statement)
        marks += len(statement.vulnerabilities) * len(statement.products)
        if marks > MOST_MARKS:
            raise VexInvalid(f"the document says something of more than {MOST_MARKS} vulnerabilities in products")
    return Document(found.id, int(found.version), found.author, issued, tuple(statements), tuple(untaken))


def _check(found: _Document) -> None:
    """Raise VexInvalid where the document cannot be told from others, or is one of something else."""
    if not found.context.startswith(_CONTEXTS):
        raise VexInvalid(f"this is no OpenVEX document: its @context is {found.context[:80]!r}")
    if not (0 < len(found.id) <= _LONGEST and 0 < len(found.author) <= _LONGEST):
        raise VexInvalid(f"the document needs an @id and an author, of up to {_LONGEST} characters each")
    version = str(found.version)
    if not (version.isascii() and version.isdigit() and len(version) <= _DIGITS and int(version)):
        raise VexInvalid(f"the version of the document is {version[:40]!r}; it counts from 1 on")
    if len(found.statements) > MOST_STATEMENTS:
        raise VexInvalid(f"the document has {len(found.statements)} statements; at most {MOST_STATEMENTS} are read")


def _statement(said: _Statement, issued: Timestamp) -> tuple[Statement, list[str]]:
    """Return a statement, and why some of its products are not taken. Raises _Unclear where nothing is left."""
    named = said.vulnerability if isinstance(said.vulnerability, _Named) else _Named(said.vulnerability)
    ids = tuple(dict.fromkeys(one.strip().upper() for one in (named.name, *named.aliases) if one.strip()))
    if not named.name.strip() or any(len(one) > _LONGEST for one in ids):
        raise _Unclear("it names no vulnerability")
    reason = _reason(said)
    products: dict[Product, None] = {}
    unclear: list[str] = []
    for one in said.products:
        try:
            products.update(dict.fromkeys(_products(_Product(one) if isinstance(one, str) else one)))
        except _Unclear as error:
            unclear.append(str(error))
    if not products:
        raise _Unclear("; ".join(dict.fromkeys(unclear)) or "it names no product")
    said_at = issued if said.timestamp is None else _time(said.timestamp)
    if said_at is None:
        raise _Unclear("its time does not lie between 1970 and 2200")
    return Statement(ids, said.status, reason, said_at, tuple(products)), unclear


def _reason(said: _Statement) -> str:
    """Return why, for a person. Raises _Unclear where the specification wants a reason and there is none."""
    if said.status is Judgement.NOT_AFFECTED:
        if said.justification and said.justification not in _JUSTIFICATIONS:
            raise _Unclear(f"{said.justification[:80]!r} is no justification of OpenVEX")
        told = [said.justification.replace("_", " "), said.impact_statement, said.status_notes]
        if not (said.justification or said.impact_statement):
            raise _Unclear("not_affected without justification or impact_statement")
    elif said.status is Judgement.FIXED:
        told = ["fixed", said.status_notes]
    else:
        told = [said.action_statement, said.status_notes]
    return ": ".join(part.strip() for part in told if part.strip())[:_REASON]


def _products(product: _Product) -> Iterator[Product]:
    """Yield what a product stands for, once for each of its subcomponents. Raises _Unclear."""
    where = _identify(product)
    if not product.subcomponents:
        yield where
        return
    if where.purl:
        raise _Unclear(f"{where.purl[:100]!r} is a package, and only of images are subcomponents taken")
    for part in product.subcomponents:
        inner = _identify(part)
        if not inner.purl:
            raise _Unclear(f"the subcomponent {part.id[:100]!r} is no package URL of a package")
        yield Product(where.digest, where.arch, where.path, inner.purl)


def _identify(part: _Part) -> Product:
    """Return what a product or subcomponent is: by the hash of its bytes, else by a package URL. Raises _Unclear."""
    for algorithm, name in _HASHES.items():
        digest = f"{name}:{part.hashes.get(algorithm, '').lower()}"
        if _DIGEST.fullmatch(digest):
            return Product(Digest(digest))
    for text in (part.id, part.identifiers.get("purl", "")):
        found = parse_purl(text) if len(text) <= _LONGEST else None
        if found is not None:
            return _of_image(found, text) if found.type in _IMAGES else Product(purl=text)
    if _DIGEST.fullmatch(digest := part.id.rpartition("@")[2]):  # "registry.example.com/pay/api@sha256:..."
        return Product(Digest(digest))
    raise _Unclear(f"{part.id[:100]!r} is neither a package URL nor a digest")


def _of_image(found: PackageUrl, text: str) -> Product:
    """Return which images the package URL of an image means. Raises _Unclear."""
    arch = found.qualifier("arch")
    if found.version:
        if not _DIGEST.fullmatch(found.version):
            raise _Unclear(f"{text[:100]!r} names no digest as its version")
        return Product(Digest(found.version), arch)
    if found.qualifier("tag"):
        raise _Unclear(f"{text[:100]!r} names a tag, which moves; only a digest says what is meant")
    if arch:
        raise _Unclear(f"{text[:100]!r} names an architecture without a digest")
    place = found.qualifier("repository_url").partition("://")[2] or found.qualifier("repository_url")
    path = place.partition("/")[2].strip("/") or found.path  # without the host: each client knows another name of it
    if path.rpartition("/")[2] != found.name:  # some write only where the image lies
        path = f"{path}/{found.name}"
    return Product(path=path.lower())


def _time(told: datetime) -> Timestamp | None:
    """Return a time that a document tells, or None where nobody could have meant it."""
    found = from_datetime(told)
    return found if FIRST <= found < LAST else None
