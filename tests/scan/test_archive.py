"""The zip reader: what the library writes, what it would never write, and what must not be inflated."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.scan.archive import Archive, Budget
from appliance.scan.limits import LimitReached, Unreadable
from tests.scan.outcome import outcome
from tests.scan.zip_bytes import archive


def contents(data: bytes, most: int = 1 << 20) -> dict[str, bytes]:
    found = Archive(data, Budget(len(data)))
    return {entry.name: found.read(entry, most) for entry in found.entries()}


FILES = {"a": b"hello", "folder/b": b"x" * 5000, "empty": b""}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_are_read_in_the_order_of_the_directory(method: int) -> None:
    assert contents(archive(FILES, method=method)) == FILES


def test_bytes_before_the_archive_and_a_comment_behind_do_no_harm() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("a", b"hello")
        out.comment = b"c" * 3000

    assert contents(b"#!/bin/sh\nexec java -jar $0\n" + buffer.getvalue()) == {"a": b"hello"}


def wide(data: bytes, *, before: bytes = b"") -> bytes:
    """Return the archive `data` of one entry with its sizes and offsets in the 64-bit form."""
    end = data.rindex(b"PK\x05\x06")
    begin = data.rindex(b"PK\x01\x02")
    record = bytearray(data[begin:end])
    packed, size = struct.unpack_from("<II", record, 20)
    name_size, extra_size = struct.unpack_from("<HH", record, 28)
    extra = struct.pack("<HHQQQ", 1, 24, size, packed, 0)
    struct.pack_into("<II", record, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", record, 30, extra_size + len(extra))
    struct.pack_into("<I", record, 42, 0xFFFFFFFF)
    directory = bytes(record[: 46 + name_size]) + struct.pack("<HH", 9, 0) + extra + bytes(record[46 + name_size :])
    directory = directory[:30] + struct.pack("<H", extra_size + len(extra) + 4) + directory[32:]
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(directory), begin)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, begin + len(directory), 1)
    last = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return before + data[:begin] + directory + end64 + locator + last


def test_the_wide_form_is_read_too() -> None:
    data = archive({"a": b"hello" * 100})

    assert contents(wide(data)) == {"a": b"hello" * 100}
    assert contents(wide(data, before=b"#!/bin/sh\n" * 9)) == {"a": b"hello" * 100}


def test_a_wide_form_that_is_cut_off_is_told() -> None:
    data = bytearray(wide(archive({"a": b"hello" * 100})))
    begin = data.rindex(b"PK\x01\x02")
    data[begin + 30] -= 9

    with pytest.raises(Unreadable):
        contents(bytes(data))


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"text", archive(FILES)[:-30], archive(FILES)[60:]])
def test_what_is_no_archive_is_told(data: bytes) -> None:
    with pytest.raises(Unreadable):
        contents(data)


def test_encrypted_and_unknown_methods_are_told() -> None:
    data = archive({"a": b"hello"})
    begin = data.rindex(b"PK\x01\x02")
    encrypted = data[: begin + 8] + b"\x01" + data[begin + 9 :]
    unknown = data[: begin + 10] + b"\x63" + data[begin + 11 :]
    elsewhere = data[: begin + 42] + b"\x01" + data[begin + 43 :]

    for changed, word in ((encrypted, "encrypted"), (unknown, "method 99"), (elsewhere, "not where")):
        with pytest.raises(Unreadable, match=word):
            contents(changed)


def test_a_size_that_lies_is_not_believed() -> None:
    data = archive({"a": bytes(100_000)})
    begin = data.rindex(b"PK\x01\x02")
    lying = data[: begin + 24] + struct.pack("<I", 5) + data[begin + 28 :]

    with pytest.raises(LimitReached, match="more than 1000 bytes"):
        contents(lying, most=1000)


def test_all_that_is_inflated_is_paid_from_one_budget() -> None:
    data = archive({str(number): bytes(8 << 20) for number in range(8)})

    with pytest.raises(LimitReached, match=r"far more than its size|inflates to more"):
        contents(data, most=16 << 20)


def test_a_directory_without_end_is_left() -> None:
    data = archive({"a": b"hello"})
    begin = data.rindex(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    entry = data[begin:end]
    many = entry * 600_000
    last = bytearray(data[end:])
    struct.pack_into("<II", last, 12, len(many), begin)

    with pytest.raises(LimitReached, match="entries"):
        list(Archive(data[:begin] + many + bytes(last), Budget(1)).entries())


def test_overlapping_entries_are_paid_each_time() -> None:
    data = archive({"a": bytes(4 << 20)})
    begin = data.rindex(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    many = data[begin:end] * 1000
    last = bytearray(data[end:])
    struct.pack_into("<II", last, 12, len(many), begin)
    bomb = data[:begin] + many + bytes(last)
    found = Archive(bomb, Budget(len(bomb)))

    with pytest.raises(LimitReached):
        _ = [len(found.read(entry, 8 << 20)) for entry in found.entries()]


@given(st.data())
def test_any_change_ends_in_files_or_in_a_sentence(data: st.DataObject) -> None:
    content = bytearray(wide(archive({"a": b"hello" * 30})) if data.draw(st.booleans()) else archive(FILES))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    found = outcome(lambda: contents(bytes(content)))

    assert found if isinstance(found, str) else found.keys() is not None


@given(st.binary(max_size=300))
def test_any_bytes_end_in_files_or_in_a_sentence(content: bytes) -> None:
    found = outcome(lambda: contents(content + b"PK\x05\x06" + content[:18].ljust(18, b"\0")))

    assert isinstance(found, (str, dict))
