"""`/api/v1/images/<id>/manifests`: a row a digest, all of one, its tags, deletion of up to 50 together."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, SkipValidation

from appliance.db import images, manifest_lists, manifests, referrer_tree, registries
from appliance.db.manifest_lists import ManifestRow
from appliance.db.referrer_tree import Node
from appliance.domain.access import Action
from appliance.domain.manifest import Kind, kind_of
from appliance.domain.names import parse_digest, parse_tag
from appliance.domain.pull_commands import list_commands
from appliance.domain.registry import EndpointUrls, ImageId, ImageRef, RepositoryState
from appliance.errors import ManifestUnknown, NameUnknown
from appliance.http.api.asking import Asking, InAsking, InRunning, InStock
from appliance.http.api.briefs import InBriefs, provide_briefs
from appliance.http.api.images import find_image
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment, moment_or_none
from appliance.http.api.scan_shapes import ScanBrief
from appliance.services import delete as deleting
from appliance.services import freeing, tagging
from appliance.services.build_history import Build
from appliance.services.chart import Chart
from appliance.services.describe import Describer, Layer, Outline, Platform
from appliance.services.hiding import hide_build
from appliance.services.stock import Stock

MAX_DIGESTS = 50  # of one deletion: manual 2.2, "Delete image tag"
Sort = Annotated[
    Literal["pushed", "-pushed", "tag", "-tag"],
    QueryParameter(description="order; `-` turns it round; by `tag`, as people count, those that have any"),
]
Tagged = Annotated[bool | None, QueryParameter(description="only those with tags, or only those without")]
Tag = Annotated[str, QueryParameter(max_length=128, description="only those that have this text in one of their tags")]
InDescriber = NamedDependency[SkipValidation[Describer]]


class TagName(msgspec.Struct, frozen=True):
    """A tag of a manifest, and whether it is locked itself."""

    name: str
    locked: bool


class ManifestOfImage(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest. `size` is bytes of its blobs as they are stored, those of an index's platforms together."""

    digest: str
    kind: Kind
    state: RepositoryState
    media_type: str
    artifact_type: str
    tags: tuple[TagName, ...]  # the first of them
    tag_count: int
    platforms: tuple[Platform, ...]
    size: int
    manifest_size: int
    subject: str | None
    is_listed: bool  # by an index of the image
    pushed_at: datetime  # first push to this image: tag deletion counts from here
    pushed_by: str
    modified_at: datetime
    pulls: int
    last_pulled_at: datetime | None
    scan: ScanBrief | None  # of an index that of its worst platform; null for what has nothing to scan


class ManifestInFull(ManifestOfImage, frozen=True, rename="camel"):
    """A manifest with all that is told of it."""

    config: Layer | None
    layers: tuple[Layer, ...]
    annotations: dict[str, str]
    build: Build | None  # of an image
    chart: Chart | None  # of a Helm chart
    notes: tuple[str, ...]  # what is not told, and why


class Referrer(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest that refers to another, with those that refer to it."""

    digest: str
    kind: Kind
    artifact_type: str
    size: int
    tag: str  # by which it refers, where it has no subject
    pushed_at: datetime
    referrers: tuple["Referrer", ...]


class CommandOfEndpoint(msgspec.Struct, frozen=True):
    """What to type to pull from one endpoint of the registry."""

    endpoint: str  # private or public
    url: str
    tool: str
    command: str


class TagsEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names that a manifest gets and loses, all or nothing: to rename is both."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class DeletionOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which manifests to delete together. With `dry_run` nothing changes; with `skip_refused` what can go does."""

    digests: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_DIGESTS)]
    dry_run: bool = False
    skip_refused: bool = False


class RefusedDigest(msgspec.Struct, frozen=True):
    """A digest that is not deleted, and why."""

    digest: str
    reason: str


class DeletionReport(msgspec.Struct, frozen=True, rename="camel"):
    """What a deletion of manifests takes, or would take. `freed` is bytes that nothing else needs."""

    deleted: tuple[str, ...]
    tags: int
    refused: tuple[RefusedDigest, ...]
    freed: int
    undo: str  # the id by which it can be undone; "" where it cannot


class Manifests(Controller):
    """Manifests: list, show, tag, delete; their referrers."""

    path = "/api/v1/images/{image_id:str}/manifests"
    dependencies = {"briefs": Provide(provide_briefs, sync_to_thread=False)}  # noqa: RUF012 - Litestar's way
    tags = ["manifests"]  # noqa: RUF012 - Litestar's way

    @get()
    async def list(  # noqa: PLR0913, PLR0917 - one for each thing that can be asked for
        self,
        stock: InStock,
        describer: InDescriber,
        briefs: InBriefs,
        asking: InAsking,
        image_id: FromPath[str],
        tagged: Tagged = None,
        name: Tag = "",
        sort: Sort = "-pushed",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[ManifestOfImage]:
        """List the manifests of an image, a row a digest."""
        image, number = _find(stock, find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image)
        page = await collect_page(
            lambda last, count: stock.db.read(
                lambda reader: manifest_lists.list_page(reader, number, last, count, sort, tagged=tagged, contains=name)
            ),
            lambda row: manifest_lists.key_in(sort, row),
            lambda _: True,
            cursor,
            limit,
        )
        outlines = await describer.outline(image, number, page.items)
        scans = await briefs.of(number, page.items, outlines)
        return Page([_show(*one) for one in zip(page.items, outlines, scans, strict=True)], page.next)

    @get("/{digest:str}")
    async def show(
        self,
        stock: InStock,
        describer: InDescriber,
        briefs: InBriefs,
        asking: InAsking,
        image_id: FromPath[str],
        digest: FromPath[str],
    ) -> ManifestInFull:
        """Show all of a manifest: config, layers, platforms, build (what looks like a secret in it hidden), chart."""
        image, number, row = await find_row(stock, asking, image_id, digest)
        found = await describer.describe(image, number, row)
        (scan,) = await briefs.of(number, [row], [found.outline])
        return ManifestInFull(
            **msgspec.structs.asdict(_show(row, found.outline, scan)),
            config=found.config,
            layers=found.layers,
            annotations=found.annotations,
            build=None if found.build is None else await asyncio.to_thread(hide_build, found.build),
            chart=found.chart,
            notes=found.notes,
        )

    @get("/{digest:str}/content")
    async def content(
        self, stock: InStock, asking: InAsking, image_id: FromPath[str], digest: FromPath[str]
    ) -> Response[bytes]:
        """Show the manifest itself, byte for byte, to whoever may view the image: it is no pull, and no limit acts."""
        image, _, row = await find_row(stock, asking, image_id, digest)
        loaded = await stock.db.read(lambda reader: manifests.load(reader, row.id))
        if loaded is None:
            raise ManifestUnknown(f"{image} has no manifest {row.digest} any more")
        return Response(loaded[4], media_type="application/json", headers={"X-Content-Type-Options": "nosniff"})

    @get("/{digest:str}/commands")
    async def commands(
        self,
        stock: InStock,
        running: InRunning,
        asking: InAsking,
        image_id: FromPath[str],
        digest: FromPath[str],
        tag: FromQuery[str] = "",
    ) -> Page[CommandOfEndpoint]:
        """List the commands that pull a manifest from each endpoint, by its digest or by one of its tags."""
        grant = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY)
        image, number = _find(stock, grant.image)
        row = await _find_row(stock, image, number, digest)
        registry = registries.get(stock.db.reader, image.registry)
        urls = EndpointUrls() if registry is None else running.urls_of(registry)
        reference = parse_tag(tag) if tag else row.digest
        kind = kind_of(row.media_type, row.artifact_type)
        return Page(
            [
                CommandOfEndpoint(endpoint, url, one.tool, one.command)
                for endpoint, found in (("private", urls.private), ("public", urls.public))
                for url in found
                for one in list_commands(url, image.path, reference, kind)
            ],
            None,
        )

    @get("/{digest:str}/referrers")
    async def referrers(
        self, stock: InStock, asking: InAsking, image_id: FromPath[str], digest: FromPath[str]
    ) -> Page[Referrer]:
        """List what refers to a manifest, with what refers to that: a tree, and not in pages."""
        _, number, row = await find_row(stock, asking, image_id, digest)
        tree = await stock.db.read(lambda reader: referrer_tree.list_tree(reader, number, row.digest))
        return Page([_refer(one) for one in tree], None)

    @patch("/{digest:str}")
    async def edit(
        self,
        stock: InStock,
        describer: InDescriber,
        briefs: InBriefs,
        asking: InAsking,
        image_id: FromPath[str],
        digest: FromPath[str],
        data: JSONBody[TagsEdit],
    ) -> ManifestOfImage:
        """Add, rename and take away tags of a manifest, all or nothing. To take one away needs the right to delete."""
        grant = find_image(stock, asking, image_id, Action.PUSH)
        if data.remove:
            find_image(stock, asking, image_id, Action.DELETE)
        add, remove = ([parse_tag(text) for text in names] for names in (data.add, data.remove))
        await tagging.edit_tags(stock, grant, parse_digest(digest), add, remove, stock.clock())
        image, number = _find(stock, grant.image)
        row = await _find_row(stock, image, number, digest)
        outlines = await describer.outline(image, number, [row])
        (scan,) = await briefs.of(number, [row], outlines)
        return _show(row, outlines[0], scan)

    @delete("/{digest:str}")
    async def delete(self, stock: InStock, asking: InAsking, image_id: FromPath[str], digest: FromPath[str]) -> None:
        """Delete a manifest with all its tags. What refers to it stays."""
        grant = find_image(stock, asking, image_id, Action.DELETE)
        await deleting.delete_manifest(stock, grant, parse_digest(digest), stock.clock())

    @post("/deletions", status_code=200)
    async def delete_several(
        self, stock: InStock, asking: InAsking, image_id: FromPath[str], data: JSONBody[DeletionOrder]
    ) -> DeletionReport:
        """Delete up to 50 manifests with their tags together, all or none; or tell what that would take and free."""
        grant = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY if data.dry_run else Action.DELETE)
        digests = [parse_digest(text) for text in dict.fromkeys(data.digests)]
        plan = await stock.db.read(lambda reader: freeing.forecast(reader, grant, digests))
        undo = ""
        if not data.dry_run:
            done = await deleting.delete_manifests(stock, grant, digests, stock.clock(), skip_refused=data.skip_refused)
            refused, undo = done.refused, done.undo
        else:
            refused = plan.refused
        out = {one.digest for one in refused}
        return DeletionReport(
            deleted=tuple(digest for digest in digests if digest not in out),
            tags=plan.tags,
            refused=tuple(RefusedDigest(one.digest, one.reason) for one in refused),
            freed=plan.freed,
            undo=undo,
        )


def _find(stock: Stock, wanted: ImageRef) -> tuple[ImageRef, ImageId]:
    """Return the image and its row. Raises NameUnknown."""
    number = images.find_shown(stock.db.reader, wanted)
    if number is None:
        raise NameUnknown(f"there is no image {wanted}")
    return wanted, number


async def find_row(stock: Stock, asking: Asking, image_id: str, text: str) -> tuple[ImageRef, ImageId, ManifestRow]:
    """Return a manifest of an image that may be viewed. Raises NameUnknown, DigestInvalid, ManifestUnknown."""
    image, number = _find(stock, find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image)
    return image, number, await _find_row(stock, image, number, text)


async def _find_row(stock: Stock, image: ImageRef, number: ImageId, text: str) -> ManifestRow:
    """Return the manifest of that digest. Raises DigestInvalid, ManifestUnknown."""
    digest = parse_digest(text)
    row = await stock.db.read(lambda reader: manifest_lists.find_row(reader, number, digest))
    if row is None:
        raise ManifestUnknown(f"{image} has no manifest {digest}")
    return row


def _show(row: ManifestRow, outline: Outline, scan: ScanBrief | None) -> ManifestOfImage:
    return ManifestOfImage(
        digest=row.digest,
        kind=outline.kind,
        state=RepositoryState.ACTIVE,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        tags=tuple(TagName(name, locked) for name, locked in row.tags),
        tag_count=row.tag_count,
        platforms=outline.platforms,
        size=outline.size,
        manifest_size=row.size,
        subject=row.subject,
        is_listed=row.is_listed,
        pushed_at=moment(row.pushed_at),
        pushed_by=row.pushed_by,
        modified_at=moment(row.changed_at),
        pulls=row.pulls,
        last_pulled_at=moment_or_none(row.last_pulled_at),
        scan=scan,
    )


def _refer(node: Node) -> Referrer:
    return Referrer(
        node.digest,
        kind_of(node.media_type, node.artifact_type),
        node.artifact_type,
        node.content_size,
        node.tag,
        moment(node.pushed_at),
        tuple(_refer(one) for one in node.referrers),
    )
