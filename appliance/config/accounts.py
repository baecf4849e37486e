"""Who `scr.toml` declares: `[[user]]`, `[[role]]`, `[[group]]` and `[[policy]]` as values, and what goes together."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NewType, Protocol

import msgspec

from appliance.config.lines import KeyPath
from appliance.domain.access import BUILT_IN, Statement
from appliance.domain.accounts import Method, check_name, is_access_key, is_user_name
from appliance.domain.meant import near
from appliance.errors import AccountInvalid

PasswordHash = NewType("PasswordHash", str)  # argon2id, as `scr user hash` prints it; "" for none
UserName = NewType("UserName", str)  # without a colon: Basic credentials end the name there
AccountName = NewType("AccountName", str)  # of a role, a group or an access policy
OwnerName = NewType("OwnerName", str)  # "user:ann", "role:ci"
AccessKeyName = NewType("AccessKeyName", str)  # "SCR...", as `scr key generate` prints it
SecretHash = NewType("SecretHash", str)  # SHA-256 of a secret key, in hexadecimal digits; "" for none
Place = NewType("Place", str)  # "local/pay": a repository with its registry
Statements = NewType("Statements", tuple[Statement, ...])  # of a policy, as the API takes them
Loadable = Literal["", "ScrPullOnlyAccess", "ScrPullPushOnlyAccess", "ScrViewOnlyAccess", "ScrFullAccess"]

PASSWORD_HASH = re.compile(r"\$argon2id\$v=19\$m=\d{1,8},t=\d{1,3},p=\d{1,3}\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}")
SECRET_HASH = re.compile(r"[0-9a-f]{64}")
_EVERY_WAY = (Method.KEY, Method.PASSWORD)
_OURS = "Scr"  # how the names of built-in policies begin


def parse_account(text: str) -> str:
    """Return the name of a role, group, policy or key. Raises ValueError with what is expected."""
    try:
        return check_name(text, "account")
    except AccountInvalid:
        raise ValueError(
            "1 to 128 letters, digits, '.', '_', '@', '+' or '-', a letter or digit at both ends"
        ) from None


def parse_owner(text: str) -> str:
    """Return `user:ann` or `role:ci`. Raises ValueError with what is expected."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("user", "role"):
        raise ValueError('whose key it is, like "role:ci" or "user:ann"')
    return f"{kind}:{parse_user(name) if kind == 'user' else parse_account(name)}"


def parse_key(text: str) -> str:
    """Return an access key. Raises ValueError with what is expected."""
    if not is_access_key(text):
        raise ValueError("an access key that `scr key generate` printed (SCR and 17 letters and digits)")
    return text


def parse_user(text: str) -> str:
    """Return the name of a user. Raises ValueError with what is expected."""
    if not is_user_name(text):
        raise ValueError("1 to 128 characters without : * or /, with no space at either end")
    return text


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
    """`[[role]]`: who a machine signs in as; its keys are `[[access_key]]`, or `scr key create` makes them."""

    name: AccountName
    description: str = ""
    policies: tuple[AccountName, ...] = ()


class AccessKeySection(msgspec.Struct, frozen=True):
    """`[[access_key]]`: a key of a user or role. Once read, `secret_hash` is never empty."""

    owner: OwnerName
    name: AccountName
    key: AccessKeyName
    secret_hash: SecretHash = SecretHash("")
    secret_file: Path | None = None
    description: str = ""


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
    keys: Sequence[AccessKeySection],
) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not go together, each with its place."""
    declared = [policy.name for policy in policies]
    for table, named in (("user", users), ("role", roles), ("group", groups), ("policy", policies)):
        yield from _twice(table, named)
    for table, holding in (("user", users), ("role", roles), ("group", groups)):
        yield from _unknown_policies(table, holding, declared)
    for number, key in enumerate(keys):
        if any(key.key == other.key for other in keys[:number]):
            yield ("access_key", number, "key"), f"there is another access key {key.key}; write one table for each"
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
