"""Backup: a copy of everything at one moment, made while everything is served.

    <folder>/scr-20261125T230000Z/backup.json     what it is; written last: without it, it is no backup
    <folder>/scr-20261125T230000Z/scr.sqlite      the database, a snapshot
    <folder>/scr-20261125T230000Z/blobs.txt       the blobs that it knows: digest, generation, form, size a line
    <folder>/scr-20261125T230000Z/blobs/          their bytes, as they lie in the store
    <folder>/scr-20261125T230000Z/keys/ tls/ allowlists/

The snapshot comes first; while its blobs are gathered, collection deletes no bytes that it may know. A blob is a link
to the one before (in an older backup beside it, else in the store), and a copy only where the file system has no links:
so a backup takes little room and time, and each folder is whole without the others.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance import __version__
from appliance.blobstore.names import path_of
from appliance.db import blobs, facts, snapshot
from appliance.domain.job import Cancelled
from appliance.domain.moment import Timestamp, to_text
from appliance.domain.registry import BlobId, StoredBlob
from appliance.errors import BlobBroken, ConfigInvalid, StorageFull
from appliance.services.course import Course
from appliance.services.snapshots import copy_database, stamp
from appliance.services.stock import Stock

DESCRIPTION, DATABASE, BLOB_LIST = "backup.json", "scr.sqlite", "blobs.txt"
FORMAT = 1
T = TypeVar("T")
PREFIX, _PART = "scr-", ".part"
EXTRAS = ("keys", "tls", "allowlists")
_PAGE = 200  # blobs gathered between two looks at the clock
_LISTED = 100  # blobs that are missing, by name


class BackupOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to back up: with a `folder` everything, to there; without one the database, into the data folder."""

    folder: str = ""


class Description(msgspec.Struct, frozen=True, rename="camel"):
    """`backup.json`. Sizes are bytes."""

    format: int
    version: str  # of the program
    appliance: str
    taken_at: str
    database_size: int
    database_sha256: str
    blobs: int
    bytes: int
    missing: int  # that the database knew and the store had lost


class BackedUp(msgspec.Struct, frozen=True, rename="camel"):
    """What a backup has made. Sizes are bytes."""

    path: str
    database: int
    blobs: int
    bytes: int
    linked: int  # blobs that took no room
    missing: tuple[str, ...]  # digests that the store has lost, the first of them


async def back_up(stock: Stock, folder: Path, name: str, course: Course) -> BackedUp:
    """Write a backup into `folder`; `name` is of this job, so that another attempt goes on with the same files.

    Raises ConfigInvalid for a folder that cannot be used, StorageFull, StoreFailed, Cancelled.
    """
    run = _Run(stock, folder, name, course)
    if (done := await run.find_named()) is not None:
        return done
    try:
        async with stock.held.hold(stock.db):
            await run.begin()
            await run.take_snapshot()
            await run.gather()
        return await run.finish()
    except (StorageFull, Cancelled):
        await run.drop()
        raise


def list_backups(folder: Path) -> list[Path]:
    """Return the whole backups in `folder` (blocking)."""
    found = (one.parent for one in folder.glob(f"{PREFIX}*/{DESCRIPTION}"))
    return sorted(one for one in found if not one.name.endswith(_PART))


class _Named(msgspec.Struct, frozen=True):
    """A backup that is whole but for its name, and of which moment it is: a death must not make a second one."""

    done: BackedUp
    at: Timestamp


class _Run:
    """One attempt at a backup. What an attempt before has gathered is taken over, its snapshot is not."""

    def __init__(self, stock: Stock, folder: Path, name: str, course: Course) -> None:
        self._stock = stock
        self._files = stock.uploads.files
        self._folder = folder
        self._part = folder / f"{PREFIX}{name}{_PART}"
        self._course = course
        self._now = stock.clock()
        self._appliance = ""
        self._older: Path | None = None  # the newest backup beside this one: what it has needs no copy
        self._folders: set[Path] = set()  # whose names are not durable yet
        self._blobs = self._bytes = self._linked = 0
        self._missing: list[tuple[BlobId, str]] = []

    async def find_named(self) -> BackedUp | None:
        """Return what an attempt before has made and named; None where none came that far."""
        named = self._course.checkpoint(_Named)
        if named is None or not await self._do((Path(named.done.path) / DESCRIPTION).is_file):
            return None
        await self._do(self._files.sync_folder, self._folder)
        return await self._note(named)

    async def begin(self) -> None:
        """Make the folder, and find the backup before this one."""
        data = self._stock.db.path.parent
        if self._folder.is_relative_to(data) and not self._folder.is_relative_to(data / "backups"):
            raise ConfigInvalid(f"{self._folder} is inside of the data folder; choose another one for a backup")
        if not self._folder.parent.is_dir():
            raise ConfigInvalid(f"there is no folder {self._folder.parent}; is the disk for backups mounted?")
        await self._do(self._begin)

    def _begin(self) -> None:
        self._files.add_folder(self._folder)
        for left in self._folder.glob(f"{PREFIX}*{_PART}"):
            if left != self._part:  # of a job that was given up: one at a time writes here
                shutil.rmtree(left, ignore_errors=True)
        self._files.add_folder(self._part)
        self._older = max(list_backups(self._folder), default=None)

    async def take_snapshot(self) -> None:
        """Write the database as it is now."""
        loop = asyncio.get_running_loop()

        def go_on(done: int, total: int) -> None:
            self._course.check()
            loop.call_soon_threadsafe(self._course.progress, done, total)

        await self._do(copy_database, self._stock.db.path, self._part / DATABASE, self._files, go_on)

    async def gather(self) -> None:
        """Put every blob that the snapshot knows beside it, and list them."""
        total = await self._stock.db.read(blobs.readable_bytes)
        self._appliance = await self._stock.db.read(lambda reader: facts.find(reader, "appliance") or "")
        known = snapshot.list_blobs(self._part / DATABASE)
        listing = self._part / BLOB_LIST
        await self._do(self._files.remove, listing)
        descriptor, offset = await self._do(self._files.create, listing), 0
        try:
            while page := await self._do(lambda: list(islice(known, _PAGE))):
                self._course.check()
                for blob in page:
                    await self._gather(blob)
                lines = "".join(f"{one.digest} {one.generation} {one.form} {one.size}\n" for one in page).encode()
                await self._do(self._files.write, descriptor, listing, [lines], offset)
                offset += len(lines)
                self._course.progress(self._bytes, max(total, self._bytes))
            await self._do(self._files.sync, descriptor, listing)
        finally:
            os.close(descriptor)

    async def _gather(self, blob: StoredBlob) -> None:
        target = self._part / path_of(blob.digest, blob.generation, form=blob.form)
        try:
            self._linked += await self._put(blob, target)
        except BlobBroken as error:
            self._missing.append((blob.id, blob.digest))
            self._course.say(error.message)
            return
        self._blobs += 1
        self._bytes += blob.size

    async def _put(self, blob: StoredBlob, target: Path) -> bool:
        """Put the file of `blob` at `target`; return whether it takes no room there."""
        if await self._do(self._take_over, target):
            return True
        if not self._is_roomy(blob.size):
            raise StorageFull(f"{self._folder} has no room for a copy of {blob.digest}; free the disk")
        return await self._stock.store.copy_out(blob, target)

    def _take_over(self, target: Path) -> bool:
        """Use what is there already, from an attempt before or in the older backup."""
        self._files.make_folder(target.parent)
        self._folders.add(target.parent)
        if target.exists():
            return True
        return self._older is not None and self._files.link(self._older / target.relative_to(self._part), target)

    def _is_roomy(self, size: int) -> bool:
        """Whether a copy leaves enough free, where the backup lies on the disk of the data."""
        if self._folder.stat().st_dev != self._stock.db.path.stat().st_dev:
            return True
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize - size >= self._stock.uploads.min_free

    async def finish(self) -> BackedUp:
        """Write down what it is, and give it its name."""
        name = f"{PREFIX}{stamp(self._now)}"
        names = (name, *(f"{name}-{number}" for number in range(2, 1 << 16)))
        target = next(self._folder / one for one in names if not (self._folder / one).exists())
        size = await self._do(self._describe)
        missing = tuple(digest for _, digest in self._missing[:_LISTED])
        done = BackedUp(str(target), size, self._blobs, self._bytes, self._linked, missing)
        named = _Named(done, self._now)
        await self._stock.db.write(lambda tx: self._course.keep_in(tx, named))
        await self._do(self._files.rename, self._part, target)
        await self._do(self._files.sync_folder, self._folder)
        return await self._note(named)

    async def _note(self, named: _Named) -> BackedUp:
        await self._stock.db.write(lambda tx: facts.put(tx, "backed_up_at", str(named.at)))
        return named.done

    def _describe(self) -> int:
        database = self._part / DATABASE
        if self._missing:
            snapshot.quarantine(database, [number for number, _ in self._missing], self._now)
        self._copy_extras()
        for folder in sorted(self._folders):
            self._files.sync_folder(folder)
        size, digest = _measure(database)
        description = Description(
            format=FORMAT,
            version=__version__,
            appliance=self._appliance,
            taken_at=to_text(self._now),
            database_size=size,
            database_sha256=digest,
            blobs=self._blobs,
            bytes=self._bytes,
            missing=len(self._missing),
        )
        self._files.write_whole(self._part / DESCRIPTION, msgspec.json.format(msgspec.json.encode(description)))
        return size

    def _copy_extras(self) -> None:
        """Copy what blobs and listeners need besides: small files, which change under their names."""
        data = self._stock.db.path.parent
        for source in (one for name in EXTRAS for one in sorted((data / name).rglob("*")) if one.is_file()):
            target = self._part / source.relative_to(data)
            self._files.make_folder(target.parent)
            self._folders.add(target.parent)
            self._files.copy(source, target)

    async def drop(self) -> None:
        """Remove what was gathered: nobody goes on with it."""
        await self._do(lambda: shutil.rmtree(self._part, ignore_errors=True))

    async def _do(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._stock.uploads.executor, function, *arguments)


def _measure(path: Path) -> tuple[int, str]:
    """Return the size and the SHA-256 of a file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
