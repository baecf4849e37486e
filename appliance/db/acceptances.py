"""Findings that somebody has accepted: in an image, a repository, a registry or everywhere, for good or a while."""

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.exclusion import Acceptance
from appliance.domain.moment import Timestamp
from appliance.domain.registry import ImageId, RegistryId

_COLUMNS = (
    "a.public_id, a.vulnerability, a.package, a.registry_id, a.repository_id, a.image_id, a.reason, a.created_at,"
    " a.created_by, a.expires_at"
)
_SCOPES = (  # each by an index of its own
    "a.registry_id IS NULL",
    "a.registry_id = i.registry_id AND a.repository_id IS NULL",
    "a.repository_id = i.repository_id AND a.image_id IS NULL",
    "a.image_id = i.id",
)
_OF_IMAGE = " UNION ALL ".join(
    f"SELECT {_COLUMNS} FROM images i JOIN accepted_findings a ON {scope} WHERE i.id = :image"
    " AND (a.expires_at IS NULL OR a.expires_at > :now)"
    for scope in _SCOPES
)


def insert(tx: Transaction, one: Acceptance) -> None:
    """Write down an acceptance."""
    values: Values = {
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
    }
    tx.execute(
        "INSERT INTO accepted_findings (public_id, vulnerability, package, registry_id, repository_id, image_id,"
        " reason, created_at, created_by, expires_at) VALUES (:public, :vulnerability, :package, :registry,"
        " :repository, :image, :reason, :at, :by, :expires)",
        values,
    )


def delete(tx: Transaction, public_id: str) -> None:
    """Take an acceptance back."""
    tx.execute("DELETE FROM accepted_findings WHERE public_id = ?", (public_id,))


def find(reader: Reader, public_id: str) -> Acceptance | None:
    """Return the acceptance, or None."""
    row = reader.one(f"SELECT {_COLUMNS} FROM accepted_findings a WHERE a.public_id = ?", (public_id,))
    return _acceptance(row) if row else None


def path_of(reader: Reader, image: ImageId) -> str | None:
    """Return the path of an image, a removed one too; None once it was purged: what was accepted there stays known."""
    row = reader.one("SELECT path FROM images WHERE id = ?", (image,))
    return row[0] if row else None


def list_of_image(reader: Reader, image: ImageId, now: Timestamp) -> list[Acceptance]:
    """Return what is accepted in `image` now, wherever that was said."""
    return [_acceptance(row) for row in reader.rows(_OF_IMAGE, {"image": image, "now": now})]


def list_page(reader: Reader, registry: RegistryId | None, last: str, limit: int) -> list[Acceptance]:
    """Return acceptances of a registry (None: those of everywhere) in the order of their ids, after `last`."""
    sql = (
        f"SELECT {_COLUMNS} FROM accepted_findings a WHERE a.registry_id IS :registry AND a.public_id > :last"
        " ORDER BY a.public_id LIMIT :limit"
    )
    return [_acceptance(row) for row in reader.rows(sql, {"registry": registry, "last": last, "limit": limit})]


def list_expired(reader: Reader, before: Timestamp) -> list[Acceptance]:
    """Return those that hold no longer."""
    sql = f"SELECT {_COLUMNS} FROM accepted_findings a WHERE a.expires_at <= ?"
    return [_acceptance(row) for row in reader.rows(sql, (before,))]


def _acceptance(row: Row) -> Acceptance:
    return Acceptance(*row)
