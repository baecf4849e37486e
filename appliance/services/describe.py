"""What manifests are to a person: kind, platforms and sizes for lists; config, layers, history and chart in full.

All of it comes from foreign bytes, so all of it is bounded: manifests and configs of unusual size are not opened, and
lists of parts end somewhere. What is not told for that reason is said in `notes`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing

import msgspec

from appliance.db import blobs, manifests
from appliance.db.database import Reader
from appliance.db.manifest_lists import ManifestRow
from appliance.domain.manifest import Kind, kind_of
from appliance.domain.names import Digest
from appliance.domain.registry import ImageId, ImageRef
from appliance.errors import StoreFailed
from appliance.services import build_history, chart
from appliance.services.build_history import Build
from appliance.services.chart import Chart
from appliance.services.stock import Stock

LARGEST_BODY = 256 << 10  # bytes of a manifest that is opened for a list
LARGEST_CONFIG = 1 << 20  # bytes of a config that is opened
PARTS = 500  # children, layers, annotations that are told of one manifest
_REMEMBERED = 4096  # platforms by config digest: a config never changes


class Platform(msgspec.Struct, frozen=True, rename="camel"):
    """One platform of an image. `size` is bytes of its own blobs, compressed; null where it is not here."""

    platform: str  # os/architecture[/variant]; "" where nobody says
    digest: str
    size: int | None
    is_here: bool


class Outline(msgspec.Struct, frozen=True):
    """What a list tells of a manifest. `size` is bytes of its blobs, those of an index's platforms together."""

    kind: Kind
    platforms: tuple[Platform, ...]
    size: int


class Layer(msgspec.Struct, frozen=True, rename="camel"):
    """One blob of a manifest."""

    media_type: str
    digest: str
    size: int


class Details(msgspec.Struct, frozen=True):
    """All that is told of a manifest. `build` and `chart` are None for other things than images and charts."""

    outline: Outline
    config: Layer | None
    layers: tuple[Layer, ...]
    annotations: dict[str, str]
    build: Build | None
    chart: Chart | None
    notes: tuple[str, ...]


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)[:100]


class _Part(msgspec.Struct, rename="camel"):
    digest: str
    media_type: str = ""
    size: int = 0
    platform: _Platform | None = None


class _Body(msgspec.Struct):
    config: _Part | None = None
    layers: list[_Part] | None = None
    blobs: list[_Part] | None = None
    manifests: list[_Part] | None = None
    annotations: dict[str, str] | None = None


_BODY = msgspec.json.Decoder(_Body)
_CONFIG = msgspec.json.Decoder(_Platform)


class Describer:
    """Describes manifests of a stock. It remembers platforms by the digests of configs."""

    def __init__(self, stock: Stock) -> None:
        """Describe what is in `stock`."""
        self._stock = stock
        self._platforms: OrderedDict[str, str] = OrderedDict()

    async def outline(self, image: ImageRef, image_id: ImageId, rows: list[ManifestRow]) -> list[Outline]:
        """Return what a list tells of each of `rows`, manifests of `image`."""
        bodies = await self._stock.db.read(lambda reader: [_load(reader, row, LARGEST_BODY) for row in rows])
        found = [await self._outline(image, row, body) for row, body in zip(rows, bodies, strict=True)]
        return await self._stock.db.read(lambda reader: _resolve(reader, image_id, found))

    async def describe(self, image: ImageRef, image_id: ImageId, row: ManifestRow) -> Details:
        """Return all that is told of one manifest of `image`."""
        body = await self._stock.db.read(lambda reader: _load(reader, row, 1 << 30))
        found = await self._outline(image, row, body)
        (outline,) = await self._stock.db.read(lambda reader: _resolve(reader, image_id, [found]))
        layers = [*(body.layers or ()), *(body.blobs or ())]
        notes = []
        if len(layers) > PARTS:
            notes.append(f"{len(layers) - PARTS} more layers are not shown")
        build = made = None
        if outline.kind is Kind.IMAGE and (content := await self._read_config(image, body, notes)) is not None:
            build = await asyncio.to_thread(build_history.parse, content, [part.size for part in layers])
        if outline.kind is Kind.CHART and (content := await self._read_config(image, body, notes)) is not None:
            archive = await self._read_chart(image, layers, notes)
            made = await asyncio.to_thread(chart.parse, content, archive)
        return Details(
            outline,
            _layer(body.config) if body.config else None,
            tuple(_layer(part) for part in layers[:PARTS]),
            dict(list((body.annotations or {}).items())[:PARTS]),
            build,
            made,
            tuple(notes),
        )

    async def _outline(self, image: ImageRef, row: ManifestRow, body: _Body) -> Outline:
        layer_types = [part.media_type for part in (body.layers or ())[:8]]
        kind = kind_of(row.media_type, row.artifact_type, layer_types)
        if kind is Kind.INDEX:
            found = [Platform(str(one.platform or ""), one.digest, None, is_here=False) for one in body.manifests or ()]
            return Outline(kind, tuple(found[:PARTS]), row.content_size)
        if kind is not Kind.IMAGE or body.config is None:
            return Outline(kind, (), row.content_size)
        platform = await self._platform(image, body.config)
        return Outline(kind, (Platform(platform, row.digest, row.content_size, is_here=True),), row.content_size)

    async def _platform(self, image: ImageRef, config: _Part) -> str:
        if (known := self._platforms.get(config.digest)) is not None:
            self._platforms.move_to_end(config.digest)
            return known
        content = await self._read(image, Digest(config.digest), LARGEST_CONFIG)
        if content is None:
            return ""
        try:
            platform = str(_CONFIG.decode(content))
        except (msgspec.DecodeError, RecursionError):
            platform = ""
        self._platforms[config.digest] = platform
        if len(self._platforms) > _REMEMBERED:
            self._platforms.popitem(last=False)
        return platform

    async def _read_config(self, image: ImageRef, body: _Body, notes: list[str]) -> bytes | None:
        content = None if body.config is None else await self._read(image, Digest(body.config.digest), LARGEST_CONFIG)
        if content is None:
            notes.append("its config is not here, or larger than what is opened")
        return content

    async def _read_chart(self, image: ImageRef, layers: Iterable[_Part], notes: list[str]) -> bytes | None:
        part = next((part for part in layers if part.media_type.startswith(chart.CONTENT)), None)
        content = None if part is None else await self._read(image, Digest(part.digest), chart.LARGEST)
        if content is None:
            notes.append("its chart is not here, or larger than what is opened")
        return content

    async def _read(self, image: ImageRef, digest: Digest, largest: int) -> bytes | None:
        """Return the bytes of a blob of `image`; None where it has none, it is larger, or it cannot be read."""
        found = blobs.find(self._stock.db.reader, image, digest)
        if found is None or found.stored.size > largest:
            return None
        content = bytearray()
        try:
            async with aclosing(self._stock.store.chunks(found.stored, 0, found.stored.size)) as chunks:
                async for chunk in chunks:
                    content += chunk
        except StoreFailed:
            return None
        return bytes(content)


def _resolve(reader: Reader, image: ImageId, outlines: Sequence[Outline]) -> list[Outline]:
    """Return `outlines` with what is known of the platforms that indexes list, which is asked for at once."""
    told = [Digest(one.digest) for outline in outlines if outline.kind is Kind.INDEX for one in outline.platforms]
    sizes = {digest: one.content_size for digest, one in manifests.find_outlines(reader, image, told).items()}
    return [_resolved(one, sizes) if one.kind is Kind.INDEX else one for one in outlines]


def _resolved(index: Outline, sizes: Mapping[Digest, int]) -> Outline:
    platforms = []
    for one in index.platforms:
        size = sizes.get(Digest(one.digest))
        platforms.append(Platform(one.platform, one.digest, size, is_here=size is not None))
    return Outline(index.kind, tuple(platforms), index.size + sum(one.size or 0 for one in platforms))


def _load(reader: Reader, row: ManifestRow, largest: int) -> _Body:
    """Return the parts of a manifest, nothing of one that is larger or gone."""
    if row.size > largest:
        return _Body()
    loaded = manifests.load(reader, row.id)
    try:
        return _BODY.decode(loaded[4]) if loaded else _Body()
    except (msgspec.DecodeError, RecursionError):  # a form of its own, which is served as it is
        return _Body()


def _layer(part: _Part) -> Layer:
    return Layer(part.media_type, part.digest, part.size)
