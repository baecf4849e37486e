"""Where findings are accepted: named by an order, asked for by who looks and who changes, and told to people."""

from appliance.db import acceptances, images, registries, repositories
from appliance.db.database import Reader
from appliance.domain.access import Action
from appliance.domain.admission import may_registry
from appliance.domain.names import RegistryName, parse_image_path
from appliance.domain.registry import RegistryId
from appliance.errors import QueryInvalid
from appliance.http.api.asking import Asking
from appliance.http.api.images import find_image
from appliance.http.api.registries import find_registry
from appliance.http.api.repositories import find_repository
from appliance.http.api.viewing import everywhere
from appliance.services.accepting import Scope
from appliance.services.stock import Stock


def find_scope(stock: Stock, asking: Asking, image: str, repository: str, registry: str) -> Scope:
    """Return the place that ids name, if the caller may accept there. Raises AccessDenied, QueryInvalid, Unknown."""
    if sum(map(bool, (image, repository, registry))) > 1:
        raise QueryInvalid("name one image, one repository or one registry, or none of them for everywhere")
    if image:
        grant = find_image(stock, asking, image, Action.MANAGE_REPOSITORY)
        shown = images.find_shown(stock.db.reader, grant.image)
        of = repositories.find(stock.db.reader, grant.image.registry, grant.path.repository)
        return Scope(grant.image.registry, of, shown)
    if repository:
        found, _ = find_repository(stock, asking, repository, Action.MANAGE_REPOSITORY)
        return Scope(found.registry, found.id)
    if registry:
        return Scope(find_registry(stock, asking, registry, Action.MANAGE_REGISTRY).id)
    everywhere(asking).check(Action.MANAGE_REGISTRY)
    return Scope()


def listed_registry(stock: Stock, asking: Asking, registry: str | None) -> RegistryId | None:
    """Return the registry whose list is asked for, None for everywhere (`*`). Raises AccessDenied, RegistryUnknown."""
    if registry == "*":
        everywhere(asking).check(Action.VIEW_REGISTRY)
        return None
    there = asking.at_name(stock, registry)
    there.check(Action.VIEW_REGISTRY)
    return there.site.registry


def _there(stock: Stock, asking: Asking, scope: Scope) -> Asking:
    """Return the same caller asking in the registry of `scope`."""
    found = None if scope.registry is None else registries.get(stock.db.reader, scope.registry)
    return everywhere(asking) if found is None else asking.at(found.id, RegistryName(found.name))


def may_view(stock: Stock, asking: Asking, scope: Scope) -> bool:
    """Whether the caller may see what is accepted in `scope`."""
    return may_registry(asking.caller, _there(stock, asking, scope).site, Action.VIEW_REGISTRY)


def check_manage(stock: Stock, asking: Asking, scope: Scope) -> None:
    """Raise AccessDenied unless the caller may change what is accepted in `scope`."""
    there = _there(stock, asking, scope)
    path = None if scope.image is None else acceptances.path_of(stock.db.reader, scope.image)
    if path is not None:
        there.grant(parse_image_path(path), Action.MANAGE_REPOSITORY)
    elif scope.repository is not None and (found := repositories.get(stock.db.reader, scope.repository)) is not None:
        find_repository(stock, asking, found.public_id, Action.MANAGE_REPOSITORY)
    else:
        there.check(Action.MANAGE_REGISTRY)


def where_of(reader: Reader, scope: Scope) -> str:
    """Return the place for people: everywhere, or the path of a registry, repository or image."""
    if scope.image is not None:
        return acceptances.path_of(reader, scope.image) or "an image that is gone"
    if scope.repository is not None:
        found = repositories.get(reader, scope.repository)
        return "a repository that is gone" if found is None else str(found.name)
    if scope.registry is not None:
        registry = registries.get(reader, scope.registry)
        return "a registry that is gone" if registry is None else str(registry.name)
    return "everywhere"
