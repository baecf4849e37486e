"""Who asks and for which registry, as the front found out; every handler asks it for its action."""

from typing import Annotated, cast

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from litestar.types import Scope

from appliance.db import registries
from appliance.domain import names
from appliance.domain.access import MANAGE_OF, Account, Action, Holder
from appliance.domain.admission import (
    AccountGrant,
    Caller,
    Grant,
    Site,
    admit_account,
    admit_management,
    admit_own,
    admit_registry,
    may,
    may_account,
    may_own,
    may_registry,
)
from appliance.domain.names import ImagePath
from appliance.domain.registry import RegistryId
from appliance.errors import AccessDenied, RegistryUnknown, ScrError
from appliance.http.running import Running
from appliance.services.books import Books
from appliance.services.stock import Stock

RegistryOf = Annotated[
    str | None, QueryParameter(name="registry", description="name of the registry; else the one that is asked")
]


_NOWHERE = RegistryId(0)  # no row has it


class Asking(msgspec.Struct, frozen=True):
    """One request's caller and registry."""

    caller: Caller
    site: Site

    def at(self, registry: RegistryId, name: names.RegistryName) -> "Asking":
        """Return the same caller asking in another registry."""
        return Asking(self.caller, Site(self.site.appliance, registry, name))

    def at_name(self, stock: Stock, text: str | None) -> "Asking":
        """Return the same caller asking in the registry of that name; None: where the request came in.

        A registry that is not there is told to those only who might view it; to others it is one without anything in
        it that they may see. Raises NameInvalid, RegistryUnknown.
        """
        if text is None:
            return self
        name = names.parse_registry_name(text)
        found = registries.find(stock.db.reader, name)
        asking = self.at(found.id if found else _NOWHERE, name)
        if found is None and may_registry(self.caller, asking.site, Action.VIEW_REGISTRY):
            raise RegistryUnknown(f"there is no registry {name!r}; see: scr registry list")
        return asking

    def check(self, action: Action) -> None:
        """Check `action` on the registry itself. Raises AccessDenied."""
        admit_registry(self.caller, self.site, action)

    def grant(self, path: ImagePath, action: Action) -> Grant:
        """Return the grant for `action` on the image, or on the repository of `of_repository`. Raises AccessDenied."""
        return admit_management(self.caller, self.site, path, action)

    def grant_found(self, path: ImagePath, view: Action, action: Action, absent: ScrError) -> Grant:
        """Return the grant for `action` on what was found by its id.

        Who may not even view it hears `absent`, as if no such id were known. Raises AccessDenied and `absent`.
        """
        if not self.may(path, view):
            raise absent
        return self.grant(path, action)

    def may(self, path: ImagePath, action: Action) -> bool:
        """Whether `action` on the image would be allowed: what a list leaves out."""
        return may(self.caller, self.site, path, action)

    def may_account(self, account: Account, action: Action) -> bool:
        """Whether `action` on a user, role, group or policy would be allowed."""
        return may_account(self.caller, self.site.appliance, account, action)

    def grant_for(self, account: Account, action: Action) -> AccountGrant:
        """Return the grant for `action` on an account, whether or not it is there. Raises AccessDenied."""
        return admit_account(self.caller, self.site.appliance, account, action)

    def grant_new(self, account: Account) -> AccountGrant:
        """Return the grant to make the account. Raises AccessDenied."""
        return self.grant_for(account, MANAGE_OF[account.kind])

    def grant_account(self, account: Account, view: Action, action: Action, absent: ScrError) -> AccountGrant:
        """Return the grant for `action` on an account that was found by its id.

        Who may not even view it hears `absent`. Raises AccessDenied and `absent`.
        """
        if not self.may_account(account, view):
            raise absent
        return self.grant_for(account, action)

    @property
    def own_account(self) -> Account | None:
        """Whose credential the caller came with; None: it is nobody's, as the operator's door."""
        principal = self.caller.principal
        return Account(Holder(principal.kind.value), principal.name) if self.caller.credential is not None else None

    def may_own(self, account: Account, action: Action) -> bool:
        """Whether the account is the caller's own, and `action` on it is neither denied nor beyond its token."""
        return account == self.own_account and may_own(self.caller, self.site.appliance, account, action)

    def grant_own(self, account: Account, action: Action) -> AccountGrant:
        """Return the grant for `action` on one's own account, unless a policy denies it. Raises AccessDenied."""
        return admit_own(self.caller, self.site.appliance, account, action)


def provide_asking(scope: Scope) -> Asking:
    """Return who asks, from what the front put into `scope`. Raises AccessDenied where it did not."""
    facts = cast("dict[str, object]", scope)
    caller, site = facts.get("scr.caller"), facts.get("scr.site")
    if not isinstance(caller, Caller) or not isinstance(site, Site):
        raise AccessDenied("nobody was admitted to this request; the management API is reached through the front only")
    return Asking(caller, site)


InAsking = NamedDependency[SkipValidation[Asking]]  # the values are the proof: nothing may rebuild them
InStock = NamedDependency[SkipValidation[Stock]]
InBooks = NamedDependency[SkipValidation[Books]]
InRunning = NamedDependency[SkipValidation[Running]]
