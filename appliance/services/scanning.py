"""Scans a manifest: reads the layers that nobody has read yet, merges all, judges, writes down.

Foreign bytes are parsed in a child (`scan_child.py`); what it says of a layer is kept per blob, so a base that lies
under many images is read once. Whatever cannot be read is a sentence that makes the result partial, never silence.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial

import msgspec

from appliance.db import blobs, layers, manifests, scan_summaries, scans
from appliance.db.database import Reader, Transaction
from appliance.db.layers import LayerId
from appliance.db.side_file import SideFile
from appliance.domain.image_policy import Scanned, ScanState
from appliance.domain.layer import FileEntry, ImageLayer, LayerContents
from appliance.domain.manifest import FileSystem, file_system_of
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.scan import Scan
from appliance.domain.vulnerability import Inventory
from appliance.errors import BlobBroken, ScrError
from appliance.scan import match
from appliance.scan.inventory import merge
from appliance.services import rematch, scan_results, scrub
from appliance.services.course import Course
from appliance.services.scan_child import Failed, ScanChild
from appliance.services.scan_judging import Read, VulnerabilityData, judge, judge_again, state_of
from appliance.services.scan_protocol import Begin
from appliance.services.scan_reading import ScanOptions, claims_of, lost
from appliance.services.scan_shown import Last
from appliance.services.stock import Stock

_LARGEST_CONFIG = 4 << 20  # bytes of a config that is opened for the diff_ids it claims
_FILE_TURNS = 2  # children at once that read one file each
_READINGS = 4  # of one layer: each is asked for by hard links that the one before met


class ScanDone(msgspec.Struct, frozen=True, rename="camel"):
    """What a job of the kind scan did."""

    digest: str
    state: str  # of the result; "gone" where the manifest was deleted meanwhile
    layers: int = 0
    read: int = 0  # of them, as nobody had read them before
    packages: int = 0
    findings: int = 0
    secrets: int = 0


class Scanner:
    """Scans manifests of a stock into `file`; `options` and `data` return what is in force."""

    def __init__(
        self,
        stock: Stock,
        file: SideFile,
        options: Callable[[], ScanOptions],
        data: Callable[[], VulnerabilityData | None],
    ) -> None:
        """Scan what is in `stock`."""
        self._stock = stock
        self.file = file
        self.options = options
        self.data = data
        self.last = Last()
        self.file_turns = asyncio.Semaphore(_FILE_TURNS)  # who reads one file of a layer for a person

    def is_stale(self, standing: scans.Standing) -> bool:
        """Whether the detectors, the rules or the data are other ones now than those of a scan."""
        data = self.data()
        newest = data.version.digest if data is not None else standing.data  # data that were removed make nothing newer
        now = (self.options().reader, match.VERSION, newest)
        return (standing.reader, standing.matcher, standing.data) != now

    async def scan(self, digest: Digest, course: Course) -> ScanDone:
        """Scan the manifest, wherever it is. What fails is told to the pull limit, and raised: the job is run again."""
        body = await self._stock.db.read(lambda reader: manifests.find_anywhere(reader, digest))
        if body is None:
            return ScanDone(digest, "gone")
        try:
            scan, read = await self._scan(digest, file_system_of(body), course)
            await scan_results.record(self._stock, self.file, scan)
            await self._ask_if_overtaken(scan)
        except ScrError:
            await self._stock.db.write(partial(_note_failure, digest=digest))
            raise
        return ScanDone(
            digest,
            state_of(scan.report).value,
            len(scan.layers),
            read,
            len(scan.inventory.packages),
            len(scan.verdict.findings),
            len(scan.inventory.secrets),
        )

    async def _ask_if_overtaken(self, scan: Scan) -> None:
        """Have it matched again where other data came meanwhile: what these asked for may have passed it by."""
        data = self.data()
        if data is not None and data.version != scan.data:
            await self._stock.db.write(partial(rematch.ask, stock=self._stock))

    async def _scan(self, digest: Digest, system: FileSystem, course: Course) -> tuple[Scan, int]:
        """Return the scan, and how many layers had to be read for it."""
        before = await self.file.read(lambda reader: scans.find(reader, digest))
        options, now = self.options(), self._stock.clock()
        if before is not None and before.reader == options.reader and not before.inventory.limits:
            return await asyncio.to_thread(judge_again, before, self.data(), now), 0
        gathering = _Gathering(self._stock, self.file, options, course)
        inventory = await gathering.gather(system)
        read = Read(digest, system.layers, options.reader, now, inventory)
        return await asyncio.to_thread(judge, read, self.data(), before, now), gathering.read


class _Gathering:
    """Brings together what the layers of one image hold."""

    def __init__(self, stock: Stock, file: SideFile, options: ScanOptions, course: Course) -> None:
        self._stock = stock
        self._file = file
        self._options = options
        self._reader = options.reader
        self._course = course
        self.read = 0

    async def gather(self, system: FileSystem) -> Inventory:
        """Return the inventory of the image that consists of `system`."""
        claimed = await self._claims(system)
        known: dict[Digest, tuple[LayerId | None, LayerContents]] = {}
        async with ScanChild(self._options.setup, self._options.timeout_s) as child:
            for number, digest in enumerate(system.layers):
                self._course.check()
                self._course.progress(number, len(system.layers))
                if digest not in known:
                    known[digest] = await self._layer(child, digest)
            self._course.progress(len(system.layers), len(system.layers))
        whole = [(digest, *known[digest]) for digest in system.layers]
        loaded = await self._file.read(lambda reader: load_files(reader, whole, claimed))
        return await asyncio.to_thread(merge, loaded)

    async def _claims(self, system: FileSystem) -> tuple[Digest | None, ...]:
        """Return the diff_id that the config claims for each layer; None where it claims nothing that can be read."""
        unknown = (None,) * len(system.layers)
        blob = None
        if system.config is not None:
            config = system.config
            blob = await self._stock.db.read(lambda reader: blobs.find_stored(reader, config))
        if blob is None or blob.size > _LARGEST_CONFIG:
            return unknown
        async with aclosing(self._stock.store.chunks(blob, 0, blob.size)) as chunks:
            body = b"".join([bytes(chunk) async for chunk in chunks])
        return claims_of(body, system)

    async def _layer(self, child: ScanChild, digest: Digest) -> tuple[LayerId | None, LayerContents]:
        """Return what the layer holds, read now if nobody has read it; its id is None where nothing could be kept."""
        found = await self._file.read(lambda reader: layers.find(reader, digest))
        if found is not None and found.reader == self._reader:
            return found.id, found.contents
        blob = await self._stock.db.read(lambda reader: blobs.find_stored(reader, digest))
        if blob is None:
            return None, lost("its bytes are not here")
        self._course.say(f"reading layer {digest}, {blob.size} bytes")
        self.read += 1

        def chunks() -> AsyncIterator[memoryview]:
            return self._stock.store.chunks(blob, 0, blob.size)

        try:
            return await read_layer(self._file, child, digest, self._reader, chunks, self._stock.clock())
        except Failed as error:
            self._course.say(f"layer {digest}: {error}")
            return None, lost(str(error))
        except BlobBroken as error:
            await scrub.judge(self._stock, blob, error)
            return None, lost("its bytes are not what was stored")


async def read_layer(
    file: SideFile,
    child: ScanChild,
    digest: Digest,
    reader: str,
    chunks: Callable[[], AsyncIterator[memoryview]],
    now: Timestamp,
) -> tuple[LayerId, LayerContents]:
    """Read a layer and keep what it holds. Raises Failed, and what `chunks` raises: nothing is kept then."""
    again: frozenset[str] = frozenset()
    for _ in range(_READINGS):
        layer = await file.write(lambda tx: layers.begin(tx, digest, reader, now))

        async def keep(entries: Sequence[FileEntry], layer: LayerId = layer) -> None:
            await file.write(lambda tx: layers.add_files(tx, layer, entries))

        try:
            contents = await child.read(chunks(), Begin(again), keep)
        except (Failed, ScrError):
            await file.write(partial(layers.drop, layer=layer))
            raise
        if set(contents.reread) <= again:
            break
        await file.write(partial(layers.drop, layer=layer))
        again |= set(contents.reread)
    else:
        raise Failed("its hard links lead from one unread file to the next")
    await file.write(partial(layers.finish, layer=layer, contents=contents))
    return layer, contents


def load_files(
    reader: Reader,
    whole: Sequence[tuple[Digest, LayerId | None, LayerContents]],
    claimed: Sequence[Digest | None],
) -> list[ImageLayer]:
    """Return the layers with those of their files that decide what others hide: a merge asks for no more."""
    wanted = _wanted(contents for _, _, contents in whole)
    found = layers.list_among_all(reader, {layer for _, layer, _ in whole if layer is not None}, wanted)
    return [
        ImageLayer(
            digest,
            contents if layer is None else msgspec.structs.replace(contents, files=tuple(found[layer])),
            claim,
        )
        for (digest, layer, contents), claim in zip(whole, claimed, strict=True)
    ]


def _wanted(all_contents: Iterable[LayerContents]) -> set[str]:
    """Return the paths of all that was read, and every folder above."""
    paths = {reading.path for contents in all_contents for reading in contents.readings}
    for path in tuple(paths):
        paths.update(layers.parents_of(path))
    return paths


def _note_failure(tx: Transaction, *, digest: Digest) -> None:
    """Say that the scan failed, wherever it was asked for and no complete one is known."""
    for manifest, _image, state in scan_summaries.list_asked(tx, digest):
        if state is not ScanState.COMPLETE:
            scan_summaries.put(tx, manifest, Scanned(ScanState.FAILED))
