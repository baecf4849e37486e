"""Rebuild: make a database from what lies in the data folder, after the old one is lost. Nobody serves meanwhile.

It begins with the newest usable snapshot, if there is one. What the snapshot does not know is found in the store:
blobs are hashed and registered, manifests become untagged images of a repository of their own. Nothing is guessed:
tags, names and rights are not in the store, so every registry becomes private and the report says what is not known.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.blobstore.store import BlobStore, Lying
from appliance.db import activity, blobs, images, integrity, manifests, registries
from appliance.db.activity import About, Detail
from appliance.db.database import Transaction
from appliance.domain.access import Action, Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller, Grant, Site, admit_management
from appliance.domain.manifest import Manifest, digest_of, parse_manifest
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import (
    Digest,
    ImageName,
    ImagePath,
    RepositoryName,
    algorithm_of,
    hex_of,
)
from appliance.domain.registry import BlobId, ImageId, StoredBlob
from appliance.errors import Conflict, ManifestInvalid, StoreFailed
from appliance.services.provision import claim_site
from appliance.services.push import claim_image
from appliance.services.restore import MARK, put_aside
from appliance.services.stock import Stock, new_generation

RECOVERED = RepositoryName("recovered")
KEPT = 30 * DAY  # milliseconds that blobs without a manifest are kept, for whoever can use them
_UNREFERENCED = ImageName("unreferenced")
_PREFIX = 12  # hexadecimal digits of a digest in the name of a recovered image
_PAGE = 200  # rows read at once
_CALLER = Caller(Principal(PrincipalKind.OPERATOR, "rebuild"), FULL_ACCESS, "local")


class Rebuilt(msgspec.Struct, frozen=True, rename="camel"):
    """What came of it."""

    snapshot: str  # file name, "" for none
    set_aside: str  # what the broken database is called now, "" for none
    blobs: int  # that were registered now
    bytes: int  # of them
    images: tuple[str, ...]  # that hold what the snapshot did not know
    manifests: int  # in them
    lost: tuple[str, ...]  # blobs that the snapshot knows and that are gone
    broken: tuple[str, ...]  # blobs and copies of manifests that are not what their name says


class Basis(msgspec.Struct, frozen=True):
    """What the new database begins with."""

    snapshot: str
    set_aside: str


def lay_basis(folder: Path) -> Basis:
    """Put a broken database aside and the newest usable snapshot in its place, if there is one (blocking).

    Raises Conflict where the database is whole.
    """
    files = Files()
    path = folder / "scr.sqlite"
    if path.exists() and not (folder / MARK).exists() and not integrity.judge_file(path):
        raise Conflict(
            f"{path} is there and whole: a rebuild would forget its tags and names; move it away first if it must go"
        )
    set_aside = put_aside(folder, "broken", files)
    files.remove(folder / MARK)  # of a restore that was given up
    snapshots = [one for one in (folder / "backups").glob("*.sqlite") if one.is_file()]
    for snapshot in sorted(snapshots, key=lambda one: one.stat().st_mtime, reverse=True):
        if integrity.judge_file(snapshot):
            continue
        files.copy(snapshot, path)
        files.sync_folder(folder)
        return Basis(snapshot.name, set_aside)
    return Basis("", set_aside)


async def rebuild(stock: Stock, basis: Basis) -> Rebuilt:
    """Fill the database with what lies in the store; return what came of it. Raises StoreFailed."""
    site = await stock.db.write(lambda tx: _claim_site(tx, stock.clock()))
    run = _Run(stock, stock.store, site)
    await run.find_lost()
    await run.register_blobs()
    await run.recover_manifests()
    await run.keep_unreferenced()
    return Rebuilt(
        snapshot=basis.snapshot,
        set_aside=basis.set_aside,
        blobs=run.blobs,
        bytes=run.bytes,
        images=tuple(run.images),
        manifests=run.manifests,
        lost=tuple(run.lost),
        broken=tuple(run.broken),
    )


def _claim_site(tx: Transaction, now: Timestamp) -> Site:
    """Return the default registry, made where the snapshot has none; every registry is private from now on."""
    registries.hide_all(tx)
    return claim_site(tx, "rebuild", now)


class _Found(msgspec.Struct, frozen=True):
    """The copy of a manifest that no row knows."""

    generation: str
    children: tuple[Digest, ...]
    subject: Digest | None


class _Run:
    """One rebuild, step by step; every step is a run of small transactions and may be begun again."""

    def __init__(self, stock: Stock, store: BlobStore, site: Site) -> None:
        self.stock = stock
        self.store = store
        self.site = site
        self.blobs = self.bytes = self.manifests = 0
        self.images: list[str] = []
        self.lost: list[str] = []
        self.broken: list[str] = []
        self._used: set[str] = set()  # generations of copies that a row owns now

    async def find_lost(self) -> None:
        """Quarantine rows whose bytes are gone or of another size, so that the next push heals them."""
        last = BlobId(0)
        while page := blobs.list_after(self.stock.db.reader, last, _PAGE):
            gone = [blob for blob in page if not self._is_there(blob)]
            await self.stock.db.write(partial(_quarantine, gone=gone, now=self.stock.clock()))
            for blob in gone:
                await self.store.quarantine(blob)
                self.lost.append(blob.digest)
            last = page[-1].id

    def _is_there(self, blob: StoredBlob) -> bool:
        return self.store.find_size(blob) == blob.size

    async def register_blobs(self) -> None:
        """Hash every blob that no row knows, and register it."""
        for one in self._unknown("blob", self.store.walk_blobs()):
            found = self.store.salvage(one)
            stored = StoredBlob(BlobId(0), one.digest, one.generation, one.driver, one.form, found.size, found.sums)
            if not found.is_whole:
                await self.store.quarantine(stored)
                self.broken.append(one.digest)
                continue
            claimed = await self.stock.db.write(partial(blobs.claim, blob=stored, now=self.stock.clock()))
            if claimed.generation == one.generation:
                self.blobs += 1
                self.bytes += found.size

    async def recover_manifests(self) -> None:
        """Make images of the manifests that no row knows: one for each that nothing else lists."""
        unknown: dict[Digest, _Found] = {}
        for one in self._unknown("manifest", self.store.walk_manifests()):
            manifest = self._read(one)
            if manifest is None:
                self.broken.append(one.digest)
            elif integrity.find_body(self.stock.db.reader, one.digest) is None:
                children = tuple(Digest(child.digest) for child in manifest.children)
                unknown.setdefault(one.digest, _Found(one.generation, children, manifest.subject))
        for root, group in _groups(unknown):
            await self._recover(root, group, unknown)

    def _read(self, one: Lying) -> Manifest | None:
        """Return what a copy holds; None where it is not what its name says."""
        try:
            body = self.store.read_manifest(one.digest, one.generation)
            if digest_of(body, algorithm_of(one.digest)) != one.digest:
                return None
            return parse_manifest(body, "", algorithm_of(one.digest))
        except (StoreFailed, ManifestInvalid):
            return None

    async def _recover(self, root: Digest, group: Iterable[Digest], unknown: dict[Digest, _Found]) -> None:
        """Put the manifests of `group` into one image: an index, its children and its referrers stay together."""
        path = ImagePath(RECOVERED, ImageName(hex_of(root)[:_PREFIX]))
        grant = admit_management(_CALLER, self.site, path, Action.PUSH)
        parts: list[tuple[Manifest, str]] = []
        for digest in group:
            found = unknown.get(digest)
            if found is not None:
                body, media_type = self.store.read_manifest(digest, found.generation), ""
            elif (known := integrity.find_body(self.stock.db.reader, digest)) is not None:
                media_type, body = known
            else:
                continue  # a platform that was never here
            generation = found.generation if found is not None else ""
            if not generation or generation in self._used:  # a row owns its copy alone
                generation = new_generation()
                await self.store.keep_manifest(digest, generation, body)
            self._used.add(generation)
            parts.append((parse_manifest(body, media_type, algorithm_of(digest)), generation))
        self.manifests += await self.stock.db.write(partial(_insert, stock=self.stock, grant=grant, parts=parts))
        self.images.append(str(path))

    async def keep_unreferenced(self) -> None:
        """Let a hidden image hold the blobs that no manifest needs for a while: their manifests may be pushed again."""
        path = ImagePath(RECOVERED, _UNREFERENCED)
        grant = admit_management(_CALLER, self.site, path, Action.PUSH)
        while found := integrity.list_unlinked(self.stock.db.reader, _PAGE):
            await self.stock.db.write(partial(_keep, stock=self.stock, grant=grant, unlinked=found))

    def _unknown(self, kind: str, lying: Iterator[Lying]) -> Iterator[Lying]:
        for one in lying:
            if not blobs.is_owned(self.stock.db.reader, kind, one.digest, one.generation):
                yield one


def _quarantine(tx: Transaction, *, gone: list[StoredBlob], now: Timestamp) -> None:
    for blob in gone:
        blobs.quarantine(tx, blob, now)


def _claim_image(tx: Transaction, stock: Stock, grant: Grant, now: Timestamp) -> ImageId:
    # whatever the settings say of pushes: what was found needs a place
    return claim_image(tx, msgspec.structs.replace(stock.rules, strict=False, create_on_push=True), grant, now)


def _insert(tx: Transaction, *, stock: Stock, grant: Grant, parts: list[tuple[Manifest, str]]) -> int:
    """Record the manifests, with links to the blobs they need; return how many were not there yet."""
    now = stock.clock()
    image = _claim_image(tx, stock, grant, now)
    count = 0
    for manifest, generation in parts:
        if manifests.find_in(tx, image, manifest.digest) is None:
            manifests.insert(tx, image, manifest, generation, str(grant.principal), now)
            count += 1
        for digest, kind in manifests.needs_of(manifest):
            stored = blobs.find_stored(tx, digest) if kind != manifests.SUBJECT else None
            if stored is not None:
                blobs.link(tx, image, stored.id, now, now)
    images.show(tx, image, now)
    about = About(registry=grant.image.registry, image=image)
    detail: Detail = {"path": str(grant.path), "manifests": count}
    activity.record(tx, "image.recovered", grant.caller, about, detail, now)
    return count


def _keep(tx: Transaction, *, stock: Stock, grant: Grant, unlinked: list[BlobId]) -> None:
    now = stock.clock()
    image = _claim_image(tx, stock, grant, now)
    for blob in unlinked:
        blobs.link(tx, image, blob, now, Timestamp(now + KEPT))


def _groups(unknown: dict[Digest, _Found]) -> Iterator[tuple[Digest, list[Digest]]]:
    """Yield each manifest that nothing unknown lists or is the subject of, with all that belongs to it."""
    listed = {child for found in unknown.values() for child in found.children}
    referrers: dict[Digest, list[Digest]] = {}
    for digest, found in unknown.items():
        if found.subject is not None:
            referrers.setdefault(found.subject, []).append(digest)
    for root, found in unknown.items():
        if root in listed or (found.subject is not None and found.subject in unknown):
            continue
        group: dict[Digest, None] = {}
        open_ = [root]
        while open_:
            digest = open_.pop()
            if digest not in group:
                group[digest] = None
                open_ += referrers.get(digest, [])
                open_ += unknown[digest].children if digest in unknown else ()
        yield root, list(group)
