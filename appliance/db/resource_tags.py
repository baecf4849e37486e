"""Resource tags of registries, repositories and images."""

import enum
from collections.abc import Iterable

import msgspec

from appliance.db.database import Reader, Transaction
from appliance.domain.resource_tags import ResourceTags


class Tagged(enum.IntEnum):
    """What sort of resource a tag is on."""

    REGISTRY = 1
    REPOSITORY = 2
    IMAGE = 3


def of(reader: Reader, kind: Tagged, resource: int) -> dict[str, str]:
    """Return the tags of one resource, by key."""
    return of_many(reader, kind, [resource]).get(resource, {})


_OF_MANY = """
SELECT t.resource_id, t.key, t.value FROM json_each(:ids) j
JOIN resource_tags t ON t.kind = :kind AND t.resource_id = j.value ORDER BY t.key
"""


def of_many(reader: Reader, kind: Tagged, resources: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return the tags of each of `resources` that has any."""
    found: dict[int, dict[str, str]] = {}
    ids = msgspec.json.encode(list(resources)).decode()
    for resource, key, value in reader.rows(_OF_MANY, {"kind": kind.value, "ids": ids}):
        found.setdefault(resource, {})[key] = value
    return found


def replace(tx: Transaction, kind: Tagged, resource: int, tags: ResourceTags) -> None:
    """Give the resource `tags`, and no others."""
    tx.execute("DELETE FROM resource_tags WHERE kind = ? AND resource_id = ?", (kind.value, resource))
    tx.execute_many(
        "INSERT INTO resource_tags (kind, resource_id, key, value) VALUES (:kind, :resource, :key, :value)",
        ({"kind": kind.value, "resource": resource, "key": key, "value": value} for key, value in tags.items()),
    )
