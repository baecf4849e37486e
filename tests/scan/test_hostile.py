"""Layers made to harm whoever reads them. Each is read in a process with little memory and little CPU time.

What must come of it: a result, in time, that says what was not read.
"""

import contextlib
import gzip
import io
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from appliance.domain.layer import LayerContents
from tests.scan import tar_bytes as make

MEMORY = 1 << 30  # bytes of address space, the interpreter's own 200 MB included
CPU = 40  # seconds; the slowest below takes about 10 on the slowest machine at hand

READER = """
import sys, msgspec
from appliance.scan import rules
from appliance.scan.detectors import INSTALLED
from appliance.scan.layers import read_layer
from appliance.scan.limits import Limits
from appliance.scan.secrets import SecretSearch

chunks = iter(lambda: sys.stdin.buffer.read(1 << 16), b"")
contents = read_layer(chunks, INSTALLED, SecretSearch(rules.ALL), Limits())
sys.stdout.buffer.write(msgspec.msgpack.encode(contents))
"""

Blocks = Iterator[bytes]


def bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))


def read(blocks: Blocks) -> LayerContents:
    """Return what the bounded process makes of the layer; it must end by itself and without a word of complaint."""
    with subprocess.Popen(
        [sys.executable, "-c", READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        preexec_fn=bounded,  # noqa: PLW1509  because no thread runs here
    ) as reader:
        assert reader.stdin
        with contextlib.suppress(BrokenPipeError):  # it stops at the first limit that it cannot go past
            for block in blocks:
                reader.stdin.write(block)
        with contextlib.suppress(BrokenPipeError):
            reader.stdin.close()
        assert reader.stdout
        assert reader.stderr
        answer, complaint = reader.stdout.read(), reader.stderr.read()
    assert (reader.returncode, complaint) == (0, b"")
    return msgspec.msgpack.decode(answer, type=LayerContents)


def path_escape() -> Blocks:
    yield make.entry(b"../../../../etc/passwd", b"root::0:0::/:/bin/sh\n")
    yield make.entry(b"/abs/../../x", b"1")
    yield make.entry(b"a/" + b"../" * 30 + b"y", b"1")
    yield make.END


def symlink_loops() -> Blocks:
    for number in range(2000):
        yield make.entry(b"loop%d" % number, b"", b"2", b"loop%d" % ((number + 1) % 2000))
    yield make.entry(b"lib/apk/db", b"", b"2", b"../../loop0")
    yield make.entry(b"self", b"", b"1", b"self")
    yield make.entry(b"lib/apk/db/installed", b"", b"1", b"lib/apk/db/installed")
    yield make.END


def devices() -> Blocks:
    for kind in (b"3", b"4", b"6"):
        yield make.header(b"dev/" + kind, 1 << 30, kind)
    yield make.header(b"dev/mem", 0, b"3", rest={329: b"7777777\0", 337: b"7777777\0"})
    yield make.END


def a_million_empty_entries() -> Blocks:
    for thousand in range(1000):
        yield b"".join(make.header(b"%d/%d" % (thousand, number), 0) for number in range(1000))
    yield make.END


def the_same_entry_a_million_times() -> Blocks:
    block = make.entry(b"app/package.json", b'{"name":"a","version":"1"}') * 1000
    for _ in range(300):
        yield block


def names_of_a_mebibyte() -> Blocks:
    name = b"n" * ((1 << 20) - 1) + b"\0"
    for _ in range(50):
        yield make.entry(b"././@LongLink", name, b"L") + make.entry(b"f", b"1")


def attributes_without_end() -> Blocks:
    yield make.header(b"pax", 8 << 30, b"x")
    yield from (b"20 comment=xxxxxxxxx\n" * 3000 for _ in range(100))


def many_attributes() -> Blocks:
    block = make.pax(*((b"k%d" % number, b"v") for number in range(30_000))) + make.entry(b"f", b"1")
    for _ in range(40):
        yield block


def negative_sizes() -> Blocks:
    yield make.entry(b"before", b"1")
    yield make.header(b"f", b"\xff" * 12)
    yield make.header(b"f", b"-0000000100\0")


def sizes_past_the_end() -> Blocks:
    yield make.header(b"lib/apk/db/installed", b"\x80" + b"\x7f" * 11) + b"P:a\nV:1\n"


def sparse_bombs() -> Blocks:
    for number in range(300):
        fields = {386: b"%011o\0%011o\0" % (0, 512), 483: b"\x80" + bytes(4) + b"\x7f" * 7}
        yield make.header(b"a%d.jar" % number, 512, b"S", magic=b"ustar  \0", rest=fields) + bytes(512)
    for number in range(300):
        fields = {386: b"%011o\0%011o\0" % (0, 512), 483: b"%011o\0" % (60 << 20)}
        yield make.header(b"b%d.jar" % number, 512, b"S", magic=b"ustar  \0", rest=fields) + bytes(512)
    yield make.END


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return buffer.getvalue()


def nested_bombs() -> Blocks:
    inner = zipped({"zeros.jar": bytes(200 << 20)})
    for _ in range(4):
        inner = zipped({f"{number}.jar": inner for number in range(16)})
    for number in range(20):
        yield make.entry(b"app/%d.jar" % number, inner)
    yield make.END


def directories_without_end() -> Blocks:
    jar = zipped({"a": b""})
    begin, end = jar.rindex(b"PK\x01\x02"), jar.rindex(b"PK\x05\x06")
    many = jar[begin:end] * 400_000
    last = bytearray(jar[end:])
    struct.pack_into("<II", last, 12, len(many), begin)
    yield make.entry(b"app.jar", jar[:begin] + many + bytes(last))
    yield make.END


def a_gzip_bomb() -> Blocks:
    packer = gzip.zlib.compressobj(9, gzip.zlib.DEFLATED, 31)  # type: ignore[attr-defined]  # because it is there
    yield packer.compress(make.header(b"zeros", 7 << 30))
    for _ in range(1024):
        yield packer.compress(bytes(1 << 20))
    yield packer.flush()


def a_zstd_window() -> Blocks:
    frame = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=31, hash_log=10, chain_log=10)
    ).compressobj()
    yield frame.compress(make.entry(b"f", b"1"))
    yield frame.flush()


def a_zstd_bomb() -> Blocks:
    yield zstandard.ZstdCompressor(level=19).compress(make.header(b"zeros", 4 << 30) + bytes(256 << 20)) * 8


def json_without_end() -> Blocks:
    yield make.entry(b"a/package.json", b'{"license":' + b"[" * (8 << 20))
    yield make.entry(b"b/package.json", b'{"version":' + b"9" * (8 << 20))
    yield make.entry(b"c/installed.json", b"[" + b'{"name":"a","version":"1"},' * 700_000)
    yield make.entry(b"d.deps.json", b'{"libraries":{' + b'"a":{},' * (1 << 20))
    yield make.END


def packages_without_end() -> Blocks:
    yield make.entry(
        b"c/installed.json", b"[" + b",".join(b'{"name":"n%d","version":"1"}' % n for n in range(400_000)) + b"]"
    )
    yield make.entry(b"lib/apk/db/installed", b"P:a\nV:1\n\n" * 1_000_000)
    yield make.entry(b"var/lib/dpkg/status", b"Package: a\nVersion: 1\n\n" * 500_000)
    yield make.END


def text_that_pleases_every_pattern() -> Blocks:
    yield make.entry(b"etc/a", b"AKIA" * (4 << 20))
    yield make.entry(b"etc/b", b"-----BEGIN RSA PRIVATE KEY-----\nA: b\n" * 300_000)
    yield make.entry(b"etc/c", (b"ghp_" + b"a" * 36 + b" ") * 300_000)
    yield make.entry(b"etc/d", b"eyJ" * (2 << 20) + b"." + b"eyJ" * (2 << 20))
    yield make.entry(b"a.gemspec", b"s.name = " * (1 << 20))
    yield make.entry(b"x/specifications/a.gemspec", b".licenses = " * (1 << 20))
    yield make.entry(b"packages.config", b"<package " * (1 << 20))
    yield make.entry(b"usr/share/doc/a/copyright", b"License: " * (1 << 20) + b"and or " * (1 << 20))
    yield make.entry(b"x.dist-info/METADATA", b"Name: \t " * (1 << 20))
    for place, name in (
        (b"y.dist-info/METADATA", b"License: a"),
        (b"var/lib/dpkg/status", b"Package: a"),
        (b"usr/share/doc/b/copyright", b"License: a"),
        (b"lib/apk/db/installed", b"P:a\nV:1\nL:a"),
        (b"b/package.json", b'{"name":"a","version":"1","license":"'),
        (b"root/buildinfo/Dockerfile-a-1-2", b"architecture"),
    ):
        yield make.entry(place, name + b" " * (4 << 20) + b'x"}')
    yield make.END


def programs_that_point_at_themselves() -> Blocks:
    head = b"\x7fELF\x02\x01" + bytes(26) + struct.pack("<QQ", 0, 0) + b"\xff" * 14
    yield make.entry(b"bin/a", head + b"\xff Go buildinf:\x08\x02" * (1 << 20))
    yield make.entry(b"bin/b", head + b"\xff Go buildinf:\x08\x00" * (1 << 20))
    yield make.END


def databases_that_repeat_themselves() -> Blocks:
    sqlite = bytearray(b"SQLite format 3\0" + struct.pack(">H", 512) + bytes(82)).ljust(512, b"\0")
    sqlite[100:112] = struct.pack(">BHHHBI", 5, 0, 180, 0, 0, 1)
    yield make.entry(b"var/lib/rpm/rpmdb.sqlite", bytes(sqlite) * 20_000)
    page = struct.pack("<8x4s4xI", b"\0\0\0\1", 7) + struct.pack("<HH", 240, 0) + b"\0\x0d"
    page += struct.pack("<240H", *([500] * 240))
    page = page.ljust(500, b"\0") + struct.pack("<B3xII", 3, 1, 1 << 20)
    meta = bytearray(512)
    struct.pack_into("<III", meta, 12, 0x061561, 9, 512)
    struct.pack_into("<I", meta, 32, 19_999)
    yield make.entry(b"var/lib/rpm/Packages", bytes(meta) + page * 19_999)
    ndb = b"RpmP" + struct.pack("<III", 0, 0, 2000) + bytes(16) + b"Slot" + struct.pack("<III", 1, 1, 1 << 19)
    yield make.entry(
        b"usr/lib/sysimage/rpm/Packages.db", ndb + (b"Slot" + struct.pack("<III", 1, 2, 1 << 19)) * (1 << 19)
    )
    yield make.END


PARTIAL: list[Callable[[], Blocks]] = [
    names_of_a_mebibyte,
    attributes_without_end,
    negative_sizes,
    sizes_past_the_end,
    sparse_bombs,
    nested_bombs,
    a_gzip_bomb,
    a_zstd_window,
    a_zstd_bomb,
    packages_without_end,
    json_without_end,
    text_that_pleases_every_pattern,
    databases_that_repeat_themselves,
    symlink_loops,
    the_same_entry_a_million_times,
]
WHOLE: list[Callable[[], Blocks]] = [
    path_escape,
    devices,
    a_million_empty_entries,
    many_attributes,
    directories_without_end,
    programs_that_point_at_themselves,
]


@pytest.mark.parametrize("blocks", PARTIAL)
def test_what_cannot_be_read_is_told(blocks: Callable[[], Blocks]) -> None:
    contents = read(blocks())

    assert contents.limits
    assert all(len(sentence) < 5000 for sentence in contents.limits)


@pytest.mark.parametrize("blocks", WHOLE)
def test_what_only_looks_dangerous_is_read(blocks: Callable[[], Blocks]) -> None:
    contents = read(blocks())

    assert contents.limits == ()
    assert contents.diff_id
    assert blocks is not a_million_empty_entries or len(contents.files) == 1_000_000


def test_nothing_points_outside_of_the_root() -> None:
    assert [entry.path for entry in read(path_escape()).files] == ["etc/passwd", "x", "y"]
