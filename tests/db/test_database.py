import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from appliance.db import facts
from appliance.db.database import Database, Transaction
from appliance.errors import NameUnknown, Stopping, StorageFull
from appliance.logs import Log

pytestmark = pytest.mark.anyio
PATIENCE_S = 60  # far more than anything here takes


def put(name: str, value: str = "1") -> Callable[[Transaction], str]:
    def write(tx: Transaction) -> str:
        facts.put(tx, name, value)
        return value

    return write


@contextmanager
def held(database: Database) -> Iterator[list[asyncio.Task[str]]]:
    """Hold the writer inside a function while the block asks for more: they all end up in one commit.

    The block appends its tasks to the list; they must have begun to wait when it ends.
    """
    is_free, is_held = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> str:
        is_held.set()
        is_free.wait(PATIENCE_S)
        return put("held")(tx)

    tasks = [asyncio.ensure_future(database.write(hold))]
    asyncio.get_running_loop().call_soon(is_held.wait, PATIENCE_S)  # the loop stands still until the writer is busy
    try:
        yield tasks
    finally:
        is_free.set()


async def begun() -> None:
    """Let tasks that were made run until they wait."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_an_answered_write_is_there_for_every_reader(database: Database) -> None:
    assert await database.write(put("colour", "blue")) == "blue"

    assert facts.find(database.reader, "colour") == "blue"
    assert await database.read(lambda reader: facts.find(reader, "colour")) == "blue"


async def test_what_waits_together_is_committed_together(database: Database) -> None:
    before = database.epoch

    with held(database) as tasks:
        await begun()
        tasks += [asyncio.ensure_future(database.write(put(f"n{number}"))) for number in range(20)]
        await begun()
    await asyncio.gather(*tasks)

    assert database.epoch == before + 2  # the one that held the writer, and all the others


async def test_a_function_that_fails_takes_nobody_with_it(database: Database) -> None:
    def fail(tx: Transaction) -> str:
        facts.put(tx, "half", "done")
        raise NameUnknown("no such thing")

    def err(tx: Transaction) -> str:
        tx.execute("INSERT INTO nowhere VALUES (1)")
        return "never"

    with held(database) as tasks:
        await begun()
        for function in (put("a"), fail, put("b"), err, put("c")):
            tasks.append(asyncio.ensure_future(database.write(function)))
        await begun()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in results] == [str, str, NameUnknown, str, apsw.SQLError, str]
    assert [facts.find(database.reader, name) for name in ("a", "b", "c", "half")] == ["1", "1", "1", None]


async def test_functions_run_in_the_order_in_which_they_were_asked_for(database: Database) -> None:
    def append(text: str) -> Callable[[Transaction], str]:
        return lambda tx: put("word", (facts.find(tx, "word") or "") + text)(tx)

    found = await asyncio.gather(*(database.write(append(letter)) for letter in "abcdefghij"))

    assert found == ["abcdefghij"[: length + 1] for length in range(10)]


async def test_more_than_a_batch_is_written_whole(database: Database) -> None:
    await asyncio.gather(*(database.write(put(f"n{number}")) for number in range(1000)))

    row = database.reader.one("SELECT count(*) FROM facts WHERE name LIKE 'n%'")
    assert row == (1000,)


async def test_readers_do_not_wait_for_the_writer(database: Database) -> None:
    await database.write(put("colour", "blue"))

    with held(database) as tasks:
        await begun()
        tasks.append(asyncio.ensure_future(database.write(put("colour", "red"))))
        await begun()
        assert facts.find(database.reader, "colour") == "blue"
        assert await database.read(lambda reader: facts.find(reader, "colour")) == "blue"
    await asyncio.gather(*tasks)

    assert facts.find(database.reader, "colour") == "red"


async def test_a_snapshot_sees_one_commit_throughout(database: Database) -> None:
    await database.write(put("colour", "blue"))

    with database.reader.snapshot():
        before = facts.find(database.reader, "colour")
        await database.write(put("colour", "red"))
        after = facts.find(database.reader, "colour")

    assert (before, after) == ("blue", "blue")
    assert facts.find(database.reader, "colour") == "red"


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(apsw.ReadOnlyError):
        facts.put(Transaction(database.reader._connection), "a", "1")  # noqa: SLF001 - what a mistake would do


async def test_who_stops_waiting_disturbs_nobody(database: Database) -> None:
    with held(database) as tasks:
        await begun()
        gone = asyncio.ensure_future(database.write(put("gone")))
        tasks.append(asyncio.ensure_future(database.write(put("stays"))))
        await begun()
        gone.cancel()
        await begun()
    await asyncio.gather(*tasks)

    assert gone.cancelled()
    assert facts.find(database.reader, "stays") == "1"
    assert await database.write(put("next")) == "1"


async def test_a_full_database_gives_up_its_ballast_and_runs_everything_again(database: Database) -> None:
    ballast = database.path.with_name("ballast")
    ballast.write_bytes(b"x")
    runs: list[str] = []

    def fill(tx: Transaction) -> str:
        runs.append("fill")
        return put("large", "x" * 1_000_000)(tx)

    def beside(tx: Transaction) -> str:
        runs.append("beside")
        return put("beside")(tx)

    await database.write(lambda tx: tx.rows("PRAGMA max_page_count = 1"))  # means: as many as there are now
    with held(database) as tasks:
        await begun()
        tasks.append(asyncio.ensure_future(database.write(beside)))
        tasks.append(asyncio.ensure_future(database.write(fill)))
        await begun()
    held_one, *others = await asyncio.gather(*tasks, return_exceptions=True)

    assert held_one == "1"
    assert [type(error) for error in others] == [StorageFull, StorageFull]
    assert runs == ["beside", "fill"] * 2
    assert not ballast.exists()
    await database.write(lambda tx: tx.rows("PRAGMA max_page_count = 100000"))
    found = await asyncio.gather(database.write(beside), database.write(fill))
    assert [*found] == ["1", "x" * 1_000_000]


async def test_closing_finishes_what_was_asked_for(database: Database) -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as closer:
        with held(database) as tasks:
            await begun()
            tasks += [asyncio.ensure_future(database.write(put(f"n{number}"))) for number in range(300)]
            await begun()
            closing = loop.run_in_executor(closer, database.close)
        found = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)
        await closing

    assert found == ["1"] * 301
    with pytest.raises(Stopping):
        await database.write(put("late"))


async def test_a_write_beside_a_close_is_done_or_refused_but_answered(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4) as threads:
        for number in range(20):
            database = Database(tmp_path / f"{number}.sqlite", threads, Log(out=io.StringIO()))

            async def writing(database: Database = database) -> int:
                count = 0
                while True:
                    try:
                        await database.write(put("n", str(count)))
                    except Stopping:
                        return count
                    count += 1

            tasks = [asyncio.ensure_future(writing()) for _ in range(4)]
            await database.write(put("begun"))
            await loop.run_in_executor(threads, database.close)

            assert all(count >= 0 for count in await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S))


async def test_closing_twice_does_nothing(database: Database) -> None:
    database.close()
    database.close()

    with pytest.raises(Stopping):
        await database.write(put("late"))


async def test_reading_after_the_close_is_refused(database: Database) -> None:
    database.close()

    with pytest.raises(Stopping):
        await asyncio.wait_for(database.read(lambda reader: facts.find(reader, "a")), PATIENCE_S)


async def test_the_file_is_laid_out_for_many_small_rows_and_a_durable_commit(database: Database) -> None:
    def pragma(name: str) -> int | str:
        row = database.reader.one(f"PRAGMA {name}")
        assert row is not None
        return row[0]  # type: ignore[no-any-return]  # a row has the shape that its SQL says

    writer = await database.write(lambda tx: [tx.one("PRAGMA synchronous"), tx.one("PRAGMA foreign_keys")])

    assert [pragma(name) for name in ("page_size", "auto_vacuum", "journal_mode")] == [8192, 2, "wal"]
    assert writer == [(2,), (1,)]
    assert database.path.stat().st_mode & 0o777 == 0o600
