"""The tar reader: every spelling of a name and a size, and the ways in which a header can lie."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.layer import FileKind
from appliance.scan import tar
from appliance.scan.limits import LimitReached, Limits, Unreadable
from appliance.scan.stream import Stream
from tests.scan import tar_bytes as make
from tests.scan.outcome import outcome

LIMITS = Limits()


def members(data: bytes, limits: Limits = LIMITS) -> list[tar.Member]:
    return list(tar.walk(Stream([data]), limits))


def bodies(data: bytes) -> dict[str, bytes]:
    stream = Stream([data])
    return {member.path: stream.take(member.size) for member in tar.walk(stream, LIMITS)}


def test_a_plain_archive_gives_names_sizes_modes_and_kinds() -> None:
    data = (
        make.entry(b"etc/", b"", b"5")
        + make.entry(b"etc/motd", b"hello")
        + make.entry(b"etc/link", b"", b"2", b"../run/motd")
        + make.entry(b"dev/null", b"", b"3")
        + make.entry(b"run/pipe", b"", b"6")
        + make.entry(b"etc/same", b"", b"1", b"./etc/motd")
        + make.END
    )

    found = members(data)

    assert [(member.path, member.kind, member.size, member.target) for member in found] == [
        ("etc", FileKind.FOLDER, 0, ""),
        ("etc/motd", FileKind.FILE, 5, ""),
        ("etc/link", FileKind.SYMLINK, 0, "../run/motd"),
        ("dev/null", FileKind.DEVICE, 0, ""),
        ("run/pipe", FileKind.FIFO, 0, ""),
        ("etc/same", FileKind.HARD_LINK, 0, "etc/motd"),
    ]
    assert {member.mode for member in found} == {0o644}


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        (b"/etc/passwd", "etc/passwd"),
        (b"./etc//passwd", "etc/passwd"),
        (b"../../etc/passwd", "etc/passwd"),
        (b"a/../../../b", "b"),
        (b"a/./b/", "a/b"),
        (b"..", ""),
        (b".hidden", ".hidden"),
        (b"a/.hidden", "a/.hidden"),
        (b"a/...", "a/..."),
        (b"caf\xe9", "caf\\xe9"),
        ("café".encode(), "café"),
    ],
)
def test_no_name_points_outside_the_root(written: bytes, folded: str) -> None:
    found = members(make.entry(written, b"x") + make.END)

    assert [member.path for member in found] == [folded]


def test_the_posix_prefix_counts_and_the_gnu_times_in_its_place_do_not() -> None:
    posix = make.header(b"name", 0, prefix=b"long/folder")
    gnu = make.header(b"name", 0, magic=b"ustar  \0", prefix=b"12345670123")

    assert [member.path for member in members(posix + gnu + make.END)] == ["long/folder/name", "name"]


def test_extended_headers_give_long_names_links_and_sizes() -> None:
    long = b"d/" * 200 + b"file"
    data = make.pax((b"path", long), (b"size", b"3")) + make.header(b"short", 0) + make.padded(b"abc")
    data += make.pax((b"linkpath", b"t" * 300)) + make.entry(b"link", b"", b"2", b"short")
    data += make.entry(b"././@LongLink", long + b"\0", b"L") + make.pax((b"path", b"other")) + make.entry(b"x", b"1")
    data += make.entry(b"././@LongLink", b"k" * 200 + b"\0", b"K") + make.entry(b"hard", b"", b"1", b"x") + make.END

    found = members(data)

    assert [(member.path, member.size, member.target) for member in found] == [
        (long.decode(), 3, ""),
        ("link", 0, "t" * 300),
        (long.decode(), 1, ""),
        ("hard", 0, "k" * 200),
    ]


def test_global_headers_change_nothing_because_no_runtime_heeds_them() -> None:
    data = make.pax((b"path", b"lib/apk/db/installed"), kind=b"g") + make.entry(b"honest", b"1") + make.END

    assert [member.path for member in members(data)] == ["honest"]


def test_an_empty_value_of_an_extended_header_takes_the_earlier_back() -> None:
    data = make.pax((b"path", b"one"), (b"path", b"")) + make.entry(b"two", b"1") + make.END

    assert [member.path for member in members(data)] == ["two"]


def test_sizes_may_be_binary_as_gnu_writes_them() -> None:
    field = b"\x80" + bytes(10) + b"\x03"

    assert [member.size for member in members(make.header(b"f", field) + make.padded(b"abc") + make.END)] == [3]


def test_folders_and_links_have_no_data_whatever_their_size_says() -> None:
    data = make.header(b"etc", 512, b"5") + make.entry(b"motd", b"x") + make.END

    assert [member.path for member in members(data)] == ["etc", "motd"]


def test_an_old_name_with_a_final_slash_is_a_folder() -> None:
    data = make.header(b"old/", 0, b"\0", magic=b"") + make.header(b"new", 0, b"\0", magic=b"") + make.END

    assert [member.kind for member in members(data)] == [FileKind.FOLDER, FileKind.FILE]


def test_entries_that_no_runtime_unpacks_are_passed_over() -> None:
    data = make.entry(b"volume", b"x" * 700, b"V") + make.entry(b"f", b"1") + make.END

    assert [member.path for member in members(data)] == ["f"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (make.header(b"f", b"-0000000001\0"), "no number"),
        (make.header(b"f", b"\xff" * 12), "negative"),
        (make.header(b"f", b"1_000\0"), "no number"),
        (make.header(b"f", b"0000000009\0"), "octal"),
        (make.header(b"f", 600) + bytes(512), "ends inside"),
        (make.header(b"f", 0)[:300], "ends inside a header"),
        (make.header(b"f", 0)[:-1] + b"\x01", "no header"),
        (bytes(512) + make.entry(b"f", b"1"), "lone block"),
        (b"\x7fELF" + bytes(508), "no header"),
        (make.entry(b"x", b"5 a\n", b"x") + make.entry(b"f", b"1"), "broken extended header"),
        (make.entry(b"x", b"99 path=a\n", b"x") + make.entry(b"f", b"1"), "broken extended header"),
        (make.entry(b"x", b"-9 path=a\n", b"x") + make.entry(b"f", b"1"), "broken extended header"),
        (make.pax((b"path", b"a\0b")) + make.entry(b"f", b"1"), "zero byte"),
        (make.pax((b"size", b"-3")) + make.entry(b"f", b"1"), "no number"),
        (make.header(b"x", 100, b"x") + b"12 path=a\n", "ends inside an extended header"),
    ],
)
def test_a_header_that_lies_ends_the_walk_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence):
        members(data)


def test_names_without_end_are_refused_before_they_are_read() -> None:
    with pytest.raises(LimitReached, match="bytes"):
        members(make.header(b"x", 8 << 30, b"L"))
    with pytest.raises(LimitReached, match="name of more than"):
        members(make.entry(b"@", b"n" * 5000 + b"\0", b"L") + make.entry(b"f", b"1"))


def test_an_archive_may_end_without_its_two_blocks_of_zeros() -> None:
    assert [member.path for member in members(make.entry(b"f", b"x" * 512))] == ["f"]


def test_a_checksum_of_signed_bytes_is_taken() -> None:
    block = bytearray(make.header(b"caf\xe9", 0))
    blank = bytes(block[:148]) + b" " * 8 + bytes(block[156:])
    signed = sum(byte - 256 if byte > 127 else byte for byte in blank)
    block[148:156] = b"%06o\0 " % signed

    assert [member.path for member in members(bytes(block) + make.END)] == ["caf\\xe9"]


GNU_FRAGMENTS = [(512, 3), (2048, 2)]


def gnu_sparse(real: int, fragments: list[tuple[int, int]], data: bytes) -> bytes:
    pairs = b"".join(b"%011o\0%011o\0" % fragment for fragment in fragments[:4])
    rest = {386: pairs, 482: b"\x01" if len(fragments) > 4 else b"\0", 483: b"%011o\0" % real}
    block = make.header(b"sparse", len(data), b"S", magic=b"ustar  \0", rest=rest)
    for at in range(4, len(fragments), 21):
        more = b"".join(b"%011o\0%011o\0" % fragment for fragment in fragments[at : at + 21]).ljust(504, b"\0")
        block += (more + (b"\x01" if len(fragments) > at + 21 else b"\0")).ljust(512, b"\0")
    return block + make.padded(data)


def content_of(data: bytes) -> tuple[str, bytes]:
    stream = Stream([data])
    for member in tar.walk(stream, LIMITS):
        assert member.laid_out is not None
        return member.path, member.laid_out.lay_out(stream.take(member.size))
    raise AssertionError


LAID_OUT = bytes(512) + b"abc" + bytes(1533) + b"de" + bytes(50)


@pytest.mark.parametrize(
    "data",
    [
        gnu_sparse(2100, GNU_FRAGMENTS, b"abcde"),
        make.pax(
            (b"GNU.sparse.size", b"2100"),
            (b"GNU.sparse.numblocks", b"2"),
            (b"GNU.sparse.offset", b"512"),
            (b"GNU.sparse.numbytes", b"3"),
            (b"GNU.sparse.offset", b"2048"),
            (b"GNU.sparse.numbytes", b"2"),
        )
        + make.entry(b"sparse", b"abcde"),
        make.pax(
            (b"GNU.sparse.size", b"2100"),
            (b"GNU.sparse.name", b"sparse"),
            (b"GNU.sparse.map", b"512,3,2048,2"),
        )
        + make.entry(b"GNUSparseFile.0/x", b"abcde"),
        make.pax(
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", b"sparse"),
            (b"GNU.sparse.realsize", b"2100"),
        )
        + make.entry(b"GNUSparseFile.0/x", make.padded(b"2\n512\n3\n2048\n2\n") + b"abcde"),
    ],
    ids=["old GNU", "PAX 0.0", "PAX 0.1", "PAX 1.0"],
)
def test_sparse_files_are_laid_out_in_all_four_spellings(data: bytes) -> None:
    assert content_of(data + make.END) == ("sparse", LAID_OUT)


def test_an_old_sparse_header_goes_on_in_further_blocks() -> None:
    fragments = [(at * 10, 1) for at in range(60)]

    path, content = content_of(gnu_sparse(600, fragments, b"x" * 60) + make.END)

    assert (path, content) == ("sparse", (b"x" + bytes(9)) * 60)


@pytest.mark.parametrize(
    "data",
    [
        gnu_sparse(10, [(0, 5), (3, 5)], b"abcdefghij"),
        gnu_sparse(10, [(8, 5)], b"abcde"),
        make.pax((b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"1,2,3")) + make.entry(b"f", b"ab"),
        make.pax((b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"1,-2")) + make.entry(b"f", b"ab"),
        make.pax((b"GNU.sparse.numbytes", b"10"), (b"GNU.sparse.offset", b"0")) + make.entry(b"f", b"ab"),
        make.pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")) + make.entry(b"f", b"9" * 600),
        make.pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")) + make.entry(b"f", b"5\n1\n"),
    ],
)
def test_a_map_that_lies_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        members(data + make.END)


def test_a_map_of_too_many_fragments_is_refused() -> None:
    few = Limits(fragments=10)
    version = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))

    with pytest.raises(LimitReached):
        members(gnu_sparse(10_000, [(at * 2, 1) for at in range(60)], b"x" * 60), few)
    with pytest.raises(LimitReached):
        members(make.pax(*version) + make.entry(b"f", make.padded(b"1000000\n")), few)
    with pytest.raises(LimitReached):
        members(make.pax((b"GNU.sparse.map", b",".join([b"0"] * 100))) + make.entry(b"f", b""), few)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..")
)


@given(
    st.lists(st.tuples(st.lists(names, min_size=1, max_size=5), st.binary(max_size=1500)), max_size=8),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_what_a_library_writes_is_read_back(files: list[tuple[list[str], bytes]], form: int) -> None:
    written: dict[str, bytes] = {}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as out:
        for parts, data in files:
            name = "/".join(parts)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            try:
                out.addfile(member, io.BytesIO(data))
            except ValueError:  # too long for the old form
                continue
            written[name] = data

    assert bodies(buffer.getvalue()) == written


@given(
    st.lists(st.one_of(st.binary(max_size=600), st.just(make.entry(b"f", b"x" * 600)), st.just(make.END)), max_size=6)
)
def test_any_bytes_end_in_members_or_in_a_sentence(parts: list[bytes]) -> None:
    found = outcome(lambda: members(b"".join(parts)))

    assert found if isinstance(found, str) else all(not member.path.startswith("/") for member in found)


@given(st.data())
def test_any_change_of_a_header_ends_in_members_or_in_a_sentence(data: st.DataObject) -> None:
    block = bytearray(make.header(b"GNUSparse", 100, b"S", magic=b"ustar  \0", prefix=b"x"))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    whole = make.sealed(bytes(block)) + data.draw(st.binary(max_size=1200)) + make.END

    found = outcome(lambda: members(whole))

    assert found if isinstance(found, str) else all(".." not in member.path.split("/") for member in found)
