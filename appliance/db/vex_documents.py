"""Documents (OpenVEX) that were imported: where each counts, and in which version."""

import msgspec

from appliance.db.columns import Placed, Query, list_sorted, make_sorted
from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.registry import ImageId, RegistryId, RepositoryId

_COLUMNS = (
    "v.public_id, v.document, v.version, v.author, v.issued_at, v.sha256, v.registry_id, v.repository_id, v.image_id,"
    " v.imported_at, v.imported_by"
)


class VexDocument(msgspec.Struct, frozen=True):
    """A document as it was imported. Where it counts: as of an acceptance."""

    public_id: str
    document: str  # its @id
    version: int
    author: str
    issued_at: Timestamp
    sha256: str  # of its text
    registry: RegistryId | None
    repository: RepositoryId | None
    image: ImageId | None
    imported_at: Timestamp
    imported_by: str


def insert(tx: Transaction, one: VexDocument) -> None:
    """Write down a document; none of its @id may be known there."""
    tx.execute(
        "INSERT INTO vex_documents (public_id, document, version, author, issued_at, sha256, registry_id,"
        " repository_id, image_id, imported_at, imported_by) VALUES (:public_id, :document, :version, :author, "
        " :issued_at, :sha256, :registry, :repository, :image, :imported_at, :imported_by)",
        msgspec.structs.asdict(one),
    )


def delete(tx: Transaction, public_id: str) -> set[str]:
    """Take a document back with all it said; return the vulnerabilities it said something of."""
    found = "SELECT id FROM vex_documents WHERE public_id = ?"
    said = tx.rows(f"SELECT DISTINCT vulnerability FROM accepted_findings WHERE document_id = ({found})", (public_id,))
    tx.execute(f"DELETE FROM accepted_findings WHERE document_id = ({found})", (public_id,))
    tx.execute("DELETE FROM vex_documents WHERE public_id = ?", (public_id,))
    return {row[0] for row in said}


def find(reader: Reader, public_id: str) -> VexDocument | None:
    """Return the document that was imported under this id, or None."""
    row = reader.one(f"SELECT {_COLUMNS} FROM vex_documents v WHERE v.public_id = ?", (public_id,))
    return _document(row) if row else None


def find_there(
    reader: Reader,
    document: str,
    registry: RegistryId | None,
    repository: RepositoryId | None,
    image: ImageId | None,
) -> VexDocument | None:
    """Return what was imported of the document with this @id, to count in this very place, or None."""
    values: Values = {"document": document, "registry": registry, "repository": repository, "image": image}
    sql = (
        f"SELECT {_COLUMNS} FROM vex_documents v WHERE v.document = :document AND v.registry_id IS :registry"
        " AND v.repository_id IS :repository AND v.image_id IS :image"
    )
    row = reader.one(sql, values)
    return _document(row) if row else None


_PATH = (
    "coalesce((SELECT i.path FROM images i WHERE i.id = v.image_id),"
    " (SELECT r.name FROM repositories r WHERE r.id = v.repository_id), '')"
)
_SORTED = make_sorted(
    _COLUMNS,
    "vex_documents v WHERE v.registry_id IS :registry",
    {
        "document": "v.document",
        "author": "v.author",
        "issued": "v.issued_at",
        "where": _PATH,
        "imported": "v.imported_at",
        "by": "v.imported_by",
    },
    "v.id",
)


def list_page(
    reader: Reader, registry: RegistryId | None, sort: str, last: str, limit: int
) -> list[Placed[VexDocument]]:
    """Return the documents that count in a registry (None: everywhere) in the order `sort`, after the place `last`."""
    return list_sorted(reader, Query(_SORTED[sort], {"registry": registry}, _document), last, limit)


def _document(row: Row) -> VexDocument:
    return VexDocument(*row)
