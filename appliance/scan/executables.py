"""Programs in ELF, PE and Mach-O form: which bytes of the file stand at an address, and what a section holds.

Specs: System V ABI, "Object Files"; Microsoft, "PE Format"; Apple, "Mach-O File Format Reference".
"""

import struct
from collections.abc import Iterator

import msgspec

from appliance.scan.limits import Unreadable

ELF = b"\x7fELF"
PE = b"MZ"
MACH_O = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")

_MOST = 4096  # segments, sections or commands that are looked at


class Span(msgspec.Struct, frozen=True):
    """A run of bytes: `address` when loaded, `offset` in the file, `size` in the file; `name` where it is a section."""

    address: int
    offset: int
    size: int
    name: bytes = b""


def segments(content: bytes) -> list[Span]:
    """Return what is loaded from the file, by address. Raises Unreadable."""
    try:
        if content.startswith(ELF):
            return list(_elf(content, wants_sections=False))
        if content.startswith(PE):
            return list(_pe(content))
        return list(_mach_o(content, wants_sections=False))
    except (struct.error, IndexError, OverflowError) as error:
        raise Unreadable("the tables of the program are cut off") from error


def section(content: bytes, name: bytes) -> bytes:
    """Return what the section `name` holds, nothing if there is none. Raises Unreadable."""
    try:
        if content.startswith(ELF):
            spans = _elf(content, wants_sections=True)
        elif content.startswith(PE):
            spans = _pe(content)
        else:
            spans = _mach_o(content, wants_sections=True)
        for span in spans:
            if span.name == name:
                return content[span.offset : span.offset + span.size]
    except (struct.error, IndexError, OverflowError) as error:
        raise Unreadable("the tables of the program are cut off") from error
    return b""


def at_address(content: bytes, spans: list[Span], address: int, size: int) -> bytes:
    """Return `size` bytes from `address` on, fewer where the file has no more."""
    for span in spans:
        if span.address <= address < span.address + span.size:
            begin = span.offset + address - span.address
            return content[begin : min(begin + size, span.offset + span.size)]
    return b""


def _elf(content: bytes, *, wants_sections: bool) -> Iterator[Span]:
    order = ">" if content[5] == 2 else "<"
    wide = content[4] == 2
    segment_at, section_at = struct.unpack_from(f"{order}QQ" if wide else f"{order}II", content, 32 if wide else 28)
    counts = struct.unpack_from(f"{order}5H", content, 54 if wide else 42)
    segment_size, segment_count, section_size, section_count, names_index = counts
    if wants_sections:
        places = [section_at + index * section_size for index in range(min(section_count, _MOST))]
        yield from _elf_sections(content, places, names_index, order, wide=wide)
        return
    for index in range(min(segment_count, _MOST)):
        at = segment_at + index * segment_size
        if wide:
            kind, _, offset, address, _, size = struct.unpack_from(f"{order}IIQQQQ", content, at)
        else:
            kind, offset, address, _, size = struct.unpack_from(f"{order}5I", content, at)
        if kind == 1:  # PT_LOAD
            yield Span(address, offset, size)


def _elf_sections(content: bytes, places: list[int], names_index: int, order: str, *, wide: bool) -> Iterator[Span]:
    spans: list[tuple[int, Span]] = []
    for at in places:
        if wide:
            name, _, _, address, offset, size = struct.unpack_from(f"{order}IIQQQQ", content, at)
        else:
            name, _, _, address, offset, size = struct.unpack_from(f"{order}6I", content, at)
        spans.append((name, Span(address, offset, size)))
    if names_index >= len(spans):
        return
    names = spans[names_index][1]
    for name, span in spans:
        begin = names.offset + name
        text = content[begin : begin + 64].partition(b"\0")[0]
        yield Span(span.address, span.offset, span.size, text)


def _pe(content: bytes) -> Iterator[Span]:
    (header,) = struct.unpack_from("<I", content, 60)
    if content[header : header + 4] != b"PE\0\0":
        return
    (count,) = struct.unpack_from("<H", content, header + 6)
    optional_size, _, magic = struct.unpack_from("<HHH", content, header + 20)
    base_form, base_at = ("<Q", 48) if magic == 0x20B else ("<I", 52)
    (base,) = struct.unpack_from(base_form, content, header + base_at)
    for index in range(min(count, _MOST)):
        at = header + 24 + optional_size + index * 40
        name, _, address, size, offset = struct.unpack_from("<8sIIII", content, at)
        yield Span(base + address, offset, size, name.rstrip(b"\0"))


def _mach_o(content: bytes, *, wants_sections: bool) -> Iterator[Span]:
    order = ">" if content.startswith(b"\xfe\xed") else "<"
    wide = content[:4] in (b"\xfe\xed\xfa\xcf", b"\xcf\xfa\xed\xfe")
    (count,) = struct.unpack_from(f"{order}I", content, 16)
    at = 32 if wide else 28
    for _ in range(min(count, _MOST)):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        if size < 8:
            raise Unreadable("the tables of the program are broken")
        if kind == (0x19 if wide else 0x1):  # LC_SEGMENT_64, LC_SEGMENT
            form = f"{order}16sQQQQiiII" if wide else f"{order}16sIIIIiiII"
            _, address, _, offset, length, _, _, sections, _ = struct.unpack_from(form, content, at + 8)
            if not wants_sections:
                yield Span(address, offset, length)
            else:
                yield from _mach_o_sections(content, at + 8 + struct.calcsize(form), sections, order, wide=wide)
        at += size


def _mach_o_sections(content: bytes, at: int, count: int, order: str, *, wide: bool) -> Iterator[Span]:
    form = f"{order}16s16sQQI" if wide else f"{order}16s16sIII"
    step = 80 if wide else 68
    for index in range(min(count, _MOST)):
        name, _, address, size, offset = struct.unpack_from(form, content, at + index * step)
        yield Span(address, offset, size, name.rstrip(b"\0"))
