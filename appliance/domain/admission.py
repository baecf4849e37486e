"""The ordered decisions for a request, each with its reason. A `Grant` comes only from here.

Order (DESIGN 4): listener, registry, endpoint type, allowlist, authentication, access policy, pull limit, quota and
lock.
The doors hand over facts; what is decided here touches neither network nor database.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from appliance.domain.access import ANONYMOUS, LOCAL, Account, Action, Principal, account_srn, resources_of, srn
from appliance.domain.accounts import Credential
from appliance.domain.moment import Timestamp
from appliance.domain.names import ImagePath, RegistryName
from appliance.domain.registry import ImageRef, RegistryId
from appliance.domain.rights import FullRights, Rights, Verdict, parse_address
from appliance.domain.scope import MANAGEMENT, Scopes
from appliance.errors import AccessDenied, Denied, ScopeShort, Unauthorized

FULL_ACCESS = FullRights(())  # compared by identity where it saves time


class Caller(msgspec.Struct, frozen=True):
    """Who asks, from where, with which rights; `at` is when, where these depend on the time.

    `client` is the program's own word, for changes only.
    """

    principal: Principal
    rights: Rights
    address: str
    client: str = ""
    at: Timestamp = Timestamp(0)
    scopes: Scopes | None = None  # of a token: what it was fetched for; it only narrows
    credential: Credential | None = None
    access_key: str = ""  # that the credential is of, for records


class Grant(msgspec.Struct, frozen=True):
    """The proof that a caller may do something to an image; every writing service asks for one."""

    caller: Caller
    image: ImageRef

    @property
    def principal(self) -> Principal:
        """Who it was given to."""
        return self.caller.principal

    @property
    def path(self) -> ImagePath:
        """The image it is for."""
        return self.image.path


class Site(msgspec.Struct, frozen=True):
    """The registry a request means, and what its resources are called."""

    appliance: str
    registry: RegistryId
    name: RegistryName


class AccountGrant(msgspec.Struct, frozen=True):
    """The proof that a caller may change a user, group, role or access policy, or the access keys of one."""

    caller: Caller
    account: Account


def admit(caller: Caller, site: Site, path: ImagePath, actions: Sequence[Action]) -> Grant:
    """Return the grant for `actions` on the image at `path`.

    Decided on the path, before any look-up, so that a refusal says nothing about what exists. What the policies deny is
    denied whatever a token was fetched for. Raises AccessDenied, ScopeShort, Unauthorized.
    """
    if caller.rights is not FULL_ACCESS:
        _need(caller, Action.LOGIN, (srn(site.appliance, site.name),))
        resources = resources_of(site.appliance, site.name, path)
        for action in actions:
            _need(caller, action, resources)
        if caller.scopes is not None:
            for action in actions:
                if not caller.scopes.allows(action, path):
                    raise ScopeShort(f"the token was not fetched for {action} on {path}; fetch one that is")
    return Grant(caller, ImageRef(site.registry, path))


def admit_sign_in(caller: Caller, site: Site) -> None:
    """Check that the caller may use the distribution API of the registry at all. Raises AccessDenied, Unauthorized."""
    _need(caller, Action.LOGIN, (srn(site.appliance, site.name),))


def admit_catalog(caller: Caller, site: Site) -> None:
    """Check that the caller may ask for the catalogue; `may_see` says what of it. Raises what `admit` does."""
    admit_sign_in(caller, site)
    if caller.scopes is not None and not caller.scopes.has_catalog:
        raise ScopeShort("the token was not fetched for the catalogue; fetch one that is")


def may_image(caller: Caller, site: Site, path: ImagePath, action: Action) -> bool:
    """Whether policies allow the image action at present; what a token is issued for."""
    return _judge(caller, action, resources_of(site.appliance, site.name, path)).allowed


def may_see(caller: Caller, site: Site, path: ImagePath) -> bool:
    """Whether the catalogue shows the image to the caller: who may pull it may know of it."""
    return may_image(caller, site, path, Action.PULL)


def may_mount(caller: Caller, site: Site, path: ImagePath) -> bool:
    """Whether the caller may take blobs from the image at `path`, with what its token was fetched for."""
    is_in_scope = caller.scopes is None or caller.scopes.allows(Action.PULL, path)
    return is_in_scope and may_see(caller, site, path)


def admit_management(caller: Caller, site: Site, path: ImagePath, action: Action) -> Grant:
    """Return the grant for `action` on the image at `path` (or its repository, where the image part is empty).

    For what goes through the management API, which needs no `LoginContainerRegistry`. Raises AccessDenied, ScopeShort.
    """
    _need_management(caller, action, resources_of(site.appliance, site.name, path))
    return Grant(caller, ImageRef(site.registry, path))


def admit_registry(caller: Caller, site: Site, action: Action) -> None:
    """Check `action` on the registry itself, through the management API. Raises AccessDenied, ScopeShort."""
    _need_management(caller, action, (srn(site.appliance, site.name),))


def admit_account(caller: Caller, appliance: str, account: Account, action: Action) -> AccountGrant:
    """Return the grant for `action` on a user, group, role or policy, which need not exist.

    Raises AccessDenied, ScopeShort.
    """
    _need_management(caller, action, (account_srn(appliance, account),))
    return AccountGrant(caller, account)


def admit_own(caller: Caller, appliance: str, account: Account, action: Action) -> AccountGrant:
    """Return the grant for `action` on one's own account: given to everybody whom no policy denies it.

    Raises AccessDenied, ScopeShort.
    """
    resources = (account_srn(appliance, account),)
    if _judge(caller, action, resources).policy:  # one speaks of it
        _need(caller, action, resources)
    _need_scope(caller, action)
    return AccountGrant(caller, account)


def may_own(caller: Caller, appliance: str, account: Account, action: Action) -> bool:
    """Whether `admit_own` would give the grant; for lists."""
    verdict = _judge(caller, action, (account_srn(appliance, account),))
    return (verdict.allowed or not verdict.policy) and (caller.scopes is None or caller.scopes.manages(action))


def may(caller: Caller, site: Site, path: ImagePath, action: Action) -> bool:
    """Whether `caller` could do `action` on the image at `path`, through the management API; for lists."""
    return _may_manage(caller, action, resources_of(site.appliance, site.name, path))


def may_registry(caller: Caller, site: Site, action: Action) -> bool:
    """Whether `caller` could do `action` on the registry itself; for lists."""
    return _may_manage(caller, action, (srn(site.appliance, site.name),))


def may_somewhere(caller: Caller, action: Action) -> bool:
    """Whether `caller` could do `action` on anything at all, as to make what has no name yet."""
    if caller.rights is FULL_ACCESS:
        return True
    return (caller.scopes is None or caller.scopes.manages(action)) and caller.rights.allows_somewhere(action)


def may_account(caller: Caller, appliance: str, account: Account, action: Action) -> bool:
    """Whether `caller` could do `action` on the user, group, role or policy; for lists."""
    return _may_manage(caller, action, (account_srn(appliance, account),))


def explain_action(caller: Caller, site: Site, path: ImagePath | None, action: Action) -> Verdict:
    """Return what policies say of `action` on the image or repository at `path`, or on the registry itself, and why."""
    resources = (srn(site.appliance, site.name),) if path is None else resources_of(site.appliance, site.name, path)
    return _judge(caller, action, resources)


def _may_manage(caller: Caller, action: Action, resources: Sequence[str]) -> bool:
    if caller.rights is FULL_ACCESS:
        return True
    return (caller.scopes is None or caller.scopes.manages(action)) and _judge(caller, action, resources).allowed


def _need_management(caller: Caller, action: Action, resources: Sequence[str]) -> None:
    _need(caller, action, resources)
    _need_scope(caller, action)


def _need_scope(caller: Caller, action: Action) -> None:
    if caller.scopes is not None and not caller.scopes.manages(action):
        raise ScopeShort(f"the token was not fetched for {action}; fetch one with the scope {MANAGEMENT}")


def check_may(caller: Caller, site: Site, path: ImagePath, action: Action) -> None:
    """Check `action` at `path` once more, for what a grant does not say: a push that makes a repository.

    Raises AccessDenied.
    """
    _need(caller, action, resources_of(site.appliance, site.name, path))


def _need(caller: Caller, action: Action, resources: Sequence[str]) -> None:
    verdict = _judge(caller, action, resources)
    if verdict.allowed:
        return
    if caller.principal == ANONYMOUS:
        raise Unauthorized("sign in first: docker login with an access key of this registry")
    raise AccessDenied(
        f"{caller.principal.name} may not do this: {verdict.reason} on {resources[0]};"
        f" ask the administrator for a policy with {action}",
    )


def _judge(caller: Caller, action: Action, resources: Sequence[str]) -> Verdict:
    return caller.rights.evaluate(action, resources, caller.address, caller.at)


class Arrival(msgspec.Struct, frozen=True):
    """Facts of a request that the open mode of zero configuration judges."""

    peer: str
    local: str
    local_port: int
    host: str
    http_version: str
    forwarded: bool  # any of Forwarded, X-Forwarded-*, X-Real-IP, Via


def admit_open(arrival: Arrival) -> Caller:
    """Return the built-in administrator for a request that really comes from this machine.

    Raises Denied for anything that may have been forwarded (DESIGN 4, "Zero configuration").
    """
    if not (is_loopback(arrival.peer) and is_loopback(arrival.local)):
        raise Denied("without authentication only this machine is served; add a [[user]] to scr.toml")
    if arrival.forwarded or arrival.http_version == "1.0" or not _is_local_host(arrival.host, arrival.local_port):
        raise Denied(
            "scr is behind a proxy: configure authentication (a [[user]] in scr.toml), or call it as localhost"
        )
    return Caller(LOCAL, FULL_ACCESS, arrival.peer)


@lru_cache(maxsize=4096)  # asked of every request: parsing an address takes longer than finding a manifest
def is_loopback(address: str) -> bool:
    """Whether `address` (IPv4, IPv6, or IPv4-mapped) is a loopback address; False for anything else."""
    parsed = parse_address(address)
    return parsed is not None and parsed.is_loopback


@lru_cache(maxsize=4096)
def split_host(host: str) -> tuple[str, int | None]:
    """Return the lower-case name (brackets taken off) and the port of a Host header; the port is None when left out."""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") if rest.startswith(":") else ""
    else:
        name, _, port = host.partition(":")
    return name.lower().rstrip("."), int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None


def _is_local_host(host: str, port: int) -> bool:
    name, given = split_host(host)
    return (name == "localhost" or is_loopback(name)) and (given or 80) == port
