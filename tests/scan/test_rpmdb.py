"""The three forms of the rpm database against `rpm -qa`, and what becomes of broken ones."""

import csv
import gzip
import sqlite3
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.vulnerability import Package
from appliance.scan.detector import Fact
from appliance.scan.detectors import rpm
from appliance.scan.limits import LimitReached, Unreadable
from appliance.scan.rpmdb import bdb, ndb, sqlite
from appliance.scan.rpmdb.header import parse
from tests.scan.outcome import gathered, outcome

FIXTURES = Path(__file__).parents[1] / "fixtures/scan/rpmdb"
FILES = {
    "libuuid": "Packages",
    "sle15-bci": "Packages.db",
    "cbl-mariner-2.0": "rpmdb.sqlite.gz",
    "bdb-from-mariner": "Packages.gz",
}


def database(name: str) -> bytes:
    content = (FIXTURES / name / FILES[name]).read_bytes()
    return gzip.decompress(content) if FILES[name].endswith(".gz") else content


def packages(facts: list[Fact]) -> list[Package]:
    return [fact for fact in facts if isinstance(fact, Package)]


@pytest.mark.parametrize("name", FILES)
def test_the_packages_are_those_that_rpm_lists(name: str) -> None:
    with (FIXTURES / name / "expected.tsv").open() as lines:
        rows = [
            {key: "" if value == "(none)" else value for key, value in row.items()}
            for row in csv.DictReader(lines, delimiter="\t")
        ]

    found = packages(list(rpm.read("var/lib/rpm/Packages", database(name))))

    assert sorted(
        (package.name, package.version, package.arch, package.vendor, package.module) for package in found
    ) == sorted(
        (
            row["name"],
            (f"{row['epoch']}:" if row["epoch"] not in ("", "0") else "") + f"{row['version']}-{row['release']}",
            row["arch"],
            row["vendor"],
            row["modularitylabel"],
        )
        for row in rows
    )
    sources = {(row["name"], row["sourcerpm"]) for row in rows}
    for package in found:
        source_version = (package.source_version or package.version).partition(":")
        text = f"{package.source or package.name}-{source_version[2] or source_version[0]}.src.rpm"
        assert (package.name, text) in sources or (package.name, "") in sources


def big_endian(content: bytes) -> bytes:
    """Return a Berkeley DB file as a machine of the other byte order would have written it."""
    size = struct.unpack_from("<I", content, 20)[0]
    swapped = bytearray(content)

    def swap(at: int, length: int) -> None:
        swapped[at : at + length] = swapped[at : at + length][::-1]

    for at in (12, 16, 20, 32):
        swap(at, 4)
    for begin in range(size, len(content), size):
        kind = content[begin + 25]
        count = struct.unpack_from("<H", content, begin + 20)[0]
        for at in (8, 12, 16):
            swap(begin + at, 4)
        for at in (20, 22):
            swap(begin + at, 2)
        if kind in (2, 13):
            starts = struct.unpack_from(f"<{count}H", content, begin + 26)
            for index in range(count):
                swap(begin + 26 + 2 * index, 2)
            for start in starts:
                if content[begin + start] == 3:
                    swap(begin + start + 4, 4)
                    swap(begin + start + 8, 4)
    return bytes(swapped)


def test_berkeley_databases_of_the_other_byte_order_say_the_same() -> None:
    content = database("bdb-from-mariner")

    assert sorted(bdb.read(big_endian(content))) == sorted(bdb.read(content))


def test_an_empty_file_is_a_database_without_packages() -> None:
    assert list(rpm.read("var/lib/rpm/Packages", b"")) == []


def test_a_file_of_no_form_is_told() -> None:
    with pytest.raises(Unreadable, match="no rpm database"):
        list(rpm.read("var/lib/rpm/Packages", b"text"))


@pytest.mark.parametrize("name", FILES)
def test_a_database_that_is_cut_off_gives_what_is_left_and_is_told(name: str) -> None:
    content = database(name)

    found, sentence = gathered(rpm.read("x", content[: len(content) * 2 // 3]))

    whole = {package.name for package in packages(list(rpm.read("x", content)))}
    assert {package.name for package in packages(found)} < whole
    assert sentence


def test_a_broken_record_does_not_hide_its_neighbours() -> None:
    content = database("sle15-bci")
    at = content.index(b"BlbS") + 16
    broken = content[:at] + b"\xff" * 8 + content[at + 8 :]

    found, sentence = gathered(rpm.read("x", broken))

    assert len(packages(found)) == 34
    assert sentence == "1 records of the rpm database are broken"


def test_records_that_repeat_the_same_pages_end_at_a_limit() -> None:
    content = bytearray(database("bdb-from-mariner"))
    size = struct.unpack_from("<I", content, 20)[0]
    values = 0
    for begin in range(size, len(content), size):
        if content[begin + 25] == 13 and struct.unpack_from("<H", content, begin + 20)[0] >= 2:
            start = struct.unpack_from("<H", content, begin + 28)[0]
            if content[begin + start] == 3:
                first, length = struct.unpack_from("<II", content, begin + start + 4)
                count = (size - 26 - 40) // 2 // 2 * 2
                struct.pack_into("<H", content, begin + 20, count)
                struct.pack_into(f"<{count}H", content, begin + 26, *([size - 12] * count))
                content[begin + size - 12 : begin + size] = struct.pack("<B3xII", 3, first, length)
                values += count // 2
    assert values > 1000

    with pytest.raises(LimitReached, match="larger than the database"):
        list(bdb.read(bytes(content)))


def sqlite_file(tmp_path: Path, page_size: int, blobs: list[bytes], *, extra: bool = False) -> bytes:
    path = tmp_path / "rpmdb.sqlite"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA page_size={page_size}")
    if extra:
        for number in range(200):
            connection.execute(f"CREATE TABLE t{number} (a TEXT, b REAL, c INTEGER DEFAULT 1)")
        connection.execute("INSERT INTO t0 VALUES ('x', 1.5, -7), (NULL, 0.0, 0)")
    connection.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs])
    connection.commit()
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("extra", [False, True])
def test_sqlite_files_of_any_page_size_are_read(tmp_path: Path, page_size: int, extra: bool) -> None:  # noqa: FBT001
    blobs = [bytes([number % 251]) * (number * 37) for number in range(1, 400)]

    content = sqlite_file(tmp_path, page_size, blobs, extra=extra)

    assert list(sqlite.read(content)) == blobs


def test_sqlite_pages_that_go_round_in_circles_are_told(tmp_path: Path) -> None:
    content = bytearray(sqlite_file(tmp_path, 512, [b"x" * 400] * 400))
    interior = [at for at in range(512, len(content), 512) if content[at] == 5]
    for at in interior:
        struct.pack_into(">I", content, at + 8, at // 512 + 1)

    with pytest.raises(Unreadable, match="circles"):
        list(sqlite.read(bytes(content)))


def test_a_sqlite_file_without_the_table_is_told(tmp_path: Path) -> None:
    content = sqlite_file(tmp_path, 512, [b"x"]).replace(b"Packages", b"Pockages")

    with pytest.raises(Unreadable, match="no table"):
        list(sqlite.read(content))


def test_a_journal_with_something_in_it_is_a_limit() -> None:
    assert list(rpm.read_journal("x", b"")) == []
    with pytest.raises(LimitReached, match="write-ahead"):
        list(rpm.read_journal("x", b"7\x7f\x06\x82"))


SMALL = {
    "bdb": database("libuuid"),
    "ndb": database("sle15-bci")[: 64 << 10],
    "sqlite": database("cbl-mariner-2.0")[: 64 << 10],
}


@settings(max_examples=200)
@given(st.sampled_from(sorted(SMALL)), st.data())
def test_any_change_of_a_database_ends_in_packages_or_in_a_sentence(form: str, data: st.DataObject) -> None:
    content = bytearray(SMALL[form])
    for _ in range(data.draw(st.integers(1, 8))):
        # The heads of the file and of its pages decide most.
        at = data.draw(
            st.one_of(
                st.integers(0, 200),
                st.integers(0, len(content) - 1),
                st.integers(0, 15).map(lambda page: page * 4096 + 20),
            )
        )
        content[at % len(content)] = data.draw(st.integers(0, 255))

    found, sentence = gathered(rpm.read("x", bytes(content)))

    assert sentence or all(package.name for package in packages(found))


@given(
    st.sampled_from([b"RpmP" + bytes(4), b"SQLite format 3\0", bytes(12) + b"\x61\x15\x06\0", b""]),
    st.binary(max_size=2000),
)
def test_any_bytes_end_in_packages_or_in_a_sentence(magic: bytes, rest: bytes) -> None:
    found, sentence = gathered(rpm.read("x", magic + rest))

    assert sentence or all(package.name for package in packages(found))


@given(st.sampled_from([b"", struct.pack(">II", 3, 100)]), st.binary(max_size=400))
def test_any_header_ends_in_a_package_or_in_a_sentence(head: bytes, blob: bytes) -> None:
    header = outcome(lambda: parse(head + blob))

    assert header if isinstance(header, str) else header.name


def test_ndb_of_another_version_is_refused() -> None:
    with pytest.raises(Unreadable, match="version 1"):
        list(ndb.read(b"RpmP" + struct.pack("<III", 1, 0, 1) + bytes(32)))
