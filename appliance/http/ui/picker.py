"""Which registry a list is of, and which repository: in the page's address, remembered for the next visit."""

import msgspec
from litestar import Response
from litestar.datastructures import Cookie

from appliance.http.api.images import EVERY
from appliance.http.api.page import Page
from appliance.http.api.registries import RegistryView
from appliance.http.api.repositories import RepositoryView
from appliance.http.ui.backend import Refused
from appliance.http.ui.lists import Asked
from appliance.http.ui.view import View, picked_cookie, registry_cookie

_MOST = 200  # entries of a picker; beyond it a name is typed into the address, or found by search


class Picked(msgspec.Struct, frozen=True):
    """What was picked. `repository` is "" for all of them; what may not be viewed is not among the choices."""

    registry: str
    repository: str
    registries: list[str]
    repositories: list[str]
    found: RegistryView | None  # the registry, for who may view it


async def pick(view: View, asked: Asked, *, with_repository: bool = False) -> Picked:
    """Return what the address of the page picks; without a registry in it, the one where the request came in."""
    registry = asked.more.get("registry") or str(view.asking.site.name)
    visible = await list_registries(view)
    names = [one.name for one in visible]
    repository = asked.more.get("repository", "") if with_repository and registry != EVERY else ""
    return Picked(
        registry=registry,
        repository=repository,
        registries=names if registry in (EVERY, *names) else [registry, *names],
        repositories=await _list_repositories(view, registry, repository) if with_repository else [],
        found=next((one for one in visible if one.name == registry), None),
    )


def go_to_remembered(view: View, address: str) -> Response[str] | None:
    """Return the redirect to what was picked last where the address says nothing of it, so that it can be linked."""
    if "registry" in view.request.query_params:
        return None
    registry, repository = view.remembered()
    if not registry or (registry == EVERY and address != "/images"):
        return None
    asked = view.request.url.query
    told = f"registry={registry}" + (f"&repository={repository}" if repository and address == "/images" else "")
    return view.go(f"{address}?{told}{'&' if asked else ''}{asked}")


def remember(view: View, picked: Picked, answer: Response[str]) -> Response[str]:
    """Return `answer` with the cookies that remember what is picked, where the address named it."""
    if "registry" in view.request.query_params:
        for cookie in cookies_of(picked.registry, picked.repository, is_tls=view.is_tls):
            answer.set_cookie(cookie)
    return answer


def cookies_of(registry: str, repository: str, *, is_tls: bool) -> tuple[Cookie, Cookie]:
    """Return the cookies that remember a repository, and the registry it is in."""
    return picked_cookie(repository, is_tls=is_tls), registry_cookie(registry, is_tls=is_tls)


async def list_registries(view: View) -> list[RegistryView]:
    """Return the registries that the viewer may view, as many as a picker shows."""
    try:
        return (await view.api.get("/api/v1/registries", Page[RegistryView], limit=_MOST)).items
    except Refused:
        return []


async def find_registry(view: View, name: str) -> RegistryView | None:
    """Return the registry of that name; None where there is none that the viewer may view."""
    try:
        return next(iter((await view.api.get("/api/v1/registries", Page[RegistryView], path=name)).items), None)
    except Refused:
        return None


def host_of(view: View, registry: RegistryView | None) -> str:
    """Return host and port at which the registry is reached: as it says, else as the browser came.

    "" for a registry that has no address: what goes to the browser's would reach another one.
    """
    if registry is None:
        return view.endpoint
    url = next(iter((*registry.urls.private, *registry.urls.public)), "")
    return url.partition("://")[2] or (view.endpoint if registry.name == view.asking.site.name else "")


async def _list_repositories(view: View, registry: str, picked: str) -> list[str]:
    if registry == EVERY:
        return []
    try:
        page = await view.api.get("/api/v1/repositories", Page[RepositoryView], registry=registry, limit=_MOST)
    except Refused:
        return [picked] if picked else []
    names = [one.name for one in page.items]
    return names if not picked or picked in names else [picked, *names]
