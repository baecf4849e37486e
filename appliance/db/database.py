"""The metadata database: one writer thread with group commit, readers that never wait for it.

A service hands `write` a function. The writer runs every function that is waiting, each in a savepoint of its own,
commits them together, and only then says so: an answered write is durable (WAL, synchronous=FULL). Such a function does
no I/O, never waits and may be run again.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import apsw

from appliance.db import migrate
from appliance.db.changes import Changes
from appliance.db.replica import Replica
from appliance.errors import ConfigInvalid, ScrError, Stopping, StorageFull, StoreFailed
from appliance.logs import Log

T = TypeVar("T")
Value = None | int | float | str | bytes
Values = Mapping[str, Value] | tuple[Value, ...]  # what a statement is given, by name or by place
Row = tuple[Any, ...]  # the shape of a row is known where its SQL stands

BATCH = 256  # functions in one commit; more would make the first of them wait too long
_READERS = 4  # connections for worker threads
_CACHE_KIB = 16384  # page cache of a connection, KiB
_MMAP = 256 << 20  # bytes; reads come from the page cache without a copy
BALLAST = 64 << 20  # bytes kept to be given up when even a delete finds no room (DESIGN 5)


class Reader:
    """Reads through one connection. Each statement sees the last commit."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Read through `connection`."""
        self._connection = connection

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """Return the first row, or None."""
        return self._connection.execute(sql, values).fetchone()

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows."""
        return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let several statements see the same commit; keep it short."""
        with self._connection:
            yield


class Transaction(Reader):
    """What a writing function may do. It exists only inside the writer thread."""

    rings = False  # whether this commit has something for the scheduler

    def ring(self) -> None:
        """Wake the scheduler once this is committed."""
        self.rings = True

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run a statement; return how many rows it changed."""
        self._connection.execute(sql, values)
        return self._connection.changes()

    def changes(self) -> int:
        """Return how many rows the last statement changed."""
        return self._connection.changes()

    def execute_many(self, sql: str, values: Iterable[Values]) -> None:
        """Run a statement once for each of `values`."""
        self._connection.executemany(sql, values)

    def insert(self, sql: str, values: Values = ()) -> int:
        """Run an INSERT; return the row's id."""
        self._connection.execute(sql, values)
        return self._connection.last_insert_rowid()


class _Request(Generic[T]):
    """A function on its way through the writer."""

    __slots__ = ("error", "function", "future", "loop", "result")

    def __init__(self, function: Callable[[Transaction], T], loop: asyncio.AbstractEventLoop) -> None:
        self.function = function
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.result: T | None = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Wake who waits (on its loop)."""
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # set by the writer before settle


class Database:
    """`scr.sqlite` of one data folder."""

    def __init__(
        self, path: Path, executor: Executor, log: Log, *, replicated: bool = False, vfs: str | None = None
    ) -> None:
        """Open (or make) the database at `path`, bring its schema up to date, and start the writer.

        `vfs` names an SQLite VFS (tests record what is written). Raises ConfigInvalid for a newer schema.
        """
        self.path = path
        self._vfs = vfs
        self._executor = executor
        self._log = log
        self._requests: queue.SimpleQueue[_Request[object] | None] = queue.SimpleQueue()
        self._closed = False
        self._gate = threading.Lock()  # nothing is asked for behind the None that ends the writer
        self.epoch = 0  # grows with every commit; caches of decisions are keyed by it
        self.changes = Changes()
        self.bell: Callable[[], None] = lambda: None  # called in the writer after a commit that rings
        self.replica: Replica | None = None  # waited for after each commit that changed something
        self._rings = False
        self.committed: Callable[[], None] = lambda: None  # called on the loop when writes have been answered
        _fix_page_format(path, vfs)
        self._writer = self._connect()
        self._writer.pragma("journal_mode", "wal")
        self._writer.pragma("synchronous", "full")
        self._writer.pragma("wal_autocheckpoint", 0 if replicated else 2000)
        # a checkpoint at the end would take from the log what the replica does not have yet
        self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(replicated))
        migrate.run(self._writer)
        self.changes.watch(self._writer)
        self.reader = Reader(self._connect(read_only=True))  # for point reads on the loop
        self._free: queue.SimpleQueue[Reader | None] = queue.SimpleQueue()  # None: closed, for whoever comes still
        for _ in range(_READERS):
            self._free.put(Reader(self._connect(read_only=True)))
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def _connect(self, *, read_only: bool = False) -> apsw.Connection:
        connection = apsw.Connection(str(self.path), vfs=self._vfs, statementcachesize=256)
        connection.set_busy_timeout(10_000)
        # plans must not depend on bound values, or every new binding plans a point read anew (5 times the time)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.pragma("foreign_keys", True)  # noqa: FBT003 - the pragma's value
        connection.pragma("cache_size", -_CACHE_KIB)
        connection.pragma("mmap_size", _MMAP)
        connection.pragma("temp_store", "memory")
        if read_only:
            connection.pragma("query_only", True)  # noqa: FBT003
        return connection

    async def write(self, function: Callable[[Transaction], T]) -> T:
        """Run `function` in the writer; return its result once the commit is durable.

        Raises what the function raised (nothing of it is kept then), StorageFull, StoreFailed, or Stopping.
        """
        request = _Request(function, asyncio.get_running_loop())
        with self._gate:
            if self._closed:
                raise _stopping()
            self._requests.put(request)  # type: ignore[arg-type]  # the queue does not care about T
        return await request.future

    async def read(self, function: Callable[[Reader], T]) -> T:
        """Run `function` with a reader of its own in a worker thread: for lists and anything that scans.

        Raises what the function raised, or Stopping.
        """

        def run() -> T:
            reader = self._free.get()
            if reader is None:
                self._free.put(None)
                raise _stopping()
            try:
                return function(reader)
            finally:
                self._free.put(reader)

        return await asyncio.get_running_loop().run_in_executor(self._executor, run)

    def close(self) -> None:
        """Finish what was asked for, checkpoint, close."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._requests.put(None)
        self._thread.join()
        self.reader._connection.close()  # noqa: SLF001 - same module
        for _ in range(_READERS):  # waits for reads that are under way
            if (reader := self._free.get()) is not None:
                reader._connection.close()  # noqa: SLF001
        self._free.put(None)
        self._writer.close()

    def waiting(self) -> int:
        """Return how many changes wait for the writer."""
        return self._requests.qsize()

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        wal = self.path.with_name(self.path.name + "-wal")
        return wal.stat().st_size if wal.exists() else 0

    def _run(self) -> None:
        """Take requests until None: the body of the writer thread."""
        while (request := self._requests.get()) is not None:
            batch = [request]
            stop = False
            while len(batch) < BATCH:
                try:
                    following = self._requests.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    stop = True
                    break
                batch.append(following)
            before = self._writer.total_changes()
            self._commit(batch)
            if self.replica is not None and self._writer.total_changes() != before:
                _replicate(self.replica, batch)
            for loop in {one.loop for one in batch}:
                mine = [one for one in batch if one.loop is loop]
                _call(loop, mine, self.committed)
            if stop:
                return

    def _commit(self, batch: list[_Request[object]]) -> None:
        """Run and commit `batch`; on a failure of the whole commit every request gets the error."""
        try:
            self._attempt(batch)
        except apsw.FullError as error:
            if self._release_ballast():
                self._commit(batch)
                return
            _fail(
                batch,
                StorageFull("the disk is full and the database cannot grow; delete images or free the disk"),
                error,
            )
        except apsw.IOError as error:
            if "FSYNC" in str(apsw.mapping_extended_result_codes.get(getattr(error, "extendedresult", 0), "")):
                # after a failed fsync nobody knows what is on the disk (fsyncgate): start-up recovers from the log
                self._log.error(
                    "database.sync_failed", reason=str(error), cure="see the host's disk; scr ends and recovers"
                )
                os._exit(1)
            _fail(batch, StoreFailed(f"the database cannot be written: {error}; see the host's disk"), error)
        except apsw.Error as error:
            _fail(batch, StoreFailed(f"the database failed: {error}"), error)

    def _attempt(self, batch: list[_Request[object]]) -> None:
        self._rings = False
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            for request in batch:
                request.error = None
                self._one(request)
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        self.epoch += 1
        self.changes.publish()
        if self._rings:
            self.bell()

    def _one(self, request: _Request[object]) -> None:
        self._writer.execute("SAVEPOINT one")
        tx = Transaction(self._writer)
        try:
            request.result = request.function(tx)
            self._rings |= tx.rings
        except (apsw.FullError, apsw.IOError):
            raise  # of the whole commit
        except BaseException as error:  # noqa: BLE001 - handed to whoever asked
            request.error = error
            self._writer.execute("ROLLBACK TO one")
        self._writer.execute("RELEASE one")

    def _release_ballast(self) -> bool:
        ballast = self.path.with_name("ballast")
        try:
            ballast.unlink()
        except OSError:
            return False
        self._log.warn(
            "disk.ballast_released", freed=BALLAST, cure="free the disk; the ballast is laid out again later"
        )
        return True


def _stopping() -> Stopping:
    return Stopping("scr is stopping; try again in a moment")


def _call(loop: asyncio.AbstractEventLoop, requests: list[_Request[object]], then: Callable[[], None]) -> None:
    def settle() -> None:
        for request in requests:
            request.settle()
        then()

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)


def _replicate(replica: Replica, batch: list[_Request[object]]) -> None:
    """Wait until the replica holds what `batch` has committed; where it does not, nobody hears that it is done."""
    try:
        replica.sync()
    except StoreFailed as error:
        for request in batch:
            request.error = request.error or error


def _fail(batch: list[_Request[object]], error: ScrError, cause: Exception) -> None:
    error.__cause__ = cause
    for request in batch:
        request.error = error


def _fix_page_format(path: Path, vfs: str | None) -> None:
    """Set what can be set only before the first table.

    The file's size does not tell whether that was done: a crash in the middle of it may leave one setting without the
    next, or what is rolled back to an empty file as soon as SQLite looks. Setting them again changes nothing.
    """
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        found = connection.pragma("application_id")
    except apsw.NotADBError as error:
        raise ConfigInvalid(
            f"{path.name} is no database: restore a backup, or move it away and run scr rebuild",
        ) from error
    is_ours = found in (migrate.APPLICATION_ID, 0)
    if is_ours and connection.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        for pragma, value in (
            ("page_size", 8192),
            ("auto_vacuum", "incremental"),
            ("application_id", migrate.APPLICATION_ID),
        ):
            connection.pragma(pragma, value)
    connection.close()
    path.chmod(0o600)
