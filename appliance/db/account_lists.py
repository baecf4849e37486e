"""Lists of users, roles, groups, policies and access keys: one query for each order, by an index, from the last on."""

from collections.abc import Sequence

import msgspec

from appliance.db import access_policies, principals, user_groups
from appliance.db.database import Reader, Row, Value
from appliance.db.lists import place_after
from appliance.domain.access import GroupId, Holder, PolicyId, PrincipalId, PrincipalKind
from appliance.domain.accounts import GroupRow, PolicyRow, PrincipalRow
from appliance.domain.listing import Order

_LAST_TEXT = "\U0010ffff"  # comes after every name
_ORDERS = {
    Order("name"): "{r}.sort_key > :text ORDER BY {r}.sort_key",
    Order("name", descending=True): "{r}.sort_key < :text ORDER BY {r}.sort_key DESC",
    Order("created"): "({r}.created_at, {r}.id) > (:at, :id) ORDER BY {r}.created_at, {r}.id",
    Order("created", descending=True): (
        "({r}.created_at, {r}.id) < (:at, :id) ORDER BY {r}.created_at DESC, {r}.id DESC"
    ),
}


class Wanted(msgspec.Struct, frozen=True):
    """A list of accounts: its order, and which of them; None for any."""

    order: Order = Order()
    contains: str = ""  # in the name
    enabled: bool | None = None  # all but groups
    managed: bool | None = None
    policy: PolicyId | None = None  # attached to it itself
    group: GroupId | None = None  # users: who are in it


def _make_pages(select: str, row: str, *filters: str) -> dict[Order, str]:
    """Return the query of a page for each order."""
    common = (f"instr(lower({row}.name), lower(:contains))", f"(:managed IS NULL OR {row}.managed = :managed)")
    where = " AND ".join((*common, *filters))
    return {order: f"{select} AND {where} AND {rest.format(r=row)} LIMIT :limit" for order, rest in _ORDERS.items()}


def _has_policy(kind: str, row: str) -> str:
    found = (
        f"SELECT 1 FROM policy_attachments t WHERE t.policy_id = :policy AND t.kind = {kind} AND t.holder_id = {row}.id"
    )
    return f"(:policy IS NULL OR EXISTS ({found}))"


_IS_ENABLED = "(:enabled IS NULL OR {r}.enabled = :enabled)"
_IS_IN_GROUP = (
    "(:group IS NULL OR EXISTS (SELECT 1 FROM group_members m WHERE m.group_id = :group AND m.principal_id = p.id))"
)
PRINCIPALS = _make_pages(
    f"SELECT {principals.COLUMNS} FROM principals p WHERE p.kind = :kind",
    "p",
    _IS_ENABLED.format(r="p"),
    _has_policy(":kind", "p"),
    _IS_IN_GROUP,
)
GROUPS = _make_pages(f"SELECT {user_groups.COLUMNS} FROM user_groups g WHERE TRUE", "g", _has_policy("'group'", "g"))
POLICIES = _make_pages(
    f"SELECT {access_policies.COLUMNS} FROM access_policies a WHERE TRUE", "a", _IS_ENABLED.format(r="a")
)


def list_users(reader: Reader, wanted: Wanted, last: str, limit: int) -> list[PrincipalRow]:
    """Return up to `limit` users behind `last`, a key of `key_in`."""
    return _list_principals(reader, PrincipalKind.USER, wanted, last, limit)


def list_roles(reader: Reader, wanted: Wanted, last: str, limit: int) -> list[PrincipalRow]:
    """Return up to `limit` roles behind `last`."""
    return _list_principals(reader, PrincipalKind.ROLE, wanted, last, limit)


def _list_principals(reader: Reader, kind: PrincipalKind, wanted: Wanted, last: str, limit: int) -> list[PrincipalRow]:
    values = {**_values(wanted, last, limit), "kind": kind.value, "group": wanted.group}
    rows = reader.rows(PRINCIPALS[wanted.order], {**values, "policy": wanted.policy, "enabled": wanted.enabled})
    return [found for row in rows if (found := principals.row_of(row)) is not None]


def list_groups(reader: Reader, wanted: Wanted, last: str, limit: int) -> list[GroupRow]:
    """Return up to `limit` groups behind `last`."""
    rows = reader.rows(GROUPS[wanted.order], {**_values(wanted, last, limit), "policy": wanted.policy})
    return [found for row in rows if (found := user_groups.row_of(row)) is not None]


def list_policies(reader: Reader, wanted: Wanted, last: str, limit: int) -> list[PolicyRow]:
    """Return up to `limit` policies behind `last`."""
    rows = reader.rows(POLICIES[wanted.order], {**_values(wanted, last, limit), "enabled": wanted.enabled})
    return [found for row in rows if (found := access_policies.row_of(row)) is not None]


def key_in(wanted: Wanted, row: PrincipalRow | GroupRow | PolicyRow) -> str:
    """Return where `row` stands in the list."""
    return principals.sort_key(row.name) if wanted.order.by == "name" else f"{row.created_at}.{row.row}"


def _values(wanted: Wanted, last: str, limit: int) -> dict[str, Value]:
    values: dict[str, Value] = {"contains": wanted.contains, "managed": wanted.managed, "limit": limit}
    if wanted.order.by == "name":
        return {**values, "text": last or (_LAST_TEXT if wanted.order.descending else "")}
    return {**values, **place_after(last, descending=wanted.order.descending)}


class Attached(msgspec.Struct, frozen=True):
    """A policy as somebody has it, or a group as somebody is in it; `managed`: scr.toml says so."""

    id: str
    name: str
    managed: bool


_ATTACHED = """
SELECT t.holder_id, a.public_id, a.name, t.managed FROM json_each(:holders) j
JOIN policy_attachments t ON t.kind = :kind AND t.holder_id = j.value JOIN access_policies a ON a.id = t.policy_id
ORDER BY a.sort_key
"""
_MEMBERSHIPS = """
SELECT m.principal_id, g.public_id, g.name, m.managed FROM json_each(:users) j
JOIN group_members m ON m.principal_id = j.value JOIN user_groups g ON g.id = m.group_id ORDER BY g.sort_key
"""
_KEYS = """
SELECT k.principal_id, count(*) FROM json_each(:owners) j JOIN access_keys k ON k.principal_id = j.value
GROUP BY k.principal_id
"""


def list_attached(reader: Reader, kind: Holder, holders: Sequence[int]) -> dict[int, list[Attached]]:
    """Return the policies attached to each of `holders` (of one kind) that has any."""
    return _collect(reader.rows(_ATTACHED, {"kind": kind.value, "holders": _array(holders)}))


def list_memberships(reader: Reader, users: Sequence[PrincipalId]) -> dict[int, list[Attached]]:
    """Return the groups of each of `users` that is in any."""
    return _collect(reader.rows(_MEMBERSHIPS, {"users": _array(users)}))


def count_keys(reader: Reader, owners: Sequence[PrincipalId]) -> dict[int, int]:
    """Return how many access keys each of `owners` has that has any."""
    return {row[0]: row[1] for row in reader.rows(_KEYS, {"owners": _array(owners)})}


def _collect(rows: Sequence[Row]) -> dict[int, list[Attached]]:
    found: dict[int, list[Attached]] = {}
    for holder, public_id, name, managed in rows:
        found.setdefault(holder, []).append(Attached(public_id, name, bool(managed)))
    return found


def _array(ids: Sequence[int]) -> str:
    return msgspec.json.encode(list(ids)).decode()
