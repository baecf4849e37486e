"""`/api/v1/accepted-findings`: which vulnerabilities do not count, where, why, by whose word, until when."""

from datetime import datetime

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from appliance.db import acceptances, images, registries, repositories
from appliance.db.database import Reader
from appliance.domain.access import Action
from appliance.domain.admission import may_registry
from appliance.domain.exclusion import Acceptance
from appliance.domain.moment import from_datetime
from appliance.domain.names import RegistryName, parse_image_path
from appliance.errors import EntryUnknown, QueryInvalid
from appliance.http.api.asking import Asking, InAsking, InStock, RegistryOf
from appliance.http.api.images import find_image
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment, moment_or_none
from appliance.http.api.registries import find_registry
from appliance.http.api.repositories import find_repository
from appliance.http.api.viewing import everywhere
from appliance.services import accepting
from appliance.services.accepting import Scope, Wish
from appliance.services.stock import Stock


class AcceptanceOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to accept, and where: by the id of an image, a repository or a registry; everywhere without any."""

    vulnerability: str
    reason: str
    package: str = ""
    image: str = ""
    repository: str = ""
    registry: str = ""
    expires_at: datetime | None = None


class AcceptanceShown(msgspec.Struct, frozen=True, rename="camel"):
    """A finding that is accepted. `where` is everywhere, or the path of a registry, repository or image."""

    id: str
    vulnerability: str
    package: str  # "" for whichever has it
    where: str
    reason: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None


class Acceptances(Controller):
    """Accepted findings: list, accept, reopen."""

    path = "/api/v1/accepted-findings"
    tags = ["scans"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(
        self, stock: InStock, asking: InAsking, registry: RegistryOf = None, cursor: Cursor = "", limit: Limit = 100
    ) -> Page[AcceptanceShown]:
        """List what is accepted in a registry, its repositories and images; `registry=*` lists what is everywhere."""
        if registry == "*":
            everywhere(asking).check(Action.VIEW_REGISTRY)
            site = None
        else:
            there = asking.at_name(stock, registry)
            there.check(Action.VIEW_REGISTRY)
            site = there.site.registry
        page = await collect_page(
            lambda last, count: stock.db.read(lambda reader: acceptances.list_page(reader, site, last, count)),
            lambda one: one.public_id,
            lambda _: True,
            cursor,
            limit,
        )
        return Page(await stock.db.read(lambda reader: [_show(reader, one) for one in page.items]), page.next)

    @post(status_code=201)
    async def accept(self, stock: InStock, asking: InAsking, data: JSONBody[AcceptanceOrder]) -> AcceptanceShown:
        """Let a vulnerability not count; pull limits follow within moments."""
        scope = _scope(stock, asking, data)
        expires = None if data.expires_at is None else from_datetime(data.expires_at)
        wish = Wish(data.vulnerability, data.package, data.reason, expires)
        made = await accepting.accept(stock, asking.caller, scope, wish, stock.clock())
        return await stock.db.read(lambda reader: _show(reader, made))

    @delete("/{acceptance:str}")
    async def reopen(self, stock: InStock, asking: InAsking, acceptance: FromPath[str]) -> None:
        """Let it count again."""
        unknown = EntryUnknown(f"nothing is accepted under the id {acceptance[:40]!r}; see the list")
        found = acceptances.find(stock.db.reader, acceptance)
        if found is None or not _may_view(stock, asking, found):
            raise unknown
        _check_manage(stock, asking, found)
        await accepting.reopen(stock, asking.caller, found, stock.clock())


def _scope(stock: Stock, asking: Asking, order: AcceptanceOrder) -> Scope:
    """Return where it is accepted, if the caller may say so there. Raises AccessDenied, QueryInvalid, Unknown."""
    if sum(map(bool, (order.image, order.repository, order.registry))) > 1:
        raise QueryInvalid("name one image, one repository or one registry, or none of them for everywhere")
    if order.image:
        grant = find_image(stock, asking, order.image, Action.MANAGE_REPOSITORY)
        image = images.find_shown(stock.db.reader, grant.image)
        repository = repositories.find(stock.db.reader, grant.image.registry, grant.path.repository)
        return Scope(grant.image.registry, repository, image)
    if order.repository:
        found, _ = find_repository(stock, asking, order.repository, Action.MANAGE_REPOSITORY)
        return Scope(found.registry, found.id)
    if order.registry:
        return Scope(find_registry(stock, asking, order.registry, Action.MANAGE_REGISTRY).id)
    everywhere(asking).check(Action.MANAGE_REGISTRY)
    return Scope()


def _there(stock: Stock, asking: Asking, one: Acceptance) -> Asking:
    """Return the same caller asking where `one` is accepted."""
    found = None if one.registry is None else registries.get(stock.db.reader, one.registry)
    return everywhere(asking) if found is None else asking.at(found.id, RegistryName(found.name))


def _may_view(stock: Stock, asking: Asking, one: Acceptance) -> bool:
    return may_registry(asking.caller, _there(stock, asking, one).site, Action.VIEW_REGISTRY)


def _check_manage(stock: Stock, asking: Asking, one: Acceptance) -> None:
    """Raise AccessDenied unless the caller may manage what `one` is about."""
    there = _there(stock, asking, one)
    path = None if one.image is None else acceptances.path_of(stock.db.reader, one.image)
    if path is not None:
        there.grant(parse_image_path(path), Action.MANAGE_REPOSITORY)
    elif one.repository is not None and (found := repositories.get(stock.db.reader, one.repository)) is not None:
        find_repository(stock, asking, found.public_id, Action.MANAGE_REPOSITORY)
    else:
        there.check(Action.MANAGE_REGISTRY)


def _show(reader: Reader, one: Acceptance) -> AcceptanceShown:
    return AcceptanceShown(
        id=one.public_id,
        vulnerability=one.vulnerability,
        package=one.package,
        where=_where(reader, one),
        reason=one.reason,
        created_at=moment(one.created_at),
        created_by=one.created_by,
        expires_at=moment_or_none(one.expires_at),
    )


def _where(reader: Reader, one: Acceptance) -> str:
    if one.image is not None:
        return acceptances.path_of(reader, one.image) or "an image that is gone"
    if one.repository is not None:
        found = repositories.get(reader, one.repository)
        return "a repository that is gone" if found is None else str(found.name)
    if one.registry is not None:
        registry = registries.get(reader, one.registry)
        return "a registry that is gone" if registry is None else str(registry.name)
    return "everywhere"
