"""Databases beside the metadata: what is written much and may be lost. `logs.sqlite`, `scan.sqlite`.

Written in batches by a worker thread, through a connection of its own, so no push waits behind it; synced like the
metadata, so a crash loses no more than the batch that was still in memory. A file that is broken is set aside, and a
new one begun: nothing in here is needed to serve.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

import apsw

from appliance.db import migrate
from appliance.db.database import Reader, Transaction
from appliance.errors import Stopping, StorageFull, StoreFailed
from appliance.logs import Log

T = TypeVar("T")
_CACHE_KIB = 4096  # page cache of a connection, KiB


class SideFile:
    """One connection to write, one to read."""

    def __init__(self, path: Path, executor: Executor, log: Log, migrations: str = migrate.LOGS) -> None:
        """Open (or make) the file at `path`, whose tables are those of the package `migrations`.

        Raises ConfigInvalid for one of a newer program, StoreFailed.
        """
        self.path = path
        self._migrations = migrations
        self._executor = executor
        self._log = log
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._is_closed = False
        try:
            self._open()
        except (apsw.NotADBError, apsw.CorruptError) as error:
            self._set_aside(error)
        except apsw.Error as error:
            raise StoreFailed(
                f"{path.name} cannot be opened: {error}; see the host's disk, or move the file away: it may be lost"
            ) from error

    def _open(self) -> None:
        self._writer = apsw.Connection(str(self.path))
        if self._writer.pragma("user_version") == 0:
            for pragma, value in (
                ("page_size", 8192),
                ("auto_vacuum", "incremental"),
                ("application_id", migrate.APPLICATION_ID),
            ):
                self._writer.pragma(pragma, value)
        self._writer.pragma("journal_mode", "wal")
        self._writer.pragma("synchronous", "full")
        migrate.run(self._writer, self._migrations)
        self._reader = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        for connection in (self._writer, self._reader):
            connection.set_busy_timeout(10_000)
            connection.pragma("cache_size", -_CACHE_KIB)
        self.path.chmod(0o600)

    async def write(self, function: Callable[[Transaction], T]) -> T:
        """Run `function` in one transaction, in a worker thread; return its result once that is durable.

        Raises what it raised (nothing is kept then), StorageFull, StoreFailed, Stopping.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._write, function)

    async def read(self, function: Callable[[Reader], T]) -> T:
        """Run `function` in a worker thread. Raises what it raised, StoreFailed, Stopping."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._read, function)

    async def give_back(self) -> None:
        """Give the pages that deletions left free back to the disk."""
        await self.write(lambda tx: tx.rows("PRAGMA incremental_vacuum"))  # a page a step: to the end

    def size_bytes(self) -> int:
        """Return the bytes the file takes, its log included."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Finish what is under way, then close."""
        with self._writing, self._reading:
            if not self._is_closed:
                self._is_closed = True
                self._reader.close()
                self._writer.close()

    def _write(self, function: Callable[[Transaction], T]) -> T:
        with self._writing:
            self._check()
            try:
                return self._run(function)
            except apsw.FullError as error:
                raise StorageFull(f"the disk is full and {self.path.name} cannot grow; free the disk") from error
            except (apsw.NotADBError, apsw.CorruptError) as error:
                with self._reading:
                    self._set_aside(error)
                raise StoreFailed(f"{self.path.name} was broken and is begun anew") from error
            except apsw.Error as error:
                raise StoreFailed(f"{self.path.name} cannot be written: {error}; see the host's disk") from error

    def _run(self, function: Callable[[Transaction], T]) -> T:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            result = function(Transaction(self._writer))
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:  # a full disk has ended it already
                self._writer.execute("ROLLBACK")
            raise
        return result

    def _read(self, function: Callable[[Reader], T]) -> T:
        with self._reading:
            self._check()
            try:
                return function(Reader(self._reader))
            except apsw.Error as error:
                raise StoreFailed(f"{self.path.name} cannot be read: {error}") from error

    def _check(self) -> None:
        if self._is_closed:
            raise Stopping("scr is stopping; try again in a moment")

    def _set_aside(self, error: apsw.Error) -> None:
        """Begin a new file beside the broken one, of which the last is kept."""
        name = self.path.name
        self._log.error("file.set_aside", file=name, reason=str(error), cure=f"what was in it lies in {name}.broken")
        for connection in (getattr(self, "_reader", None), getattr(self, "_writer", None)):
            if connection is not None:
                connection.close(True)  # noqa: FBT003 - even where SQLite would rather not
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self.path.rename(self.path.with_name(self.path.name + ".broken"))
        self._open()
