"""What the viewer may do, as templates ask: a button stands only where its form is not refused for want of a right."""

from collections.abc import Mapping

from appliance.domain.access import Account, Action, Holder
from appliance.domain.admission import Site, may, may_registry, may_somewhere
from appliance.domain.names import ImageName, ImagePath, RegistryName, RepositoryName
from appliance.http.api.access_keys import parse_owner
from appliance.http.api.asking import Asking
from appliance.http.api.viewing import everywhere, may_view_all


class Rights:
    """The rights of who is asking."""

    def __init__(self, asking: Asking) -> None:
        """Answer for `asking`."""
        self._asking = asking

    def names(self) -> Mapping[str, object]:
        """Return what templates call."""
        here = everywhere(self._asking).site
        return {
            "may": self._may,
            "may_in": self.may_in,
            "may_at": self._may_at,
            "may_account": self._may_account,
            "may_key": self._may_key,
            "could": self._could,
            "oversees": may_view_all(self._asking),
            "operates": may_registry(self._asking.caller, here, Action.MANAGE_REGISTRY),
        }

    def may_in(self, registry: str, path: str, action: str) -> bool:
        """Whether the viewer may do `action` on `path` (a repository, or an image in it) of the registry."""
        site = Site(self._asking.site.appliance, self._asking.site.registry, RegistryName(registry))
        repository, _, image = path.partition("/")
        return may(self._asking.caller, site, ImagePath(RepositoryName(repository), ImageName(image)), Action(action))

    def _may(self, action: str) -> bool:
        """Whether they may do it on the registry that the page came from."""
        return may_registry(self._asking.caller, self._asking.site, Action(action))

    def _may_at(self, registry: str, action: str) -> bool:
        """Whether they may do it on the registry of that name, "" for all that there may be."""
        there = everywhere(self._asking).site
        if registry:
            there = Site(there.appliance, there.registry, RegistryName(registry))
        return may_registry(self._asking.caller, there, Action(action))

    def _may_account(self, kind: str, name: str, action: str) -> bool:
        """Whether they may do it on a user, group, role or policy."""
        return self._asking.may_account(Account(Holder(kind), name), Action(action))

    def _may_key(self, owner: str, access_key: str) -> bool:
        """Whether they may change the access key of `owner`: their own, or by a policy; a key that asks only itself."""
        account, caller = parse_owner(owner), self._asking.caller
        is_own = not caller.access_key or caller.access_key == access_key
        return (is_own and self._asking.may_own(account, Action.MANAGE_KEY)) or self._asking.may_account(
            account, Action.MANAGE_KEY
        )

    def _could(self, action: str) -> bool:
        """Whether they may do it on anything at all, as to make what has no name yet."""
        return may_somewhere(self._asking.caller, Action(action))
