"""Restore: put a backup, or a snapshot of the database, into a data folder that nobody serves.

A file `restoring` marks the folder from before the first change until all of it is there: a folder that has it is not
served, and the same restore, run again, goes on. What was there is set aside, never deleted.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.blobstore.names import path_of
from appliance.db import activity, blobs, facts, integrity, snapshot
from appliance.db.activity import About
from appliance.db.database import Transaction
from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.moment import Timestamp
from appliance.domain.registry import BlobId, StoredBlob
from appliance.errors import Conflict, ScrError
from appliance.services.backup import DATABASE
from appliance.services.backup_check import Found
from appliance.services.snapshots import remove_database
from appliance.services.stock import Stock

MARK = "restoring"  # a file of the data folder that is not whole yet
_PAGE = 200  # rows read at once
_LISTED = 1000  # blobs that are lost, by name
_CALLER = Caller(Principal(PrincipalKind.OPERATOR, "restore"), FULL_ACCESS, "local")

Progress = Callable[[int, int], None]  # bytes done, of how many


class Restored(msgspec.Struct, frozen=True, rename="camel"):
    """What came of it. Sizes are bytes."""

    backup: str
    taken_at: str
    set_aside: str  # what the database that was there is called now, "" for none
    blobs: int
    bytes: int
    present: int  # of the blobs: that lay there already
    lost: tuple[str, ...]  # digests that neither the backup nor the folder has, the first of them
    unknown: int  # files of the store that the restored database does not know


def lay_database(folder: Path, found: Found, drivers: tuple[str, ...], *, force: bool) -> str:
    """Put the database of the backup `found` into the data folder; return what the one before is called now (blocking).

    `drivers` are the stores there are here, the one for new blobs first: what lay in another one is brought into that.
    Raises Conflict where there is a database and it may not be replaced.
    """
    files, mark, path = Files(), folder / MARK, folder / DATABASE
    is_begun = mark.exists()
    if path.exists() and not is_begun and not force:
        raise Conflict(
            f"{folder} has a database; --force sets it aside and restores over it, or choose another --data-dir"
        )
    set_aside = ""
    if not is_begun:
        files.write_whole(mark, str(found.path).encode())
        set_aside = put_aside(folder, "replaced", files)
    staged = folder / f"{DATABASE}.part"
    remove_database(staged, files)
    files.copy(found.database, staged)
    if not found.is_snapshot:
        snapshot.move(staged, drivers, drivers[0])
    remove_database(path, files)  # of a restore that was broken off
    files.rename(staged, path)
    files.sync_folder(folder)
    return set_aside


def put_aside(folder: Path, word: str, files: Files) -> str:
    """Rename the database of the data folder to `<word>-<number>.sqlite`; return that, "" where there is none."""
    if not any(folder.glob(f"{DATABASE}*")):
        return ""
    number = next(number for number in range(1, 1 << 16) if not (folder / f"{word}-{number}.sqlite").exists())
    name = f"{word}-{number}.sqlite"
    for suffix in ("-wal", "-shm", ""):  # the file itself last: until then a second run does the same again
        part = folder / f"{DATABASE}{suffix}"
        if part.exists():
            files.rename(part, folder / f"{name}{suffix}")
    files.sync_folder(folder)
    return name


def lay_extras(folder: Path, found: Found) -> None:
    """Put keys, certificates and allowlists of the backup where the data folder has none of that name (blocking)."""
    files = Files()
    for source in found.list_extras():
        target = folder / source.relative_to(found.path)
        files.make_folder(target.parent)
        if target.exists() and target.parent.name == "keys" and target.read_bytes() != source.read_bytes():
            files.rename(target, target.with_name(f"{target.name}.replaced"))
        if not target.exists():
            files.copy(source, target)
            files.sync_folder(target.parent)


async def restore(stock: Stock, found: Found, set_aside: str, progress: Progress) -> Restored:
    """Fill the store with what the restored database knows; return what came of it. Raises StoreFailed, StorageFull."""
    run = _Run(stock, found, progress)
    await run.fill()
    await run.write_copies()
    unknown = await asyncio.to_thread(run.count_unknown)
    await stock.db.write(partial(_record, now=stock.clock(), taken_at=found.taken_at))
    await asyncio.to_thread(_unmark, stock)
    return Restored(
        backup=str(found.path),
        taken_at=found.taken_at,
        set_aside=set_aside,
        blobs=run.blobs,
        bytes=run.bytes,
        present=run.present,
        lost=tuple(run.lost),
        unknown=unknown,
    )


class _Run:
    """One restore; every step may be done again."""

    def __init__(self, stock: Stock, found: Found, progress: Progress) -> None:
        self._stock = stock
        self._found = found
        self._progress = progress
        self.blobs = self.bytes = self.present = 0
        self.lost: list[str] = []

    async def fill(self) -> None:
        """Bring every blob that the database knows into the store; those that are nowhere wait for their next push."""
        last, total = BlobId(0), blobs.readable_bytes(self._stock.db.reader)
        while page := blobs.list_after(self._stock.db.reader, last, _PAGE):
            gone = [blob for blob in page if not await self._bring(blob)]
            await self._stock.db.write(partial(_quarantine, gone=gone, now=self._stock.clock()))
            self.lost += [blob.digest for blob in gone][: _LISTED - len(self.lost)]
            last = page[-1].id
            self._progress(self.bytes, total)

    async def _bring(self, blob: StoredBlob) -> bool:
        """Bring one blob into the store; False where it is nowhere."""
        if await asyncio.to_thread(self._stock.store.find_size, blob) == blob.size:
            self.present += 1
        else:
            source = self._found.path / path_of(blob.digest, blob.generation, form=blob.form)
            if self._found.is_snapshot or not source.is_file():
                return False
            await self._stock.store.seal(await asyncio.to_thread(self._stage, source), blob)
        self.blobs += 1
        self.bytes += blob.size
        return True

    def _stage(self, source: Path) -> Path:
        files = self._stock.uploads.files
        staged = self._stock.uploads.path_of("restoring")
        files.remove(staged)
        if not files.link(source, staged):
            files.copy(source, staged)
        return staged

    async def write_copies(self) -> None:
        """Write the copies of manifests that `rebuild` would read, where they are not there."""
        for number in range(0x100, 0x300):  # two-byte beginnings of stored digests
            low, high = number.to_bytes(2), (number + 1).to_bytes(2)
            for row in integrity.list_manifests(self._stock.db.reader, low, high):
                body = integrity.body_of(self._stock.db.reader, row.id)
                if not await asyncio.to_thread(self._has_copy, row, body):
                    await self._stock.store.keep_manifest(row.digest, row.generation, body)

    def _has_copy(self, row: integrity.StoredManifest, body: bytes) -> bool:
        try:
            return self._stock.store.read_manifest(row.digest, row.generation) == body
        except ScrError:
            return False

    def count_unknown(self) -> int:
        """Return how many files of blobs lie in the store that the database does not know (blocking)."""
        reader = self._stock.db.reader
        lying = self._stock.store.walk_blobs()
        return sum(not blobs.is_owned(reader, "blob", one.digest, one.generation) for one in lying)


def _quarantine(tx: Transaction, *, gone: list[StoredBlob], now: Timestamp) -> None:
    for blob in gone:
        blobs.quarantine(tx, blob, now)


def _record(tx: Transaction, *, now: Timestamp, taken_at: str) -> None:
    facts.put(tx, "restored_at", str(now))
    activity.record(tx, "appliance.restored", _CALLER, About(), {"takenAt": taken_at}, now)


def _unmark(stock: Stock) -> None:
    folder = stock.db.path.parent
    stock.uploads.files.remove(folder / MARK)
    stock.uploads.files.sync_folder(folder)
