"""Who may do what: principals, actions, resource names and access policies as values; `rights.py` evaluates them."""

import enum
from datetime import datetime
from functools import lru_cache
from typing import Annotated, NewType

import msgspec

from appliance.domain.names import ImagePath, RegistryName

PrincipalId = NewType("PrincipalId", int)
GroupId = NewType("GroupId", int)
PolicyId = NewType("PolicyId", int)
KeyId = NewType("KeyId", int)


class PrincipalKind(enum.StrEnum):
    """What sort of principal asks."""

    USER = "user"
    ROLE = "role"
    ANONYMOUS = "anonymous"
    LOCAL = "local"  # the administrator of zero configuration
    OPERATOR = "operator"  # through the control socket
    APPLIANCE = "appliance"  # what it does by itself


class Principal(msgspec.Struct, frozen=True):
    """Who asks. `name` is unique within its kind."""

    kind: PrincipalKind
    name: str

    def __str__(self) -> str:
        """Return `kind:name`, as activity and logs show it."""
        return f"{self.kind}:{self.name}"


ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "anonymous")
LOCAL = Principal(PrincipalKind.LOCAL, "local")


class Action(enum.StrEnum):
    """What a statement allows or denies. The first three are the manual's (2.6)."""

    LOGIN = "LoginContainerRegistry"
    PULL = "PullRepositoryImages"
    PUSH = "PushRepositoryImages"
    DELETE = "DeleteRepositoryImages"
    SCAN = "ScanRepositoryImages"
    VIEW_REGISTRY = "ViewRegistry"
    VIEW_REPOSITORY = "ViewRepository"
    MANAGE_REGISTRY = "ManageRegistry"
    MANAGE_REPOSITORY = "ManageRepository"
    VIEW_USER = "ViewUser"
    MANAGE_USER = "ManageUser"
    VIEW_GROUP = "ViewGroup"
    MANAGE_GROUP = "ManageGroup"
    VIEW_ROLE = "ViewRole"
    MANAGE_ROLE = "ManageRole"
    VIEW_POLICY = "ViewAccessPolicy"
    MANAGE_POLICY = "ManageAccessPolicy"
    VIEW_KEY = "ViewAccessKey"  # of the user or role that the resource names
    MANAGE_KEY = "ManageAccessKey"


class Holder(enum.StrEnum):
    """What has a page of its own in accounts, and what policies are attached to (all but a policy)."""

    USER = "user"
    ROLE = "role"
    GROUP = "group"
    POLICY = "policy"


VIEW_OF = {
    Holder.USER: Action.VIEW_USER,
    Holder.ROLE: Action.VIEW_ROLE,
    Holder.GROUP: Action.VIEW_GROUP,
    Holder.POLICY: Action.VIEW_POLICY,
}
MANAGE_OF = {
    Holder.USER: Action.MANAGE_USER,
    Holder.ROLE: Action.MANAGE_ROLE,
    Holder.GROUP: Action.MANAGE_GROUP,
    Holder.POLICY: Action.MANAGE_POLICY,
}


class Account(msgspec.Struct, frozen=True):
    """A user, role, group or access policy by name."""

    kind: Holder
    name: str

    def __str__(self) -> str:
        """Return `kind:name`."""
        return f"{self.kind}:{self.name}"


class Conditions(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """When a statement counts: from these source addresses and networks (empty: all), not from those, within a time.

    Unlike in the manual they work on registry endpoints too, and only narrow what the allowlist admits.
    """

    applied_addresses: tuple[str, ...] = ()
    excluded_addresses: tuple[str, ...] = ()
    not_before: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    not_after: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


ALWAYS = Conditions()


class Statement(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Allow or deny `actions` on `resources` (SRN patterns; `*` matches any characters, `/` included)."""

    effect: str  # "allow" or "deny"
    actions: tuple[str, ...]  # action names, `*` allowed at the end
    resources: tuple[str, ...]
    conditions: Conditions = ALWAYS


class AccessPolicy(msgspec.Struct, frozen=True):
    """A named document of statements."""

    name: str
    statements: tuple[Statement, ...]


def _built_in(name: str, *actions: str) -> AccessPolicy:
    return AccessPolicy(name, (Statement("allow", actions, ("*",)),))


BUILT_IN = {
    policy.name: policy
    for policy in (
        _built_in("ScrPullOnlyAccess", Action.LOGIN, Action.PULL),
        _built_in("ScrPullPushOnlyAccess", Action.LOGIN, Action.PULL, Action.PUSH),
        _built_in("ScrViewOnlyAccess", "View*"),
        _built_in("ScrFullAccess", "*"),
    )
}


@lru_cache(maxsize=1000)
def srn(appliance: str, registry: str, repository: str = "", image: str = "") -> str:
    """Return the resource name `srn:scr:<appliance>:registry/<name>[/repository/<name>[/image/<name>]]`."""
    text = f"srn:scr:{appliance}:registry/{registry}"
    if repository:
        text += f"/repository/{repository}"
    if image:
        text += f"/image/{image}"
    return text


def account_srn(appliance: str, account: Account) -> str:
    """Return the resource name of a user, role, group or policy: `srn:scr:<appliance>:user/<name>`."""
    return f"srn:scr:{appliance}:{account.kind}/{account.name}"


@lru_cache(maxsize=10_000)  # asked for every request: writing the names out takes longer than deciding
def resources_of(appliance: str, registry: RegistryName, path: ImagePath) -> tuple[str, ...]:
    """Return what a statement may name to mean the image at `path`: the image itself, or its repository.

    The actions are the repository's (`PullRepositoryImages`): on a repository they mean all its images. Where the image
    part is empty it is the repository alone.
    """
    repository = srn(appliance, registry, path.repository)
    return (f"{repository}/image/{path.image}", repository) if path.image else (repository,)


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is `text`, each `*` in it standing for any characters (none, and `/`, too).

    Each part is looked for once, from where the last one ended: many stars take no longer than one.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    last = rest.pop()
    if not (text.startswith(first) and text.endswith(last) and len(first) + len(last) <= len(text)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in rest:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
