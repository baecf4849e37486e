"""Who asks and for which registry, as the front found out; every handler asks it for its action."""

from typing import cast

import msgspec
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.types import Scope

from appliance.domain.access import Action
from appliance.domain.admission import Caller, Grant, Site, admit_management, admit_registry, may
from appliance.domain.names import ImageName, ImagePath, RepositoryName
from appliance.errors import AccessDenied, ScrError
from appliance.services.stock import Stock


class Asking(msgspec.Struct, frozen=True):
    """One request's caller and registry."""

    caller: Caller
    site: Site

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


def of_repository(name: RepositoryName) -> ImagePath:
    """Return the path that stands for the repository itself in a question for access."""
    return ImagePath(name, ImageName(""))


def provide_asking(scope: Scope) -> Asking:
    """Return who asks, from what the front put into `scope`. Raises AccessDenied where it did not."""
    facts = cast("dict[str, object]", scope)
    caller, site = facts.get("scr.caller"), facts.get("scr.site")
    if not isinstance(caller, Caller) or not isinstance(site, Site):
        raise AccessDenied("nobody was admitted to this request; the management API is reached through the front only")
    return Asking(caller, site)


InAsking = NamedDependency[SkipValidation[Asking]]  # the values are the proof: nothing may rebuild them
InStock = NamedDependency[SkipValidation[Stock]]
