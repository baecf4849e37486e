"""Registries: found by name, public id and port; what each of them uses."""

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName
from appliance.domain.registry import (
    EndpointType,
    Registry,
    RegistryId,
    RegistrySettings,
    RegistryUsage,
    Visibility,
)

_COLUMNS = (
    "r.id, r.public_id, r.name, r.description, r.visibility, r.endpoint, r.private_access_control,"
    " r.public_access_control, r.port, r.quota_bytes, r.quota_images, r.managed, r.revision, r.created_at,"
    " r.created_by, r.modified_at, r.modified_by, r.ready_at, r.removed_at, r.purging"
)
_FIND = f"SELECT {_COLUMNS} FROM registries r WHERE"


def find(reader: Reader, name: RegistryName) -> Registry | None:
    """Return the live registry `name`, or None. A point read: for the loop."""
    return _one(reader, f"{_FIND} r.name = ? AND r.removed_at IS NULL", (name,))


def find_by_id(reader: Reader, public_id: str) -> Registry | None:
    """Return the registry that has this public id, a removed one too, or None. A point read: for the loop."""
    return _one(reader, f"{_FIND} r.public_id = ?", (public_id,))


def find_by_port(reader: Reader, port: int) -> Registry | None:
    """Return the live registry with a listener of its own on `port`, or None. A point read: for the loop."""
    return _one(reader, f"{_FIND} r.port = ? AND r.removed_at IS NULL", (port,))


def get(reader: Reader, registry: RegistryId) -> Registry | None:
    """Return the registry `registry`, a removed one too; None once it is purged. A point read: for the loop."""
    return _one(reader, f"{_FIND} r.id = ?", (registry,))


def list_all(reader: Reader) -> list[Registry]:
    """Return all live registries by name."""
    rows = reader.rows(f"{_FIND} r.removed_at IS NULL ORDER BY r.name")
    return [_registry(row) for row in rows]


def list_controlled(reader: Reader) -> list[Registry]:
    """Return the live registries of which an allowlist decides who may use an endpoint."""
    where = "r.removed_at IS NULL AND (r.private_access_control OR r.public_access_control)"
    return [_registry(row) for row in reader.rows(f"{_FIND} {where}")]


def list_ports(reader: Reader) -> list[int]:
    """Return the ports on which live registries have listeners of their own."""
    rows = reader.rows("SELECT port FROM registries WHERE removed_at IS NULL AND port IS NOT NULL ORDER BY port")
    return [row[0] for row in rows]


def insert(tx: Transaction, settings: RegistrySettings, public_id: str, by: str, now: Timestamp) -> RegistryId:
    """Make a registry; it does not serve before `set_ready`."""
    values: Values = {**_values(settings), "public": public_id, "now": now, "by": by}
    sql = (
        "INSERT INTO registries (public_id, name, description, visibility, endpoint, private_access_control,"
        " public_access_control, port, quota_bytes, quota_images, managed, created_at, created_by, modified_at,"
        " modified_by) VALUES (:public, :name, :description, :visibility, :endpoint, :private_access_control,"
        " :public_access_control, :port, :quota_bytes, :quota_images, :managed, :now, :by, :now, :by)"
    )
    return RegistryId(tx.insert(sql, values))


def set_ready(tx: Transaction, registry: RegistryId, now: Timestamp) -> None:
    """Let the registry serve: all that its creation does is done."""
    tx.execute(
        "UPDATE registries SET ready_at = :now WHERE id = :id AND ready_at IS NULL", {"now": now, "id": registry}
    )


def usage_of(reader: Reader, registry: RegistryId) -> RegistryUsage:
    """Return what the registry uses. A point read: for the loop."""
    row = reader.one(
        "SELECT blob_bytes, sole_bytes, apparent_bytes, manifest_bytes FROM registry_usage WHERE registry_id = ?",
        (registry,),
    )
    return RegistryUsage(*(row or (0, 0, 0, 0)))


def hide_all(tx: Transaction) -> int:
    """Make every registry private; return how many were not."""
    return tx.execute("UPDATE registries SET visibility = 'private' WHERE visibility <> 'private'")


def _one(reader: Reader, sql: str, values: Values) -> Registry | None:
    row = reader.one(sql, values)
    return _registry(row) if row else None


def _values(settings: RegistrySettings) -> dict[str, str | int | None]:
    return {
        "name": settings.name,
        "description": settings.description,
        "visibility": settings.visibility.value,
        "endpoint": settings.endpoint.value,
        "private_access_control": settings.private_access_control,
        "public_access_control": settings.public_access_control,
        "port": settings.port,
        "quota_bytes": settings.quota_bytes,
        "quota_images": settings.quota_images,
        "managed": settings.managed,
    }


def _registry(row: Row) -> Registry:
    settings = RegistrySettings(
        name=RegistryName(row[2]),
        description=row[3],
        visibility=Visibility(row[4]),
        endpoint=EndpointType(row[5]),
        private_access_control=bool(row[6]),
        public_access_control=bool(row[7]),
        port=row[8],
        quota_bytes=row[9],
        quota_images=row[10],
        managed=bool(row[11]),
    )
    return Registry(
        id=RegistryId(row[0]),
        public_id=row[1],
        settings=settings,
        revision=row[12],
        created_at=Timestamp(row[13]),
        created_by=row[14],
        modified_at=Timestamp(row[15]),
        modified_by=row[16],
        ready_at=None if row[17] is None else Timestamp(row[17]),
        removed_at=None if row[18] is None else Timestamp(row[18]),
        purging=bool(row[19]),
    )
