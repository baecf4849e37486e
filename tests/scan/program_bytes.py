"""Small ELF, PE and Mach-O files with one section that is also loaded at an address."""

import struct

ADDRESS = 0x400000
DATA_AT = 0x200  # where the section begins in each of the files


def elf(data: bytes, name: bytes = b".go.buildinfo", *, wide: bool = True, order: str = "<") -> bytes:
    """Return an ELF file whose section `name` holds `data`."""
    names = b"\0" + name + b"\0.shstrtab\0"
    size = len(data)
    names_at = DATA_AT + size
    sections_at = names_at + len(names)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    if wide:
        head = struct.pack(f"{order}HHIQQQIHHHHHH", 2, 62, 1, 0, 64, sections_at, 0, 64, 56, 1, 64, 3, 2)
        segment = struct.pack(f"{order}IIQQQQQQ", 1, 5, DATA_AT, ADDRESS, ADDRESS, size, size, 4096)
        section = struct.Struct(f"{order}IIQQQQIIQQ")
    else:
        head = struct.pack(f"{order}HHIIIIIHHHHHH", 2, 3, 1, 0, 52, sections_at, 0, 52, 32, 1, 40, 3, 2)
        segment = struct.pack(f"{order}IIIIIIII", 1, DATA_AT, ADDRESS, ADDRESS, size, size, 5, 4096)
        section = struct.Struct(f"{order}IIIIIIIIII")
    table = section.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    table += section.pack(1, 1, 2, ADDRESS, DATA_AT, size, 0, 0, 1, 0)
    table += section.pack(2 + len(name), 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    return (ident + head + segment).ljust(DATA_AT, b"\0") + data + names + table


def pe(data: bytes, name: bytes = b".data") -> bytes:
    """Return a 64-bit PE file whose section `name` holds `data`."""
    optional = struct.pack("<H", 0x20B).ljust(24, b"\0") + struct.pack("<Q", ADDRESS - 0x1000)
    header = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22)
    section = struct.pack("<8sIIIIIIHHI", name, len(data), 0x1000, len(data), DATA_AT, 0, 0, 0, 0, 0)
    return (b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + header + optional + section).ljust(DATA_AT, b"\0") + data


def mach_o(data: bytes, name: bytes = b"__data") -> bytes:
    """Return a 64-bit Mach-O file whose section `name` holds `data`."""
    section = struct.pack("<16s16sQQIIIIIIII", name, b"__DATA", ADDRESS, len(data), DATA_AT, 0, 0, 0, 0, 0, 0, 0)
    segment = struct.pack("<16sQQQQiiII", b"__DATA", ADDRESS, len(data), DATA_AT, len(data), 3, 3, 1, 0)
    command = struct.pack("<II", 0x19, 8 + len(segment) + len(section)) + segment + section
    other = struct.pack("<IIQ", 0x2, 16, 0)
    head = b"\xcf\xfa\xed\xfe" + struct.pack("<IIIIIII", 0x01000007, 3, 2, 2, len(other) + len(command), 0, 0)
    return (head + other + command).ljust(DATA_AT, b"\0") + data
