"""Snapshots of the database in the data folder: made by a schedule and before an upgrade, listed, the old ones deleted.

    <data>/backups/20261125T230000Z.sqlite             by the schedule or by hand: the newest `keep` are kept
    <data>/backups/before-0005-20261125T230000Z.sqlite before an upgrade changed it: kept until somebody deletes it

The blobs stay where they are. `scr rebuild` begins with the newest of these, `scr restore` takes any of them.
"""

import asyncio
import os
import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.db import facts, snapshot
from appliance.db.database import Reader, Transaction
from appliance.db.snapshot import GoOn
from appliance.domain.moment import SECOND, Timestamp
from appliance.errors import StorageFull
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.stock import Stock

FOLDER = "backups"
_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"(before-\d{4}-)?(\d{8}T\d{6}Z)(-\d+)?\.sqlite")
_PART = "snapshot.part"  # one is made at a time: the job sees to it


class Snapshot(msgspec.Struct, frozen=True, rename="camel"):
    """A snapshot that lies there."""

    name: str
    size: int
    taken_at: Timestamp
    is_before_upgrade: bool


class _Begun(msgspec.Struct, frozen=True):
    """A snapshot on its way: what it will be called, and of which moment and state it is.

    Its name is there once it is whole, so a death makes no second one.
    """

    name: str
    at: Timestamp
    state: str


async def take_snapshot(stock: Stock, keep: int, course: Course = UNFOLLOWED) -> Snapshot:
    """Write a snapshot and delete those beyond the newest `keep`. Raises StorageFull, StoreFailed, Cancelled."""
    folder = stock.db.path.with_name(FOLDER)
    loop = asyncio.get_running_loop()

    def go_on(done: int, total: int) -> None:
        course.check()
        loop.call_soon_threadsafe(course.progress, done, total)

    files = stock.uploads.files
    begun = course.checkpoint(_Begun)
    if begun is None or not await loop.run_in_executor(None, (folder / begun.name).exists):
        now, state = stock.clock(), await stock.db.read(_state)
        begun = _Begun((await loop.run_in_executor(None, free_name, folder, "", now)).name, now, state)
        await stock.db.write(partial(course.keep_in, checkpoint=begun))
        make = partial(write_snapshot, stock.db.path, folder, files, stock.uploads.min_free, go_on, begun.name)
        await loop.run_in_executor(stock.uploads.executor, make)
    await loop.run_in_executor(stock.uploads.executor, files.sync_folder, folder)
    await stock.db.write(partial(_note, now=begun.at, state=begun.state))
    taken = await loop.run_in_executor(None, _shown, folder / begun.name)
    await loop.run_in_executor(stock.uploads.executor, _prune, folder, keep, files, begun.at)
    return taken


def has_changed(reader: Reader) -> bool:
    """Whether the database has changed since the last snapshot, by more than counts and jobs."""
    return facts.find(reader, "backed_up_state") != _state(reader)


def _state(reader: Reader) -> str:
    """Return a text that is another one once something was pushed, deleted or edited."""
    row = reader.one(
        "SELECT (SELECT max(seq) FROM activity), (SELECT max(id) FROM manifests), (SELECT max(id) FROM blobs)"
    )
    return " ".join(map(str, row or ()))


def _note(tx: Transaction, *, now: Timestamp, state: str) -> None:
    facts.put(tx, "backed_up_at", str(now))
    facts.put(tx, "backed_up_state", state)


def write_snapshot(source: Path, folder: Path, files: Files, spare: int, go_on: GoOn, name: str) -> Snapshot:
    """Write a snapshot of the database `source` into `folder` as `name` (blocking).

    It is there whole or not at all. Raises StorageFull where less than `spare` bytes would stay free, StoreFailed.
    """
    size, disk = source.stat().st_size, os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize - size < spare:
        raise StorageFull(
            f"no room for a snapshot of the database ({size >> 20} MiB); free the disk, or keep fewer: [backup] keep"
        )
    part = folder / _PART
    try:
        copy_database(source, part, files, go_on)
        files.rename(part, folder / name)
    finally:
        remove_database(part, files)
    files.sync_folder(folder)
    return _shown(folder / name)


def copy_database(source: Path, target: Path, files: Files, go_on: GoOn) -> None:
    """Write a checked, synced snapshot of `source` to `target`, in the place of what a crash has left there."""
    remove_database(target, files)
    snapshot.take(source, target, go_on)
    target.chmod(0o600)
    descriptor = files.open(target)
    try:
        files.sync(descriptor, target)
    finally:
        os.close(descriptor)


def remove_database(path: Path, files: Files) -> None:
    """Remove the file of a database and what SQLite may have left beside it."""
    for suffix in ("-journal", "-wal", "-shm", ""):
        files.remove(path.with_name(path.name + suffix))


def list_snapshots(folder: Path) -> list[Snapshot]:
    """Return the snapshots in `folder`, the newest first (blocking)."""
    found = [_shown(path) for path in folder.glob("*.sqlite") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda one: (one.taken_at, one.name), reverse=True)


def stamp(now: Timestamp) -> str:
    """Return `now` as it stands in names: 20261125T230000Z."""
    return datetime.fromtimestamp(now // SECOND, UTC).strftime(_TIME)


def free_name(folder: Path, before: str, now: Timestamp) -> Path:
    """Return a path of `folder` that is free for a snapshot of `now`; `before` begins its name."""
    name = f"{before}{stamp(now)}"
    names = (f"{name}{suffix}.sqlite" for suffix in ("", *(f"-{number}" for number in range(2, 1 << 16))))
    return next(folder / one for one in names if not (folder / one).exists())


def _shown(path: Path) -> Snapshot:
    found = _NAME.fullmatch(path.name)
    taken = datetime.strptime(found[2] if found else "", _TIME).replace(tzinfo=UTC)
    return Snapshot(
        path.name, path.stat().st_size, Timestamp(int(taken.timestamp()) * SECOND), bool(found and found[1])
    )


def _prune(folder: Path, keep: int, files: Files, now: Timestamp) -> None:
    """Delete those beyond the newest `keep`. What is dated after `now` was when the clock was ahead: it goes first."""
    found = [one for one in list_snapshots(folder) if not one.is_before_upgrade]
    ahead = [one for one in found if one.taken_at > now]
    for one in [*found[len(ahead) :], *ahead][keep:]:
        files.remove(folder / one.name)
