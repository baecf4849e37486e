"""Go and Rust programs in every form: what the linkers put in, and what liars put there."""

import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.vulnerability import Package
from appliance.scan.detectors import go, rust
from tests.scan.outcome import gathered
from tests.scan.program_bytes import ADDRESS, elf, mach_o, pe

MODULES = (
    "path\texample.com/app\n"
    "mod\texample.com/app\t(devel)\t\n"
    "dep\tgithub.com/a/b\tv1.2.3\th1:x=\n"
    "dep\tgithub.com/c/d\tv2.0.0\n"
    "=>\tgithub.com/fork/d\tv2.0.1\th1:y=\n"
    "dep\tgithub.com/e/f\tv3.0.0\n"
    "=>\t./local\t\n"
    "build\t-compiler=gc\n"
)
EXPECTED = [
    ("stdlib", "v1.22.3"),
    ("example.com/app", ""),
    ("github.com/a/b", "v1.2.3"),
    ("github.com/fork/d", "v2.0.1"),
    ("github.com/e/f", "v3.0.0"),
]
MARKED = b"\x30" * 16 + MODULES.encode() + b"\xf9" * 16


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def inline(toolchain: bytes = b"go1.22.3", modules: bytes = MARKED) -> bytes:
    """The information as Go 1.18 and later write it."""
    head = b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16)
    return head + varint(len(toolchain)) + toolchain + varint(len(modules)) + modules


def pointed(size: int, order: str) -> bytes:
    """The information as earlier ones wrote it: pointers to string headers that point to the text."""
    form = f"{order}{'QQ' if size == 8 else 'II'}"
    toolchain = b"go1.13.15"
    headers_at = ADDRESS + 64
    text_at = headers_at + 4 * size
    head = b"\xff Go buildinf:" + bytes([size, 1 if order == ">" else 0])
    head += struct.pack(form, headers_at, headers_at + 2 * size)
    headers = struct.pack(form, text_at, len(toolchain)) + struct.pack(form, text_at + len(toolchain), len(MARKED))
    return head.ljust(64, b"\0") + headers + toolchain + MARKED


def modules(content: bytes) -> list[tuple[str, str]]:
    found, sentence = gathered(go.read("bin/app", content))
    assert not sentence
    return [(fact.name, fact.version) for fact in found if isinstance(fact, Package)]


@pytest.mark.parametrize("form", [elf, pe, mach_o])
def test_go_modules_are_read_from_every_form_of_program(form: Callable[[bytes], bytes]) -> None:
    assert modules(form(inline())) == EXPECTED


@pytest.mark.parametrize(
    "content",
    [
        elf(pointed(8, "<")),
        elf(pointed(8, ">"), order=">"),
        elf(pointed(4, "<"), wide=False),
        elf(pointed(4, ">"), wide=False, order=">"),
        pe(pointed(8, "<")),
        mach_o(pointed(8, "<")),
    ],
)
def test_older_go_programs_point_to_their_modules(content: bytes) -> None:
    assert modules(content) == [("stdlib", "v1.13.15"), *EXPECTED[1:]]


def test_the_magic_bytes_in_the_code_of_a_program_are_passed_over() -> None:
    decoy = b"\xff Go buildinf:".ljust(32, b"\x02") + bytes(16)

    assert modules(elf(decoy + inline())) == EXPECTED


@pytest.mark.parametrize(
    ("toolchain", "version"),
    [(b"go1.20.4 X:boringcrypto", "v1.20.4"), (b"go1.23rc2", "v1.23rc2"), (b"go1.21", "v1.21")],
)
def test_the_standard_library_has_the_version_of_the_toolchain(toolchain: bytes, version: str) -> None:
    assert modules(elf(inline(toolchain)))[0] == ("stdlib", version)


def test_a_toolchain_in_development_has_no_version_to_judge() -> None:
    assert [name for name, _ in modules(elf(inline(b"devel go1.24-abc")))] == [name for name, _ in EXPECTED[1:]]


def test_programs_of_other_languages_have_no_modules() -> None:
    assert modules(elf(b"int main")) == []
    assert modules(b"\x7fELF") == []
    assert modules(elf(b"\xff Go buildinf:")) == []


AUDIT = b"""{"packages": [
    {"name": "app", "version": "0.1.0", "source": "local", "root": true},
    {"name": "serde", "version": "1.0.2", "source": "crates.io"},
    {"name": "cc", "version": "1.0.1", "kind": "build"}
]}"""


def crates(content: bytes) -> tuple[list[tuple[str, str]], str]:
    found, sentence = gathered(rust.read("bin/app", content))
    return [(fact.name, fact.version) for fact in found if isinstance(fact, Package)], sentence


@pytest.mark.parametrize("form", [elf, pe, mach_o])
def test_rust_crates_are_read_from_every_form_of_program(form: Callable[[bytes, bytes], bytes]) -> None:
    assert crates(form(zlib.compress(AUDIT), b".dep-v0")) == ([("app", "0.1.0"), ("serde", "1.0.2")], "")


def test_rust_crates_that_are_broken_or_a_bomb_are_told() -> None:
    assert "broken" in crates(elf(b"text", b".dep-v0"))[1]
    assert "JSON" in crates(elf(zlib.compress(b"text"), b".dep-v0"))[1]
    assert "inflates to more" in crates(elf(zlib.compress(bytes(32 << 20)), b".dep-v0"))[1]
    assert crates(elf(b"", b".dep-v0")) == ([], "")


SAMPLES = [
    elf(inline()),
    elf(pointed(8, "<")),
    elf(pointed(4, ">"), wide=False, order=">"),
    pe(inline()),
    mach_o(pointed(8, "<")),
]
SAMPLES += [form(zlib.compress(AUDIT), b".dep-v0") for form in (elf, pe, mach_o)]


@given(st.sampled_from(SAMPLES), st.data())
def test_any_change_of_a_program_ends_in_packages_or_in_a_sentence(sample: bytes, data: st.DataObject) -> None:
    content = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(4, len(content)))])

    for read in (go.read, rust.read):
        found, sentence = gathered(read("bin/app", cut))
        assert sentence or all(isinstance(fact, Package) for fact in found)


@given(
    st.sampled_from([b"\x7fELF\x02\x01", b"\x7fELF\x01\x02", b"MZ", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce"]),
    st.binary(max_size=400),
)
def test_any_bytes_end_in_packages_or_in_a_sentence(head: bytes, rest: bytes) -> None:
    for read in (go.read, rust.read):
        found, sentence = gathered(read("bin/app", head + rest + b"\xff Go buildinf:\x08\x00" + rest))
        assert sentence or all(isinstance(fact, Package) for fact in found)
