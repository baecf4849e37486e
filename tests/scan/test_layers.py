"""A whole layer: its index, its whiteouts, its links, and what happens at each limit."""

import gzip
import hashlib
from collections.abc import Iterator

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.layer import FileEntry, FileKind, LayerContents
from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import rules
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.detectors import INSTALLED, apk
from appliance.scan.layers import read_layer
from appliance.scan.limits import LimitReached, Limits, Unreadable
from appliance.scan.secrets import SecretSearch
from tests.make import layers as make
from tests.scan import tar_bytes

APK = b"P:musl\nV:1.2.3-r4\nA:x86_64\n\n"
INSTALLED_DB = "lib/apk/db/installed"
SEARCH = SecretSearch(rules.ALL)


def read(
    data: bytes,
    limits: Limits | None = None,
    detectors: tuple[Detector, ...] = INSTALLED,
    again: frozenset[str] = frozenset(),
) -> LayerContents:
    return read_layer([data], detectors, SEARCH, limits or Limits(), again)


def names(contents: LayerContents) -> list[str]:
    return [package.name for reading in contents.readings for package in reading.packages]


def listing(path: str, content: bytes) -> Iterator[Fact]:
    """A detector's read that believes every line to be a package."""
    for line in content.decode().split():
        if line == "broken":
            raise Unreadable("a broken line")
        if line == "memory":
            raise MemoryError
        if line == "deep":
            raise RecursionError("too deep")
        yield Package(Ecosystem.NPM, line, "1", found_in=path)


LISTING = Detector("listing", version=3, wants=Wants(endings=(".lst",)), read=listing)


def test_the_index_holds_each_file_with_size_mode_kind_and_digest() -> None:
    data = make.tar(
        {
            "bin/run": make.executable(b"#!/bin/sh\n"),
            "etc": make.folder(),
            "etc/motd": b"hello",
            "etc/link": make.link("motd"),
            "empty": b"",
        }
    )

    contents = read(gzip.compress(data))

    assert contents.files == (
        FileEntry("bin/run", FileKind.FILE, 10, 0o755, hashlib.sha256(b"#!/bin/sh\n").digest(), is_searched=True),
        FileEntry("etc", FileKind.FOLDER, 0, 0o755),
        FileEntry("etc/motd", FileKind.FILE, 5, 0o644, hashlib.sha256(b"hello").digest()),
        FileEntry("etc/link", FileKind.SYMLINK, 0, 0o777, target="motd"),
        FileEntry("empty", FileKind.FILE, 0, 0o644, hashlib.sha256().digest()),
    )
    assert contents.diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (contents.size, contents.limits) == (len(data), ())


def test_contents_go_through_a_pipe_unchanged() -> None:
    contents = read(make.tar({INSTALLED_DB: APK, ".wh.gone": b"", "root/key": b"AKIA" + b"B" * 16 + b"\n"}))

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(contents), type=LayerContents) == contents


def test_whiteouts_are_kept_apart_from_files() -> None:
    data = make.tar(
        {
            "a/.wh.b": b"",
            ".wh.top": b"",
            "c/.wh..wh..opq": b"",
            ".wh..wh..opq": b"",
            "d/.wh..wh.plnk": b"a note of a union file system",
            "d/.wh.": b"",
            "d/.wh...": b"",
            "d/x": b"1",
        }
    )

    contents = read(data)

    assert contents.whiteouts == ("a/b", "top")
    assert contents.opaque == ("c", "")
    assert [entry.path for entry in contents.files] == ["d/x"]


def test_a_name_that_comes_twice_counts_as_it_was_last() -> None:
    contents = read(tar_bytes.entry(INSTALLED_DB.encode(), APK) + tar_bytes.entry(INSTALLED_DB.encode(), b""))

    assert names(contents) == []
    assert [entry.size for entry in contents.files] == [0]


def test_a_hard_link_has_the_size_and_digest_of_its_file() -> None:
    data = make.tar(
        {
            "a": b"hello",
            "b": make.Entry(kind=b"1", target="a"),
            "c": make.Entry(kind=b"1", target="b"),
        }
    )

    contents = read(data)

    digest = hashlib.sha256(b"hello").digest()
    assert contents.files[1:] == (
        FileEntry("b", FileKind.HARD_LINK, 5, 0o644, digest, "a"),
        FileEntry("c", FileKind.HARD_LINK, 5, 0o644, digest, "a"),
    )


def test_a_database_behind_a_hard_link_is_read_in_a_second_pass() -> None:
    data = make.tar({"some/file": APK, INSTALLED_DB: make.Entry(kind=b"1", target="some/file")})

    first = read(data)
    second = read(data, again=frozenset(first.reread))

    assert first.reread == ("some/file",)
    assert first.limits == (
        f"{INSTALLED_DB} is a hard link to some/file, which had passed unread: read the layer again",
    )
    assert names(second) == ["musl"]
    assert (second.limits, second.reread) == ((), ())


def test_a_large_file_behind_a_hard_link_is_kept_as_well() -> None:
    body = APK + b"\n" * (3 << 20)
    data = make.tar({"some/file": body, INSTALLED_DB: make.Entry(kind=b"1", target="some/file")})

    contents = read(data, again=frozenset({"some/file"}))

    assert names(contents) == ["musl"]


def test_a_hard_link_to_what_its_detector_has_read_needs_no_second_pass() -> None:
    data = make.tar(
        {
            "x/package.json": b'{"name":"a","version":"1"}',
            "y/package.json": make.Entry(kind=b"1", target="x/package.json"),
        }
    )

    contents = read(data)

    assert (contents.reread, contents.limits) == ((), ())


def test_a_hard_link_out_of_its_layer_is_told_if_somebody_wanted_it() -> None:
    data = make.tar(
        {INSTALLED_DB: make.Entry(kind=b"1", target="elsewhere"), "other": make.Entry(kind=b"1", target="elsewhere")}
    )

    contents = read(data)

    assert contents.limits == (f"{INSTALLED_DB} is a hard link to elsewhere, which is not in its layer before it",)


@pytest.mark.parametrize("size", [5, 1 << 20, (1 << 20) + 1, (3 << 20) + 7])
def test_files_of_any_size_are_digested_and_read(size: int) -> None:
    body = b"package\n" + b"\n" * (size - 8) if size > 8 else b"short"
    data = make.tar({"before": b"1", "a.lst": body, "after": b"2"})

    contents = read(data, detectors=(LISTING,))

    assert [entry.sha256 for entry in contents.files] == [hashlib.sha256(each).digest() for each in (b"1", body, b"2")]
    assert names(contents) == [body.decode().strip()]


def test_sparse_files_are_read_as_what_they_would_be() -> None:
    fields = {386: b"%011o\0%011o\0" % (512, len(APK)), 483: b"%011o\0" % (512 + len(APK))}
    data = tar_bytes.header(INSTALLED_DB.encode(), len(APK), b"S", magic=b"ustar  \0", rest=fields) + tar_bytes.padded(
        APK
    )

    contents = read(data + tar_bytes.END, detectors=(apk.DETECTOR,))

    assert contents.files[0].sha256 == hashlib.sha256(bytes(512) + APK).digest()
    assert contents.files[0].size == 512 + len(APK)


def test_a_sparse_bomb_is_passed_and_told_only_if_somebody_wanted_it() -> None:
    huge = {386: b"%011o\0%011o\0" % (1 << 30, 3), 483: b"%011o\0" % (8 << 30)}
    program = {386: b"%011o\0%011o\0" % (0, 4), 483: b"%011o\0" % (8 << 30)}
    data = b"".join(
        tar_bytes.header(name, len(body), b"S", magic=b"ustar  \0", rest=fields) + tar_bytes.padded(body)
        for name, body, fields in (
            (b"var/log/lastlog", b"abc", huge),
            (INSTALLED_DB.encode(), b"abc", huge),
            (b"bin/run", b"\x7fELF", program),
        )
    )

    contents = read(data + tar_bytes.END)

    assert contents.limits == (
        f"{INSTALLED_DB} is a sparse file of {8 << 30} bytes: not read",
        f"bin/run is a sparse file of {8 << 30} bytes: not read",
    )
    assert [(entry.size, entry.sha256) for entry in contents.files] == [(8 << 30, b"")] * 3


def test_a_layer_that_breaks_off_keeps_what_came_before() -> None:
    whole = make.tar({INSTALLED_DB: APK, "big": bytes(range(256)) * 20_000})
    packed = gzip.compress(whole)

    contents = read(packed[: len(packed) // 2])

    assert names(contents) == ["musl"]
    assert contents.diff_id is None
    assert contents.limits == ("the gzip form of the layer ends too early",)


def test_a_broken_tar_in_a_sound_stream_still_has_its_diff_id() -> None:
    data = tar_bytes.entry(INSTALLED_DB.encode(), APK) + b"\xff" * 512

    contents = read(data)

    assert contents.diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert len(contents.limits) == 1
    assert names(contents) == ["musl"]


def test_a_file_that_breaks_off_is_told() -> None:
    data = tar_bytes.header(b"a.lst", 3 << 20) + b"x" * (2 << 20)

    assert read(data).limits == ("the tar ends inside a.lst",)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(members=2), "more than 2 entries"),
        (Limits(names=10), "longer than 10 characters together"),
        (Limits(packages=2), "more than 2 packages"),
        (Limits(readings=1), "more than 1 package descriptions"),
        (Limits(raw=2048), "more than 2048 bytes"),
        (Limits(body=4), "the limit is 4"),
    ],
)
def test_every_limit_ends_in_its_sentence(limits: Limits, sentence: str) -> None:
    large = b"one two three\n" * 100_000
    data = make.tar({"a.lst": b"one two", "b.lst": b"three four", "c.lst": large})

    contents = read(data, limits, (LISTING,))

    assert any(sentence in limit for limit in contents.limits), contents.limits


def test_secrets_without_end_stop_the_search_and_not_the_reading() -> None:
    lines = b"".join(b"AKIA%016d\n" % number for number in range(50))
    data = make.tar({"a": lines, "b": lines, "c.lst": b"one"})

    contents = read(data, Limits(secrets=20), (LISTING,))

    assert contents.limits == ("the layer has more than 20 secrets: the rest was not searched for any",)
    assert [entry.is_searched for entry in contents.files] == [True, False, False]
    assert names(contents) == ["one"]


def test_what_a_detector_cannot_read_is_told_and_what_it_read_before_is_kept() -> None:
    essential = msgspec.structs.replace(LISTING, is_essential=True)
    data = make.tar({"a.lst": b"one broken two", "b.lst": b"three", "c.lst": b"memory", "d.lst": b"deep"})

    lenient, strict = read(data, detectors=(LISTING,)), read(data, detectors=(essential,))

    assert names(lenient) == names(strict) == ["one", "three"]
    assert lenient.unreadable == ("a.lst: a broken line", "d.lst: too deep")
    assert lenient.limits == ("c.lst: the memory was too small to read it",)
    assert "a.lst: a broken line" in strict.limits


def test_sentences_are_counted_not_piled_up() -> None:
    data = make.tar({f"{number}.lst": b"broken" for number in range(300)})

    contents = read(data, detectors=(LISTING,))

    assert len(contents.unreadable) == Limits().sentences + 1
    assert contents.unreadable[-1] == "and more of the kind"


def test_a_reading_names_its_detector_and_its_version() -> None:
    contents = read(make.tar({"a.lst": b"one"}), detectors=(LISTING,))

    assert [(reading.path, reading.detector, reading.version) for reading in contents.readings] == [
        ("a.lst", "listing", 3)
    ]


def test_a_file_is_read_by_its_name_and_by_its_first_bytes() -> None:
    seen: list[str] = []

    def note(path: str, _content: bytes) -> Iterator[Fact]:
        seen.append(path)
        yield from ()

    by_head = Detector("head", version=1, wants=Wants(heads=(b"\x7fELF",)), read=note)
    read(make.tar({"a.lst": b"\x7fELF", "b": b"\x7fELF", "c": b"text", "d": b""}), detectors=(LISTING, by_head))

    assert seen == ["a.lst", "b"]


def test_a_detector_that_takes_large_files_is_given_them() -> None:
    takes_large = msgspec.structs.replace(LISTING, takes_large=True)
    data = make.tar({"a.lst": b"one\n" + b"\n" * (2 << 20)})
    few = Limits(body=1 << 20)

    assert names(read(data, few, (takes_large,))) == ["one"]
    assert names(read(data, few, (LISTING,))) == []


def test_a_limit_of_one_detector_is_a_limit_of_the_layer() -> None:
    def refuse(_path: str, _content: bytes) -> Iterator[Fact]:
        yield from ()
        raise LimitReached("too much")

    detector = Detector("refusing", version=1, wants=Wants(names=frozenset({"f"})), read=refuse)

    assert read(make.tar({"d/f": b"1"}), detectors=(detector,)).limits == ("d/f: too much",)


SAMPLE = make.tar(
    {
        "etc/os-release": b"ID=alpine\nVERSION_ID=3.19.1\n",
        INSTALLED_DB: APK,
        "app/.wh.x": b"",
        "app/package.json": b'{"name":"a","version":"1"}',
        "app/link": make.Entry(kind=b"1", target="app/package.json"),
        "n" * 150: b"token: ghp_" + b"a" * 36,
    }
)


@given(st.sampled_from([SAMPLE, gzip.compress(SAMPLE), zstandard.compress(SAMPLE)]), st.data())
def test_any_change_of_a_layer_ends_in_contents(sample: bytes, data: st.DataObject) -> None:
    changed = bytearray(sample)
    for _ in range(data.draw(st.integers(0, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(changed[: data.draw(st.integers(0, len(changed)))])

    contents = read(cut)

    assert all(entry.path and ".." not in entry.path.split("/") for entry in contents.files)
    assert contents.diff_id or contents.limits


@given(st.integers(1, 600), st.sampled_from([SAMPLE, gzip.compress(SAMPLE), zstandard.compress(SAMPLE)]))
def test_a_layer_gives_the_same_however_it_is_cut(step: int, sample: bytes) -> None:
    chunks = (sample[at : at + step] for at in range(0, len(sample), step))

    assert read_layer(chunks, INSTALLED, SEARCH, Limits()) == read(SAMPLE)
