"""Who may do what: principals, actions, access policies, and the one function that evaluates them."""

import enum
from collections.abc import Iterable

import msgspec


class PrincipalKind(enum.StrEnum):
    """What sort of principal asks."""

    USER = "user"
    ROLE = "role"
    ANONYMOUS = "anonymous"
    LOCAL = "local"  # the administrator of zero configuration
    OPERATOR = "operator"  # through the control socket


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


class Statement(msgspec.Struct, frozen=True):
    """Allow or deny `actions` on `resources` (SRN patterns; `*` matches any characters, `/` included)."""

    effect: str  # "allow" or "deny"
    actions: tuple[str, ...]  # action names, `*` allowed at the end
    resources: tuple[str, ...]


class AccessPolicy(msgspec.Struct, frozen=True):
    """A named document of statements."""

    name: str
    statements: tuple[Statement, ...]


class Verdict(msgspec.Struct, frozen=True):
    """Whether it is allowed, and the rule that decided."""

    allowed: bool
    reason: str


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


def srn(appliance: str, registry: str, repository: str = "", image: str = "") -> str:
    """Return the resource name `srn:scr:<appliance>:registry/<name>[/repository/<name>[/image/<name>]]`."""
    text = f"srn:scr:{appliance}:registry/{registry}"
    if repository:
        text += f"/repository/{repository}"
    if image:
        text += f"/image/{image}"
    return text


def evaluate(policies: Iterable[AccessPolicy], action: str, resource: str) -> Verdict:
    """Decide `action` on `resource` (an SRN): a deny wins, then an allow, else it is denied.

    An effect that is no word of ours counts as deny: a policy written wrongly lets nobody in.
    """
    allowed: Verdict | None = None
    for policy in policies:
        for statement in policy.statements:
            if not (_names(statement.actions, action) and _names(statement.resources, resource)):
                continue
            if statement.effect != "allow":
                return Verdict(allowed=False, reason=f"policy {policy.name} denies {action}")
            allowed = allowed or Verdict(allowed=True, reason=f"policy {policy.name} allows {action}")
    return allowed or Verdict(allowed=False, reason=f"no policy allows {action}")


def _names(patterns: tuple[str, ...], text: str) -> bool:
    return any(matches(pattern, text) for pattern in patterns)


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
