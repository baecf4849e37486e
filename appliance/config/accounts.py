"""Who `scr.toml` declares: `[[user]]`, `[[role]]`, `[[group]]` and `[[policy]]` as values, and what goes together."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NewType, Protocol

import msgspec

from appliance.config.lines import KeyPath
from appliance.domain.access import BUILT_IN, Statement
from appliance.domain.accounts import Method
from appliance.domain.meant import near

PasswordHash = NewType("PasswordHash", str)  # argon2id, as `scr user hash` prints it; "" for none
UserName = NewType("UserName", str)  # without a colon: Basic credentials end the name there
AccountName = NewType("AccountName", str)  # of a role, a group or an access policy
Place = NewType("Place", str)  # "local/pay": a repository with its registry
Statements = NewType("Statements", tuple[Statement, ...])  # of a policy, as the API takes them
Loadable = Literal["", "ScrPullOnlyAccess", "ScrPullPushOnlyAccess", "ScrViewOnlyAccess", "ScrFullAccess"]

_EVERY_WAY = (Method.KEY, Method.PASSWORD)
_OURS = "Scr"  # how the names of built-in policies begin


class SignInSection(msgspec.Struct, frozen=True):
    """`[user.sign_in]`: what opens registry, API and console to a user."""

    registry: tuple[Method, ...] = _EVERY_WAY
    api: tuple[Method, ...] = _EVERY_WAY
    console: tuple[Method, ...] = _EVERY_WAY


class UserSection(msgspec.Struct, frozen=True):
    """`[[user]]`: somebody who signs in with a password. Once read, `password_hash` is never empty."""

    name: UserName
    description: str = ""
    password_hash: PasswordHash = PasswordHash("")
    password_file: Path | None = None
    policies: tuple[AccountName, ...] = (AccountName("ScrPullPushOnlyAccess"),)
    sign_in: SignInSection = SignInSection()


class RoleSection(msgspec.Struct, frozen=True):
    """`[[role]]`: who a machine signs in as; its keys are made by `scr key create`."""

    name: AccountName
    description: str = ""
    policies: tuple[AccountName, ...] = ()


class GroupSection(msgspec.Struct, frozen=True):
    """`[[group]]`: users that have its policies besides their own."""

    name: AccountName
    description: str = ""
    members: tuple[UserName, ...] = ()
    policies: tuple[AccountName, ...] = ()


class PolicySection(msgspec.Struct, frozen=True):
    """`[[policy]]`: statements, or a built-in policy that is loaded and narrowed."""

    name: AccountName
    description: str = ""
    load: Loadable = ""
    registries: tuple[str, ...] = ()
    repositories: tuple[Place, ...] = ()
    statements: Statements = Statements(())


class _Named(Protocol):
    @property
    def name(self) -> str:
        """What it is called."""


class _Holding(Protocol):
    @property
    def policies(self) -> Sequence[str]:
        """What it has."""


def find_faults(
    users: Sequence[UserSection],
    roles: Sequence[RoleSection],
    groups: Sequence[GroupSection],
    policies: Sequence[PolicySection],
) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not go together, each with its place."""
    declared = [policy.name for policy in policies]
    for table, named in (("user", users), ("role", roles), ("group", groups), ("policy", policies)):
        yield from _twice(table, named)
    for table, holding in (("user", users), ("role", roles), ("group", groups)):
        yield from _unknown_policies(table, holding, declared)
    for number, policy in enumerate(policies):
        place = ("policy", number)
        if policy.name in BUILT_IN:
            yield (*place, "name"), f"policy {policy.name} is built in; load it into one of another name"
        if bool(policy.load) == bool(policy.statements):
            yield place, f"policy {policy.name} needs either statements or load; scr policy show prints some"
        if not policy.load and (policy.registries or policy.repositories):
            yield place, f"policy {policy.name} has registries or repositories, which narrow what load names; add load"


def _twice(table: str, named: Sequence[_Named]) -> Iterator[tuple[KeyPath, str]]:
    seen: set[str] = set()
    for number, one in enumerate(named):
        if one.name in seen:
            yield (table, number, "name"), f"there is another {table} {one.name}; give each a name of its own"
        seen.add(one.name)


def _unknown_policies(
    table: str, holding: Iterable[_Holding], declared: list[AccountName]
) -> Iterator[tuple[KeyPath, str]]:
    """Yield names that can only be meant for a built-in policy; others may be of policies that the API made."""
    for number, one in enumerate(holding):
        for name in one.policies:
            if name.startswith(_OURS) and name not in BUILT_IN and name not in declared:
                known = [*BUILT_IN, *declared]
                yield (table, number, "policies"), f"there is no policy {name}{near(name, known)}"
