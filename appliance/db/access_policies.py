"""Access policies, to whom they are attached, and which single resources their statements are bound to."""

from collections.abc import Iterable

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.db.principals import sort_key
from appliance.domain.access import Holder, PolicyId, PrincipalId
from appliance.domain.accounts import PolicyRow
from appliance.domain.moment import Timestamp
from appliance.domain.policy_document import split_resource

COLUMNS = """
a.id, a.public_id, a.name, a.description, a.document, a.version, a.built_in, a.managed, a.enabled,
(SELECT count(*) FROM policy_attachments t WHERE t.policy_id = a.id),
a.created_at, a.created_by, a.modified_at, a.modified_by, a.revision
"""


def find(reader: Reader, name: str) -> PolicyRow | None:
    """Return the policy `name`, or None."""
    return row_of(reader.one(f"SELECT {COLUMNS} FROM access_policies a WHERE a.name = ?", (name,)))


def find_id(reader: Reader, public_id: str) -> PolicyRow | None:
    """Return the policy of this public id, or None."""
    return row_of(reader.one(f"SELECT {COLUMNS} FROM access_policies a WHERE a.public_id = ?", (public_id,)))


def list_managed(reader: Reader) -> list[PolicyRow]:
    """Return the policies that scr.toml declares."""
    rows = reader.rows(f"SELECT {COLUMNS} FROM access_policies a WHERE a.managed")
    return [found for row in rows if (found := row_of(row)) is not None]


class NewPolicy(msgspec.Struct, frozen=True):
    """An access policy to be made."""

    public_id: str
    name: str
    description: str
    document: str
    managed: bool
    by: str
    now: Timestamp


def insert(tx: Transaction, new: NewPolicy) -> PolicyId:
    """Make a policy; `bind` follows."""
    sql = (
        "INSERT INTO access_policies (public_id, name, sort_key, description, document, managed, created_at,"
        " created_by, modified_at, modified_by)"
        " VALUES (:public_id, :name, :sort, :description, :document, :managed, :now, :by, :now, :by)"
    )
    return PolicyId(tx.insert(sql, {**msgspec.structs.asdict(new), "sort": sort_key(new.name)}))


_UPDATE = """
UPDATE access_policies SET description = :description,
  version = version + (document <> :document OR enabled <> :enabled), document = :document, managed = :managed,
  enabled = :enabled, revision = revision + 1, modified_at = :now, modified_by = :by
WHERE id = :id AND NOT built_in
"""


def update(tx: Transaction, row: PolicyRow, by: str, now: Timestamp) -> None:
    """Write what may be edited of a policy; `bind` follows where the document changed."""
    values: Values = {
        "id": row.row,
        "description": row.description,
        "document": row.document,
        "managed": row.managed,
        "enabled": row.enabled,
        "by": by,
        "now": now,
    }
    tx.execute(_UPDATE, values)


_LIVE = {
    "registry": "SELECT g.id FROM registries g WHERE g.name = :registry AND g.removed_at IS NULL",
    "repository": (
        "SELECT r.id FROM repositories r JOIN registries g ON g.id = r.registry_id WHERE g.name = :registry"
        " AND g.removed_at IS NULL AND r.name = :repository AND r.removed_at IS NULL"
    ),
    "image": (
        "SELECT i.id FROM images i JOIN registries g ON g.id = i.registry_id JOIN repositories r"
        " ON r.id = i.repository_id WHERE g.name = :registry AND g.removed_at IS NULL AND r.removed_at IS NULL"
        " AND i.path = :repository || '/' || :image AND i.removed_at IS NULL"
    ),
}


def find_live(reader: Reader, resource: str) -> int | None:
    """Return the id of the registry, repository or image that `resource` names at present, or None."""
    registry, repository, image = split_resource(resource)
    named = {"registry": registry, "repository": repository, "image": image}
    values: Values = {kind: name for kind, name in named.items() if name}
    row = reader.one(_LIVE["image" if image else "repository" if repository else "registry"], values)
    return int(row[0]) if row else None


def bind(tx: Transaction, policy: PolicyId, resources: Iterable[str]) -> None:
    """Bind what the statements name alone to what bears the name now; what they named before stays as it was."""
    wanted = set(resources)
    known = {row[0] for row in tx.rows("SELECT resource FROM policy_bindings WHERE policy_id = ?", (policy,))}
    for resource in known - wanted:
        tx.execute("DELETE FROM policy_bindings WHERE policy_id = ? AND resource = ?", (policy, resource))
    for resource in wanted - known:
        tx.execute(
            "INSERT INTO policy_bindings (policy_id, resource, target) VALUES (?, ?, ?)",
            (policy, resource, find_live(tx, resource)),
        )


def rebind(tx: Transaction, policy: PolicyId, resources: Iterable[str]) -> None:
    """Bind everything anew: whoever writes a policy means what bears the names now."""
    tx.execute("DELETE FROM policy_bindings WHERE policy_id = ?", (policy,))
    bind(tx, policy, resources)


# a name is never given another meaning: who bears the id is alive, or nothing is meant any more
_ENDED = """
SELECT b.policy_id, b.resource FROM policy_bindings b WHERE b.target IS NOT NULL AND NOT CASE
  WHEN instr(b.resource, '/image/') THEN EXISTS (
    SELECT 1 FROM images i JOIN repositories r ON r.id = i.repository_id JOIN registries g ON g.id = i.registry_id
    WHERE i.id = b.target AND i.removed_at IS NULL AND r.removed_at IS NULL AND g.removed_at IS NULL)
  WHEN instr(b.resource, '/repository/') THEN EXISTS (
    SELECT 1 FROM repositories r JOIN registries g ON g.id = r.registry_id
    WHERE r.id = b.target AND r.removed_at IS NULL AND g.removed_at IS NULL)
  ELSE EXISTS (SELECT 1 FROM registries g WHERE g.id = b.target AND g.removed_at IS NULL)
END
"""


def list_ended(reader: Reader, policy: PolicyId) -> frozenset[str]:
    """Return the single resources of a policy that are there no more; whatever has their names now is not meant."""
    return frozenset(row[1] for row in reader.rows(f"{_ENDED} AND b.policy_id = ?", (policy,)))


def list_all_ended(reader: Reader) -> dict[PolicyId, frozenset[str]]:
    """Return the same for every policy that has any."""
    found: dict[PolicyId, set[str]] = {}
    for policy, resource in reader.rows(_ENDED):
        found.setdefault(PolicyId(policy), set()).add(resource)
    return {policy: frozenset(resources) for policy, resources in found.items()}


def attach(
    tx: Transaction, policy: PolicyId, kind: Holder, holder: int, now: Timestamp, *, managed: bool = False
) -> bool:
    """Attach a policy to a user, role or group, with `managed` for the file; False if it was."""
    values: Values = {"policy": policy, "kind": kind.value, "holder": holder, "managed": managed, "now": now}
    sql = (
        "INSERT INTO policy_attachments (policy_id, kind, holder_id, managed, since)"
        " VALUES (:policy, :kind, :holder, :managed, :now)"
        " ON CONFLICT DO UPDATE SET managed = TRUE WHERE :managed AND NOT managed"
    )
    return tx.execute(sql, values) == 1


def detach(tx: Transaction, policy: PolicyId, kind: Holder, holder: int) -> bool:
    """Take a policy away from a user, role or group; False if it was not attached."""
    sql = "DELETE FROM policy_attachments WHERE policy_id = ? AND kind = ? AND holder_id = ?"
    return tx.execute(sql, (policy, kind.value, holder)) == 1


def list_attached(reader: Reader, kind: Holder, holder: int) -> list[tuple[str, bool]]:
    """Return the names of the policies attached to a user, role or group, and whether scr.toml declares that."""
    sql = (
        "SELECT a.name, t.managed FROM policy_attachments t JOIN access_policies a ON a.id = t.policy_id"
        " WHERE t.kind = ? AND t.holder_id = ? ORDER BY a.sort_key"
    )
    return [(row[0], bool(row[1])) for row in reader.rows(sql, (kind.value, holder))]


def is_attached_by_file(reader: Reader, policy: PolicyId) -> bool:
    """Whether scr.toml declares any attachment of a policy."""
    sql = "SELECT 1 FROM policy_attachments WHERE policy_id = ? AND managed LIMIT 1"
    return reader.one(sql, (policy,)) is not None


class HolderRow(msgspec.Struct, frozen=True):
    """Somebody a policy is attached to; `managed`: scr.toml says so."""

    kind: Holder
    id: str
    name: str
    managed: bool
    since: Timestamp


_HOLDERS = """
SELECT t.kind, coalesce(p.public_id, g.public_id), coalesce(p.name, g.name) AS name, t.managed, t.since
FROM policy_attachments t
LEFT JOIN principals p ON t.kind <> 'group' AND p.id = t.holder_id
LEFT JOIN user_groups g ON t.kind = 'group' AND g.id = t.holder_id
WHERE t.policy_id = :policy AND (t.kind, coalesce(p.name, g.name)) > (:kind, :name)
ORDER BY 1, 3 LIMIT :limit
"""


def list_holders(
    reader: Reader, policy: PolicyId, last: tuple[str, str] = ("", ""), limit: int = 1000
) -> list[HolderRow]:
    """Return up to `limit` of those a policy is attached to, by kind and name, behind `last`."""
    values: Values = {"policy": policy, "kind": last[0], "name": last[1], "limit": limit}
    return [
        HolderRow(Holder(row[0]), row[1], row[2], bool(row[3]), Timestamp(row[4]))
        for row in reader.rows(_HOLDERS, values)
    ]


_IN_FORCE = """
SELECT a.id, a.name, a.version, a.document, a.enabled, min(coalesce(g.name, '')) FROM (
  SELECT t.policy_id, NULL AS group_id FROM policy_attachments t WHERE t.kind = :kind AND t.holder_id = :id
  UNION ALL
  SELECT t.policy_id, m.group_id FROM group_members m
  JOIN policy_attachments t ON t.kind = 'group' AND t.holder_id = m.group_id
  WHERE m.principal_id = :id AND :kind = 'user'
) f JOIN access_policies a ON a.id = f.policy_id LEFT JOIN user_groups g ON g.id = f.group_id
GROUP BY a.id ORDER BY a.id
"""


class InForce(msgspec.Struct, frozen=True):
    """A policy that counts for a principal; `group` is what hands it over, "" where it is its own."""

    id: PolicyId
    name: str
    version: int
    document: str
    enabled: bool
    group: str


def list_in_force(reader: Reader, kind: Holder, principal: PrincipalId) -> list[InForce]:
    """Return the policies of a user or role, those of its groups with them, each once."""
    return [_in_force(row) for row in reader.rows(_IN_FORCE, {"kind": kind.value, "id": principal})]


_ATTACHED = """
SELECT a.id, a.name, a.version, a.document, a.enabled, '' FROM policy_attachments t
JOIN access_policies a ON a.id = t.policy_id WHERE t.kind = :kind AND t.holder_id = :id ORDER BY a.id
"""


def list_own(reader: Reader, kind: Holder, holder: int) -> list[InForce]:
    """Return the policies that are attached to a user, role or group itself."""
    return [_in_force(row) for row in reader.rows(_ATTACHED, {"kind": kind.value, "id": holder})]


def delete(tx: Transaction, policy: PolicyId) -> None:
    """Delete a policy with its attachments and bindings."""
    for sql in (
        "DELETE FROM policy_attachments WHERE policy_id = :id",
        "DELETE FROM policy_bindings WHERE policy_id = :id",
        "DELETE FROM access_policies WHERE id = :id AND NOT built_in",
    ):
        tx.execute(sql, {"id": policy})


def _in_force(row: Row) -> InForce:
    return InForce(PolicyId(row[0]), row[1], row[2], row[3], bool(row[4]), row[5])


def row_of(row: Row | None) -> PolicyRow | None:
    """Return the policy that the columns COLUMNS hold."""
    if row is None:
        return None
    return PolicyRow(
        row=PolicyId(row[0]),
        id=row[1],
        name=row[2],
        description=row[3],
        document=row[4],
        version=row[5],
        built_in=bool(row[6]),
        managed=bool(row[7]),
        enabled=bool(row[8]),
        attachments=row[9],
        created_at=Timestamp(row[10]),
        created_by=row[11],
        modified_at=Timestamp(row[12]),
        modified_by=row[13],
        revision=row[14],
    )
