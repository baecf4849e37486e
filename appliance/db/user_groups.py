"""Groups of users: a group hands its policies to its members."""

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.db.principals import sort_key
from appliance.domain.access import GroupId, PrincipalId
from appliance.domain.accounts import GroupRow
from appliance.domain.moment import Timestamp

COLUMNS = """
g.id, g.public_id, g.name, g.description, (SELECT count(*) FROM group_members m WHERE m.group_id = g.id), g.managed,
g.created_at, g.created_by, g.modified_at, g.modified_by, g.revision
"""


def find(reader: Reader, name: str) -> GroupRow | None:
    """Return the group `name`, or None."""
    return row_of(reader.one(f"SELECT {COLUMNS} FROM user_groups g WHERE g.name = ?", (name,)))


def find_id(reader: Reader, public_id: str) -> GroupRow | None:
    """Return the group of this public id, or None."""
    return row_of(reader.one(f"SELECT {COLUMNS} FROM user_groups g WHERE g.public_id = ?", (public_id,)))


def list_managed(reader: Reader) -> list[GroupRow]:
    """Return the groups that scr.toml declares."""
    rows = reader.rows(f"SELECT {COLUMNS} FROM user_groups g WHERE g.managed")
    return [found for row in rows if (found := row_of(row)) is not None]


def insert(
    tx: Transaction, public_id: str, name: str, description: str, by: str, now: Timestamp, *, managed: bool = False
) -> GroupId:
    """Make a group."""
    values: Values = {
        "public": public_id,
        "name": name,
        "sort": sort_key(name),
        "description": description,
        "managed": managed,
        "by": by,
        "now": now,
    }
    sql = (
        "INSERT INTO user_groups (public_id, name, sort_key, description, managed, created_at, created_by,"
        " modified_at, modified_by) VALUES (:public, :name, :sort, :description, :managed, :now, :by, :now, :by)"
    )
    return GroupId(tx.insert(sql, values))


def update(tx: Transaction, row: GroupRow, by: str, now: Timestamp) -> None:
    """Write what may be edited of a group."""
    values: Values = {
        "id": row.row,
        "description": row.description,
        "managed": row.managed,
        "by": by,
        "now": now,
    }
    tx.execute(
        "UPDATE user_groups SET description = :description, managed = :managed, revision = revision + 1,"
        " modified_at = :now, modified_by = :by WHERE id = :id",
        values,
    )


def add_member(tx: Transaction, group: GroupId, user: PrincipalId, now: Timestamp, *, managed: bool = False) -> bool:
    """Add a user, with `managed` for the file; False if it was a member already."""
    values: Values = {"group": group, "user": user, "managed": managed, "now": now}
    sql = (
        "INSERT INTO group_members (group_id, principal_id, managed, since) VALUES (:group, :user, :managed, :now)"
        " ON CONFLICT (group_id, principal_id) DO UPDATE SET managed = TRUE WHERE :managed AND NOT managed"
    )
    return tx.execute(sql, values) == 1


def remove_member(tx: Transaction, group: GroupId, user: PrincipalId) -> bool:
    """Take a user out; False if it was no member."""
    return tx.execute("DELETE FROM group_members WHERE group_id = ? AND principal_id = ?", (group, user)) == 1


class Member(msgspec.Struct, frozen=True):
    """A user in a group; `managed`: scr.toml says so."""

    id: str
    name: str
    enabled: bool
    managed: bool
    since: Timestamp


_MEMBERS = """
SELECT p.public_id, p.name, p.enabled, m.managed, m.since
FROM group_members m JOIN principals p ON p.id = m.principal_id
WHERE m.group_id = :group AND p.sort_key > :last ORDER BY p.sort_key LIMIT :limit
"""


def list_members(reader: Reader, group: GroupId, last: str, limit: int) -> list[Member]:
    """Return up to `limit` members behind the sort key `last`."""
    rows = reader.rows(_MEMBERS, {"group": group, "last": last, "limit": limit})
    return [Member(row[0], row[1], bool(row[2]), bool(row[3]), Timestamp(row[4])) for row in rows]


def list_managed_members(reader: Reader, group: GroupId) -> list[PrincipalId]:
    """Return the members that scr.toml declares."""
    rows = reader.rows("SELECT principal_id FROM group_members WHERE group_id = ? AND managed", (group,))
    return [PrincipalId(row[0]) for row in rows]


def list_of_user(reader: Reader, user: PrincipalId) -> list[GroupRow]:
    """Return the groups a user is in, by name."""
    sql = (
        f"SELECT {COLUMNS} FROM group_members m JOIN user_groups g ON g.id = m.group_id"
        " WHERE m.principal_id = ? ORDER BY g.sort_key"
    )
    return [found for row in reader.rows(sql, (user,)) if (found := row_of(row)) is not None]


def delete(tx: Transaction, group: GroupId) -> None:
    """Delete a group with its memberships and attachments."""
    for sql in (
        "DELETE FROM group_members WHERE group_id = :id",
        "DELETE FROM policy_attachments WHERE holder_id = :id AND kind = 'group'",
        "DELETE FROM user_groups WHERE id = :id",
    ):
        tx.execute(sql, {"id": group})


def row_of(row: Row | None) -> GroupRow | None:
    """Return the group that the columns COLUMNS hold."""
    if row is None:
        return None
    return GroupRow(
        row=GroupId(row[0]),
        id=row[1],
        name=row[2],
        description=row[3],
        members=row[4],
        managed=bool(row[5]),
        created_at=Timestamp(row[6]),
        created_by=row[7],
        modified_at=Timestamp(row[8]),
        modified_by=row[9],
        revision=row[10],
    )
