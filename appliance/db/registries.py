"""Registries."""

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName
from appliance.domain.registry import Registry, RegistryId, Visibility

_COLUMNS = "id, public_id, name, visibility, created_at"


def find(reader: Reader, name: RegistryName) -> Registry | None:
    """Return the live registry `name`, or None."""
    row = reader.one(f"SELECT {_COLUMNS} FROM registries WHERE name = ? AND removed_at IS NULL", (name,))
    return _registry(row) if row else None


def list_all(reader: Reader) -> list[Registry]:
    """Return all live registries by name."""
    rows = reader.rows(f"SELECT {_COLUMNS} FROM registries WHERE removed_at IS NULL ORDER BY name")
    return [_registry(row) for row in rows]


def insert(
    tx: Transaction, name: RegistryName, public_id: str, visibility: Visibility, by: str, now: Timestamp
) -> RegistryId:
    """Make the registry `name`."""
    values: Values = {"public": public_id, "name": name, "visibility": visibility.value, "now": now, "by": by}
    return RegistryId(
        tx.insert(
            "INSERT INTO registries (public_id, name, visibility, created_at, created_by, modified_at, modified_by)"
            " VALUES (:public, :name, :visibility, :now, :by, :now, :by)",
            values,
        ),
    )


def _registry(row: Row) -> Registry:
    return Registry(RegistryId(row[0]), row[1], RegistryName(row[2]), Visibility(row[3]), Timestamp(row[4]))


def hide_all(tx: Transaction) -> int:
    """Make every registry private; return how many were not."""
    return tx.execute("UPDATE registries SET visibility = 'private' WHERE visibility <> 'private'")
