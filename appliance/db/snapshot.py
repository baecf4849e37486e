"""Snapshots: the whole database as it was at one moment, in one file, made while it is written to."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from appliance.db import integrity, migrate
from appliance.db.database import Reader
from appliance.domain.names import from_bytes
from appliance.domain.registry import BlobId, StoredBlob
from appliance.errors import StorageFull, StoreFailed

_PAGES = 1024  # of 8 KiB in one step
_REST = 0.5  # of the time a step took, to leave the disk to others
_ROWS = 1000  # read at once

GoOn = Callable[[int, int], None]  # told how many bytes of how many are there; raises to end it


def take(source: Path, target: Path, go_on: GoOn = lambda _, __: None) -> None:
    """Copy the database `source`, as it is now, to the new file `target`, and check it (blocking).

    A reader holds its moment open meanwhile: writers go on, their log grows until it is done. The file is not synced.
    Raises StorageFull, StoreFailed, and what `go_on` raises; what lies at `target` then is for the caller to remove.
    """
    try:
        _copy(source, target, go_on)
    except apsw.FullError as error:
        raise StorageFull("the disk is full: no room for a snapshot of the database; free the disk") from error
    except apsw.Error as error:
        raise StoreFailed(f"a snapshot of the database could not be made: {error}; see the host's disk") from error
    if fault := integrity.judge_file(target):
        raise StoreFailed(f"the snapshot of the database is not usable: {fault}; run: scr verify")


def _copy(source: Path, target: Path, go_on: GoOn) -> None:
    reader, writer = apsw.Connection(str(source)), apsw.Connection(str(target))
    try:
        reader.set_busy_timeout(10_000)
        reader.execute("BEGIN")
        page_size = reader.pragma("page_size")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # now its moment is held
        with writer.backup("main", reader, "main") as copying:
            while not copying.done:
                began = time.monotonic()
                copying.step(_PAGES)
                total = copying.page_count * page_size
                go_on(total - copying.remaining * page_size, total)
                time.sleep((time.monotonic() - began) * _REST)
        _settle(writer)
    finally:
        writer.close()
        reader.close()


def _settle(writer: apsw.Connection) -> None:
    """Make the copy one file, and end in it the backup that it was made by: it is over when somebody restores it."""
    writer.pragma("journal_mode", "delete")
    if writer.pragma("user_version") >= 4:  # there are jobs from that migration on
        writer.execute(
            "UPDATE jobs SET state = 'cancelled', ended_at = created_at, reason = 'it made the snapshot this is'"
            " WHERE kind = 'backup' AND state IN ('waiting', 'running')"
        )


def latest() -> int:
    """Return the number of the newest migration that this program knows."""
    return migrate.latest()


def is_outdated(path: Path) -> bool:
    """Whether the database at `path` is an older program's, to be brought up to this one's schema (blocking)."""
    if not path.is_file() or not path.stat().st_size:
        return False
    connection = apsw.Connection(str(path))
    try:
        version = int(str(connection.pragma("user_version")))
        return 0 < version < migrate.latest()
    except apsw.Error:
        return False  # whoever opens it says what is wrong
    finally:
        connection.close()


def list_blobs(path: Path) -> Iterator[StoredBlob]:
    """Yield the readable blobs that the snapshot at `path` knows (blocking)."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        sql = (
            "SELECT id, digest, generation, driver, form, size, sums FROM blobs WHERE id > ? AND quarantined_at IS NULL"
            " ORDER BY id LIMIT ?"
        )
        reader, last = Reader(connection), 0
        while rows := reader.rows(sql, (last, _ROWS)):
            for row in rows:
                yield StoredBlob(BlobId(row[0]), from_bytes(row[1]), row[2], row[3], row[4], row[5], row[6])
            last = rows[-1][0]
    finally:
        connection.close()


def move(path: Path, known: tuple[str, ...], driver: str) -> None:
    """Write into the snapshot at `path` that what lies in stores other than the `known` ones lies in that of `driver`.

    (Blocking.)
    """
    connection = apsw.Connection(str(path))
    try:
        marks = ", ".join("?" * len(known))
        connection.execute(f"UPDATE blobs SET driver = ? WHERE driver NOT IN ({marks})", (driver, *known))
    finally:
        connection.close()


def quarantine(path: Path, missing: list[BlobId], now: int) -> None:
    """Write into the snapshot at `path` that the bytes of these blobs are not there (blocking)."""
    connection = apsw.Connection(str(path))
    try:
        with connection:
            connection.executemany(
                "UPDATE blobs SET quarantined_at = ? WHERE id = ?", [(now, number) for number in missing]
            )
    finally:
        connection.close()
