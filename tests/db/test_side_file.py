"""logs.sqlite may be lost, and nothing else with it: a broken one is set aside, a full disk is said."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from appliance.db.database import Transaction
from appliance.db.side_file import SideFile
from appliance.errors import ConfigInvalid, Stopping, StorageFull, StoreFailed
from appliance.logs import Log

pytestmark = pytest.mark.anyio
Open = Callable[[], SideFile]


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def open_file(tmp_path: Path, executor: ThreadPoolExecutor, printed: io.StringIO) -> Iterator[Open]:
    opened: list[SideFile] = []

    def make() -> SideFile:
        opened.append(SideFile(tmp_path / "logs.sqlite", executor, Log(out=printed)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def fill(tx: Transaction) -> None:
    for number in range(200):
        tx.execute(
            "INSERT INTO refusals (id, at, last_at, times, registry_id, principal, address, client, method, path, rule,"
            " says, steps) VALUES (?, 0, 0, 1, 1, '', '', '', '', '', '', ?, '[]')",
            (f"{number}", "x" * 2000),
        )


async def count(file: SideFile) -> object:
    return await file.read(lambda reader: reader.one("SELECT count(*) FROM refusals"))


async def test_what_was_written_is_there_when_it_is_opened_again(open_file: Open, tmp_path: Path) -> None:
    first = open_file()
    await first.write(fill)
    first.close()

    assert await count(open_file()) == (200,)
    assert (tmp_path / "logs.sqlite").stat().st_mode & 0o777 == 0o600


async def test_a_write_that_fails_leaves_nothing(open_file: Open) -> None:
    file = open_file()

    def fail(tx: Transaction) -> None:
        fill(tx)
        raise StorageFull("no room")

    with pytest.raises(StorageFull):
        await file.write(fail)

    assert await count(file) == (0,)


async def test_a_full_disk_is_said_and_what_was_there_stays(open_file: Open) -> None:
    file = open_file()
    await file.write(lambda tx: tx.rows("PRAGMA max_page_count = 20"))

    with pytest.raises(StorageFull, match="free the disk"):
        await file.write(fill)

    assert await count(file) == (0,)


@pytest.mark.parametrize("content", [b"no database at all " * 1000, b"SQLite format 3\0" + b"\xff" * 20_000])
async def test_a_broken_file_is_set_aside_and_begun_anew(
    open_file: Open, tmp_path: Path, printed: io.StringIO, content: bytes
) -> None:
    (tmp_path / "logs.sqlite").write_bytes(content)

    file = open_file()
    await file.write(fill)

    assert await count(file) == (200,)
    assert (tmp_path / "logs.sqlite.broken").read_bytes() == content
    assert "file.set_aside" in printed.getvalue()


async def test_a_file_that_breaks_while_it_is_used_is_set_aside_too(open_file: Open, tmp_path: Path) -> None:
    file = open_file()
    await file.write(fill)

    def meet_corruption(_: Transaction) -> None:
        raise apsw.CorruptError("database disk image is malformed")

    with pytest.raises(StoreFailed, match="begun anew"):
        await file.write(meet_corruption)

    assert await count(file) == (0,)
    await file.write(fill)
    assert await count(file) == (200,)
    assert (tmp_path / "logs.sqlite.broken").exists()


async def test_a_file_of_a_newer_program_is_left_alone(open_file: Open, tmp_path: Path) -> None:
    open_file().close()
    connection = apsw.Connection(str(tmp_path / "logs.sqlite"))
    connection.pragma("user_version", 99)
    connection.close()

    with pytest.raises(ConfigInvalid, match="newer"):
        open_file()


async def test_after_the_end_it_says_that_scr_stops(open_file: Open) -> None:
    file = open_file()
    file.close()
    file.close()

    with pytest.raises(Stopping):
        await file.write(fill)
    with pytest.raises(Stopping):
        await count(file)
