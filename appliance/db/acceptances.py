"""Findings that somebody has accepted: in an image, a repository, a registry or everywhere, for good or a while."""

from collections.abc import Iterable

import msgspec

from appliance.db.columns import Placed, Query, list_sorted, make_sorted
from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.exclusion import Acceptance, Judgement, Origin, Product
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, from_bytes, to_bytes
from appliance.domain.registry import ImageId, RegistryId

_COLUMNS = (
    "a.public_id, a.vulnerability, a.package, a.registry_id, a.repository_id, a.image_id, a.reason, a.created_at,"
    " a.created_by, a.expires_at, a.digest, a.arch, a.path, a.purl, v.public_id, v.document, v.version, v.author,"
    " a.judgement, a.said_at"
)
_DOCUMENT = "LEFT JOIN vex_documents v ON v.id = a.document_id"
_ACCEPTS = "a.judgement IN ('', 'not_affected', 'fixed')"  # the others take back what documents said before
_SCOPES = (  # each by an index of its own
    "a.registry_id IS NULL",
    "a.registry_id = i.registry_id AND a.repository_id IS NULL",
    "a.repository_id = i.repository_id AND a.image_id IS NULL",
    "a.image_id = i.id",
)
_OF_IMAGE = " UNION ALL ".join(
    f"SELECT {_COLUMNS} FROM images i CROSS JOIN json_each(:wanted) w CROSS JOIN accepted_findings a"
    f" ON a.vulnerability = w.value AND {scope} {_DOCUMENT} WHERE i.id = :image"
    " AND (a.expires_at IS NULL OR a.expires_at > :now)"
    " AND (a.path = '' OR a.path = i.path OR substr(i.path, -length(a.path) - 1) = '/' || a.path)"
    " AND (a.digest IS NULL OR a.digest = :digest OR a.arch = '' AND EXISTS (SELECT 1 FROM manifests p"
    " JOIN needs n ON n.image_id = i.id AND n.digest = :digest AND n.kind = 2 AND n.manifest_id = p.id"
    " WHERE p.image_id = i.id AND p.digest = a.digest))"
    for scope in _SCOPES
)
_INSERT = """
INSERT INTO accepted_findings (public_id, vulnerability, package, registry_id, repository_id, image_id, reason,
  created_at, created_by, expires_at, document_id, judgement, said_at, purl, digest, arch, path)
VALUES (:public, :vulnerability, :package, :registry, :repository, :image, :reason, :at, :by, :expires,
  (SELECT id FROM vex_documents WHERE public_id = :document), :judgement, :said, :purl, :digest, :arch, :path)
"""


def insert(tx: Transaction, one: Acceptance) -> None:
    """Write down an acceptance."""
    tx.execute(_INSERT, row_of(one))


def insert_rows(tx: Transaction, rows: Iterable[Values]) -> None:
    """Write down many, as `row_of` has made them before: it takes longer than writing them, and the writer waits."""
    tx.execute_many(_INSERT, rows)


def row_of(one: Acceptance) -> Values:
    """Return what is written down of an acceptance."""
    origin, product = one.origin, one.product
    return {
        "public": one.public_id,
        "vulnerability": one.vulnerability,
        "package": one.package,
        "registry": one.registry,
        "repository": one.repository,
        "image": one.image,
        "reason": one.reason,
        "at": one.created_at,
        "by": one.created_by,
        "expires": one.expires_at,
        "document": origin.import_id if origin else "",
        "judgement": origin.judgement.value if origin else "",
        "said": origin.said_at if origin else None,
        "purl": product.purl,
        "digest": to_bytes(product.digest) if product.digest else None,
        "arch": product.arch,
        "path": product.path,
    }


def delete(tx: Transaction, public_id: str) -> None:
    """Take an acceptance back."""
    tx.execute("DELETE FROM accepted_findings WHERE public_id = ?", (public_id,))


def find(reader: Reader, public_id: str) -> Acceptance | None:
    """Return the acceptance, or None."""
    row = reader.one(f"SELECT {_COLUMNS} FROM accepted_findings a {_DOCUMENT} WHERE a.public_id = ?", (public_id,))
    return _acceptance(row) if row else None


def path_of(reader: Reader, image: ImageId) -> str | None:
    """Return the path of an image, a removed one too; None once it was purged, and what was accepted there with it."""
    row = reader.one("SELECT path FROM images WHERE id = ?", (image,))
    return row[0] if row else None


def list_of_image(
    reader: Reader, image: ImageId, digest: Digest, vulnerabilities: Iterable[str], now: Timestamp
) -> list[Acceptance]:
    """Return what is accepted now of `vulnerabilities` in a manifest of `image`, wherever that was said."""
    values: Values = {
        "image": image,
        "digest": to_bytes(digest),
        "wanted": msgspec.json.encode(sorted({one.upper() for one in vulnerabilities})).decode(),
        "now": now,
    }
    return [_acceptance(row) for row in reader.rows(_OF_IMAGE, values)]


_PATH = (
    "coalesce((SELECT i.path FROM images i WHERE i.id = a.image_id),"
    " (SELECT r.name FROM repositories r WHERE r.id = a.repository_id), '')"
)
_SORTED = make_sorted(
    _COLUMNS,
    f"accepted_findings a {_DOCUMENT} WHERE a.registry_id IS :registry AND {_ACCEPTS}",
    {
        # CVE-2024-9999 before CVE-2024-10000: of one year, the shorter number is the smaller one
        "vulnerability": "substr(a.vulnerability, 1, 9) || printf('%04d', length(a.vulnerability)) || a.vulnerability",
        "package": "CASE a.purl WHEN '' THEN a.package ELSE a.purl END",
        "where": _PATH,
        "by": "a.created_by",
        "accepted": "a.created_at",
        "expires": f"coalesce(a.expires_at, {1 << 62})",  # what never ends comes last
    },
    "a.id",
)


def list_page(
    reader: Reader, registry: RegistryId | None, sort: str, last: str, limit: int
) -> list[Placed[Acceptance]]:
    """Return acceptances of a registry (None: those of everywhere) in the order `sort`, after the place `last`."""
    return list_sorted(reader, Query(_SORTED[sort], {"registry": registry}, _acceptance), last, limit)


def _acceptance(row: Row) -> Acceptance:
    *said, digest, arch, path, purl, import_id, document, version, author, judgement, said_at = row
    product = Product(from_bytes(digest) if digest else None, arch, path, purl)
    origin = None
    if import_id is not None:
        origin = Origin(import_id, document, version, author, Judgement(judgement), said_at)
    return msgspec.structs.replace(Acceptance(*said), product=product, origin=origin)
