"""`/api/v1/registries`."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import Provide
from litestar.params import FromPath, FromQuery, JSONBody

from appliance.blobstore.stores import bucket_of
from appliance.db import registries
from appliance.db.database import Reader
from appliance.db.registries import RegistryRow
from appliance.domain.access import Action, srn
from appliance.domain.admission import may_registry
from appliance.domain.endpoint import Endpoint
from appliance.domain.moment import Timestamp
from appliance.domain.names import parse_registry_name
from appliance.domain.registry import (
    Bytes,
    Count,
    EndpointType,
    EndpointUrls,
    Port,
    Registry,
    RegistryId,
    RegistrySettings,
    RegistryState,
    RegistryUsage,
    StoreState,
    Visibility,
    state_of,
)
from appliance.domain.resource_tags import check_tags
from appliance.errors import QueryInvalid, RegistryUnknown
from appliance.http.api.asking import Asking, InAsking, InRunning, InStock
from appliance.http.api.editing import IfMatch, apply, expected, with_etag
from appliance.http.api.page import (
    Cursor,
    InListing,
    Limit,
    Page,
    collect_page,
    moment,
    moment_or_none,
    provide_listing,
)
from appliance.http.api.registry_making import first_lists
from appliance.http.running import Running
from appliance.services import deletion, provision, terminate
from appliance.services.stock import Stock

Text = Annotated[str, msgspec.Meta(max_length=2000)]


class RegistryView(msgspec.Struct, frozen=True, rename="camel"):
    """A registry. Sizes are bytes."""

    id: str
    srn: str
    name: str
    state: RegistryState
    description: str
    visibility: Visibility
    endpoint: EndpointType
    bucket: str  # that new blobs go to; empty: they go to the data folder
    urls: EndpointUrls
    private_access_control: bool
    public_access_control: bool
    port: int | None  # of a listener of its own
    quota_bytes: int | None
    quota_images: int | None
    log_traffic: bool  # its pulls and pushes are kept in the traffic log
    repositories: int
    images: int
    usage: RegistryUsage
    managed: bool  # declared in scr.toml, and changed there only
    resource_tags: dict[str, str]
    created_at: datetime
    created_by: str
    modified_at: datetime
    modified_by: str
    removed_at: datetime | None
    restorable_until: datetime | None


class RegistryOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A registry to be made. It can be public from its creation on only.

    `privateAllowlist` and `publicAllowlist` are the texts of the allowlists that it begins with, a line an entry.
    """

    name: str
    description: Text = ""
    visibility: Visibility = Visibility.PRIVATE
    endpoint: EndpointType = EndpointType.PRIVATE
    private_access_control: bool = False
    private_allowlist: str = ""
    public_access_control: bool = False
    public_allowlist: str = ""
    port: Port | None = None
    quota_bytes: Bytes | None = None
    quota_images: Count | None = None
    log_traffic: bool = False
    resource_tags: dict[str, str] = {}


class RegistryEdit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change of a registry; what is left out stays. `resourceTags` replaces all of them."""

    description: Text | msgspec.UnsetType = msgspec.UNSET
    visibility: Visibility | msgspec.UnsetType = msgspec.UNSET
    endpoint: EndpointType | msgspec.UnsetType = msgspec.UNSET
    private_access_control: bool | msgspec.UnsetType = msgspec.UNSET
    public_access_control: bool | msgspec.UnsetType = msgspec.UNSET
    port: Port | msgspec.UnsetType | None = msgspec.UNSET
    quota_bytes: Bytes | msgspec.UnsetType | None = msgspec.UNSET
    quota_images: Count | msgspec.UnsetType | None = msgspec.UNSET
    log_traffic: bool | msgspec.UnsetType = msgspec.UNSET
    resource_tags: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class Registries(Controller):
    """Registries: make, list, show, edit, delete, restore."""

    path = "/api/v1/registries"
    tags = ["registries"]  # noqa: RUF012 - Litestar's way
    dependencies = {"listing": Provide(provide_listing, sync_to_thread=False)}  # noqa: RUF012

    @get()
    async def list(
        self,
        stock: InStock,
        running: InRunning,
        asking: InAsking,
        listing: InListing,
        path: FromQuery[str | None] = None,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[RegistryView]:
        """List registries; `path` finds the one of that name, `removed` lists those that can be restored."""
        store = await running.store_state()
        if path is not None:
            found = registries.find(stock.db.reader, parse_registry_name(path))
            there = asking.at(found.id if found else RegistryId(0), parse_registry_name(path))
            there.check(Action.VIEW_REGISTRY)
            shown = [await _load(stock, running, asking, found.id, store)] if found else []
            return Page(shown, None)
        page = await collect_page(
            lambda last, count: stock.db.read(lambda reader: registries.list_page(reader, listing, last, count)),
            lambda row: registries.key_in(listing, row),
            lambda row: _may_view(asking, row.registry),
            cursor,
            limit,
        )
        failed = await stock.db.read(lambda reader: deletion.list_failed(reader, deletion.REGISTRY))
        return Page([_show(stock, running, asking, row, store, failed) for row in page.items], page.next)

    @post(status_code=201)
    async def create(
        self, stock: InStock, running: InRunning, asking: InAsking, data: JSONBody[RegistryOrder]
    ) -> Response[RegistryView]:
        """Make a registry. One of that name that is there already is a 409 that says its id."""
        name = parse_registry_name(data.name)
        asking.at(RegistryId(0), name).check(Action.MANAGE_REGISTRY)
        settings = RegistrySettings(
            name=name,
            description=data.description,
            visibility=data.visibility,
            endpoint=data.endpoint,
            private_access_control=data.private_access_control,
            public_access_control=data.public_access_control,
            port=data.port,
            quota_bytes=data.quota_bytes,
            quota_images=data.quota_images,
            log_traffic=data.log_traffic,
        )
        tags = check_tags(data.resource_tags)
        lists = {Endpoint.PRIVATE: data.private_allowlist, Endpoint.PUBLIC: data.public_allowlist}
        first = await first_lists(running, name, lists)
        made = await provision.create_registry(stock, asking.caller, settings, tags, stock.clock(), first)
        shown = await _load(stock, running, asking, made.id)
        answer = with_etag(shown, made.revision, 201)
        answer.headers["Location"] = f"/api/v1/registries/{made.public_id}"
        return answer

    @get("/{registry_id:str}")
    async def show(
        self, stock: InStock, running: InRunning, asking: InAsking, registry_id: FromPath[str]
    ) -> Response[RegistryView]:
        """Show a registry, one that can be restored too."""
        found = find_registry(stock, asking, registry_id, Action.VIEW_REGISTRY)
        return with_etag(await _load(stock, running, asking, found.id), found.revision)

    @patch("/{registry_id:str}")
    async def edit(
        self,
        stock: InStock,
        running: InRunning,
        asking: InAsking,
        registry_id: FromPath[str],
        data: JSONBody[RegistryEdit],
        if_match: IfMatch = None,
    ) -> Response[RegistryView]:
        """Change a registry. What is left out stays as it is."""
        found = find_registry(stock, asking, registry_id, Action.MANAGE_REGISTRY)
        tags = None if data.resource_tags is msgspec.UNSET else check_tags(data.resource_tags)
        edited = await provision.edit_registry(
            stock,
            asking.caller,
            found.id,
            lambda settings: apply(data, settings),
            tags,
            expected(if_match),
            stock.clock(),
        )
        return with_etag(await _load(stock, running, asking, edited.id), edited.revision)

    @delete("/{registry_id:str}")
    async def delete(
        self,
        stock: InStock,
        asking: InAsking,
        registry_id: FromPath[str],
        confirm: FromQuery[str] = "",
        *,
        force: FromQuery[bool] = False,
        purge: FromQuery[bool] = False,
    ) -> None:
        """Delete a registry with all its data; `confirm` repeats its name, `force` lets its repositories go with it.

        It can be restored until the recycle time is over; `purge` lets its data go with the next collection.
        """
        found = find_registry(stock, asking, registry_id, Action.MANAGE_REGISTRY)
        if confirm != found.name:
            raise QueryInvalid(
                f"this deletes registry {found.name} and all its data; repeat its name: ?confirm={found.name}"
            )
        if found.removed_at is not None:
            await terminate.try_deletion_again(stock, deletion.REGISTRY, found.public_id, f"registry {found.name}")
            return
        await terminate.delete_registry(stock, asking.caller, found.id, stock.clock(), force=force, purge=purge)

    @post("/{registry_id:str}/restoration", status_code=200)
    async def restore(
        self, stock: InStock, running: InRunning, asking: InAsking, registry_id: FromPath[str]
    ) -> Response[RegistryView]:
        """Give a deleted registry back, with all that was in it."""
        found = find_registry(stock, asking, registry_id, Action.MANAGE_REGISTRY)
        restored = await terminate.restore_registry(stock, asking.caller, found.id, stock.clock())
        return with_etag(await _load(stock, running, asking, restored.id), restored.revision)


def find_registry(stock: Stock, asking: Asking, registry_id: str, action: Action) -> Registry:
    """Return the registry behind an id, a removed one too, if the caller may do `action` to it.

    Raises RegistryUnknown, AccessDenied.
    """
    unknown = RegistryUnknown(f"there is no registry with the id {registry_id[:40]!r}; find it by name with ?path=")
    found = registries.find_by_id(stock.db.reader, registry_id)
    if found is None or not _may_view(asking, found):
        raise unknown
    asking.at(found.id, found.name).check(action)
    return found


def _may_view(asking: Asking, registry: Registry) -> bool:
    return may_registry(asking.caller, asking.at(registry.id, registry.name).site, Action.VIEW_REGISTRY)


async def _load(
    stock: Stock, running: Running, asking: Asking, registry: RegistryId, store: StoreState | None = None
) -> RegistryView:
    def load(reader: Reader) -> tuple[RegistryRow | None, frozenset[str]]:
        return registries.find_row(reader, registry), deletion.list_failed(reader, deletion.REGISTRY)

    row, failed = await stock.db.read(load)
    if row is None:
        raise RegistryUnknown("there is no such registry any more")
    return _show(stock, running, asking, row, store or await running.store_state(), failed)


def _show(
    stock: Stock, running: Running, asking: Asking, row: RegistryRow, store: StoreState, failed: frozenset[str]
) -> RegistryView:
    one = row.registry
    settings, bucket = one.settings, bucket_of(stock.store)
    has_failed = one.removed_at is not None and one.public_id in failed
    until = None
    if one.removed_at is not None and not one.purging:
        until = Timestamp(one.removed_at + stock.rules.recycle)
    return RegistryView(
        id=one.public_id,
        srn=srn(asking.site.appliance, one.name),
        name=one.name,
        state=state_of(one, store, is_editing=one.id in stock.editing, has_failed=has_failed),
        description=settings.description,
        visibility=settings.visibility,
        endpoint=settings.endpoint,
        bucket=bucket.bucket.name if bucket is not None and stock.store.driver == bucket.driver else "",
        urls=running.urls_of(one),
        private_access_control=settings.private_access_control,
        public_access_control=settings.public_access_control,
        port=settings.port,
        quota_bytes=settings.quota_bytes,
        quota_images=settings.quota_images,
        log_traffic=settings.log_traffic,
        repositories=row.repositories,
        images=row.images,
        usage=row.usage,
        managed=settings.managed,
        resource_tags=row.tags,
        created_at=moment(one.created_at),
        created_by=one.created_by,
        modified_at=moment(one.modified_at),
        modified_by=one.modified_by,
        removed_at=moment_or_none(one.removed_at),
        restorable_until=moment_or_none(until),
    )
