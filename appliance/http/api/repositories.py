"""`/api/v1/repositories`."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import Provide
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, UnsetType

from appliance.db import deletions, repositories
from appliance.db.database import Reader
from appliance.db.repositories import RepositoryRow
from appliance.domain import policy_edit
from appliance.domain.access import Action, srn
from appliance.domain.admission import Grant
from appliance.domain.image_policy import ImagePolicy
from appliance.domain.moment import Timestamp
from appliance.domain.names import of_repository, parse_repository_name
from appliance.domain.policy_edit import PolicyEdit
from appliance.domain.registry import Repository, RepositoryId, RepositorySettings, RepositoryState, repository_state
from appliance.domain.resource_tags import check_tags
from appliance.errors import Conflict, NameUnknown, QueryInvalid
from appliance.http.api.asking import Asking, InAsking, InStock, RegistryOf
from appliance.http.api.editing import IfMatch, expected, with_etag
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
from appliance.services import deletion
from appliance.services.arrange import create_repository, edit_repository
from appliance.services.delete import delete_repository
from appliance.services.stock import Stock
from appliance.services.terminate import try_deletion_again
from appliance.services.undo import undo

Text = Annotated[str, msgspec.Meta(max_length=2000)]
_BLANK = PolicyEdit()


class RepositoryView(msgspec.Struct, frozen=True, rename="camel"):
    """A repository. `policy` is the template: a new image gets a copy of it."""

    id: str
    srn: str
    registry: str
    name: str
    state: RepositoryState
    description: str
    images: int
    locked: bool
    policy: ImagePolicy
    by_push: bool  # made by a first push
    managed: bool  # declared in scr.toml, and changed there only
    resource_tags: dict[str, str]
    created_at: datetime
    created_by: str
    modified_at: datetime
    modified_by: str
    removed_at: datetime | None
    restorable_until: datetime | None


class RepositoryOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A repository to be made. What its policy leaves out is as `[defaults.repository]` in scr.toml says."""

    name: str
    registry: str | None = None  # its name; else the one that is asked
    description: Text = ""
    locked: bool = False
    policy: PolicyEdit = _BLANK
    resource_tags: dict[str, str] = {}


class RepositoryEdit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to change of a repository; what is left out stays. `resourceTags` replaces all of them."""

    description: Text | UnsetType = UNSET
    locked: bool | UnsetType = UNSET
    policy: PolicyEdit | UnsetType = UNSET
    resource_tags: dict[str, str] | UnsetType = UNSET


class Repositories(Controller):
    """Repositories: make, list, show, edit, delete, restore."""

    path = "/api/v1/repositories"
    tags = ["repositories"]  # noqa: RUF012 - Litestar's way
    dependencies = {"listing": Provide(provide_listing, sync_to_thread=False)}  # noqa: RUF012

    @get()
    async def list(
        self,
        stock: InStock,
        asking: InAsking,
        listing: InListing,
        registry: RegistryOf = None,
        path: FromQuery[str | None] = None,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[RepositoryView]:
        """List repositories; `path` finds the one of that name, `removed` lists those that can be restored."""
        asking = asking.at_name(stock, registry)
        site = asking.site
        if path is not None:
            wanted = parse_repository_name(path)
            asking.grant(of_repository(wanted), Action.VIEW_REPOSITORY)
            found = repositories.find(stock.db.reader, site.registry, wanted)
            return Page([await _load(stock, asking, found)] if found else [], None)
        page = await collect_page(
            lambda last, count: stock.db.read(
                lambda reader: repositories.list_page(reader, site.registry, listing, last, count)
            ),
            lambda row: repositories.key_in(listing, row),
            lambda row: asking.may(of_repository(row.repository.name), Action.VIEW_REPOSITORY),
            cursor,
            limit,
        )
        failed = await stock.db.read(lambda reader: deletion.list_failed(reader, deletion.REPOSITORY))
        return Page([_show(stock, asking, row, failed) for row in page.items], page.next)

    @post(status_code=201)
    async def create(
        self, stock: InStock, asking: InAsking, data: JSONBody[RepositoryOrder]
    ) -> Response[RepositoryView]:
        """Make a repository. One of that name that is there already is a 409 that says its id."""
        name = parse_repository_name(data.name, strict=stock.rules.strict)
        asking = asking.at_name(stock, data.registry)
        grant = asking.grant(of_repository(name), Action.MANAGE_REPOSITORY)
        policy = policy_edit.edit(stock.rules.default_policy, data.policy)
        settings = RepositorySettings(name, data.description, data.locked, policy)
        made = await create_repository(stock, grant, settings, check_tags(data.resource_tags), stock.clock())
        answer = with_etag(await _load(stock, asking, made.id), made.revision, 201)
        answer.headers["Location"] = f"/api/v1/repositories/{made.public_id}"
        return answer

    @get("/{repository_id:str}")
    async def show(self, stock: InStock, asking: InAsking, repository_id: FromPath[str]) -> Response[RepositoryView]:
        """Show a repository, one that can be restored too."""
        found, _ = find_repository(stock, asking, repository_id, Action.VIEW_REPOSITORY)
        return with_etag(await _load(stock, asking, found.id), found.revision)

    @patch("/{repository_id:str}")
    async def edit(
        self,
        stock: InStock,
        asking: InAsking,
        repository_id: FromPath[str],
        data: JSONBody[RepositoryEdit],
        if_match: IfMatch = None,
    ) -> Response[RepositoryView]:
        """Change a repository. Images that are there keep their policies; a lock holds them at once."""
        found, grant = find_repository(stock, asking, repository_id, Action.MANAGE_REPOSITORY)
        tags = None if data.resource_tags is UNSET else check_tags(data.resource_tags)

        def change(settings: RepositorySettings) -> RepositorySettings:
            return RepositorySettings(
                name=settings.name,
                description=settings.description if data.description is UNSET else data.description,
                locked=settings.locked if data.locked is UNSET else data.locked,
                policy=settings.policy if data.policy is UNSET else policy_edit.edit(settings.policy, data.policy),
                managed=settings.managed,
            )

        edited = await edit_repository(stock, grant, found.id, change, tags, expected(if_match), stock.clock())
        return with_etag(await _load(stock, asking, edited.id), edited.revision)

    @delete("/{repository_id:str}")
    async def delete(
        self,
        stock: InStock,
        asking: InAsking,
        repository_id: FromPath[str],
        confirm: FromQuery[str] = "",
        *,
        purge: FromQuery[bool] = False,
    ) -> None:
        """Delete a repository with all its images; `confirm` repeats its name, `purge` frees the bytes at once."""
        found, grant = find_repository(stock, asking, repository_id, Action.MANAGE_REPOSITORY)
        name = found.name
        if confirm != name:
            raise QueryInvalid(f"this deletes repository {name} and all its images; repeat its name: ?confirm={name}")
        if found.removed_at is not None:
            await try_deletion_again(stock, deletion.REPOSITORY, found.public_id, f"repository {name}")
            return
        await delete_repository(stock, grant, name, stock.clock(), purge=purge)

    @post("/{repository_id:str}/restoration", status_code=200)
    async def restore(self, stock: InStock, asking: InAsking, repository_id: FromPath[str]) -> Response[RepositoryView]:
        """Give a deleted repository back, with all that was in it."""
        found, grant = find_repository(stock, asking, repository_id, Action.MANAGE_REPOSITORY)
        if found.removed_at is not None:
            taken = await stock.db.read(lambda reader: deletions.find_of_repository(reader, found))
            if taken is None:
                raise Conflict(f"repository {found.name} cannot come back: it was purged, or its recycle time is over")
            await undo(stock, grant.caller, taken, stock.clock())
        restored, _ = find_repository(stock, asking, repository_id, Action.MANAGE_REPOSITORY)
        return with_etag(await _load(stock, asking, restored.id), restored.revision)


def find_repository(stock: Stock, asking: Asking, repository_id: str, action: Action) -> tuple[Repository, Grant]:
    """Return the repository behind an id, a removed one too, and the grant for `action` on it.

    Raises NameUnknown, AccessDenied.
    """
    absent = NameUnknown(f"there is no repository with the id {repository_id[:40]!r}; find it by name with ?path=")
    found = repositories.find_by_id(stock.db.reader, repository_id)
    if found is None:
        raise absent
    there = asking.at(found.registry, found.registry_name)
    return found, there.grant_found(of_repository(found.name), Action.VIEW_REPOSITORY, action, absent)


async def _load(stock: Stock, asking: Asking, repository: RepositoryId) -> RepositoryView:
    def load(reader: Reader) -> tuple[RepositoryRow | None, frozenset[str]]:
        return repositories.find_row(reader, repository), deletion.list_failed(reader, deletion.REPOSITORY)

    row, failed = await stock.db.read(load)
    if row is None:
        raise NameUnknown("there is no such repository any more")
    return _show(stock, asking, row, failed)


def _show(stock: Stock, asking: Asking, row: RepositoryRow, failed: frozenset[str]) -> RepositoryView:
    one = row.repository
    until = None
    if one.removed_at is not None and not one.purging:
        until = Timestamp(one.removed_at + stock.rules.recycle)
    return RepositoryView(
        id=one.public_id,
        srn=srn(asking.site.appliance, one.registry_name, one.name),
        registry=one.registry_name,
        name=one.name,
        state=repository_state(one, is_editing=row.is_purging_images, has_failed=one.public_id in failed),
        description=one.settings.description,
        images=row.images,
        locked=one.settings.locked,
        policy=one.settings.policy,
        by_push=one.by_push,
        managed=one.settings.managed,
        resource_tags=row.tags,
        created_at=moment(one.created_at),
        created_by=one.created_by,
        modified_at=moment(one.modified_at),
        modified_by=one.modified_by,
        removed_at=moment_or_none(one.removed_at),
        restorable_until=moment_or_none(until),
    )
