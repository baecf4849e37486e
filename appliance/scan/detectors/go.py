"""Go: the build information in every program (Go source, package debug/buildinfo), and go.mod."""

import re
import struct
from collections.abc import Iterator

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import executables
from appliance.scan.detector import Detector, Fact, Wants

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32  # bytes
_ALIGNMENT = 16  # bytes
_INLINE = 2  # flag: the two strings follow the header (Go 1.18 and later)
_BIG_ENDIAN = 1  # flag of the older form, in which pointers follow
_MARKS = 16  # bytes of nonsense before and after the module information
_LONGEST = 16 << 20  # bytes of module information
_TOOLCHAIN = re.compile(r"go(\d+(?:\.\d+)*(?:(?:rc|beta)\d+)?)")
_REQUIRED = re.compile(r"^(?:require[ \t]+)?([^\s()=/]+\.[^\s()=]{1,300})[ \t]+(v[0-9][^\s]{0,200})[ \t]*(?://.*)?$")
_REPLACED = re.compile(
    r"^(?:replace[ \t]+)?([^\s()]{1,300})(?:[ \t]+v\S{1,200})?[ \t]+=>[ \t]+(\S{1,300})(?:[ \t]+(v\S{1,200}))?"
)
_CANDIDATES = 64  # places with the magic bytes: a Go toolchain has some in its own code


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the modules of a Go program, and `stdlib` in the toolchain's version; nothing from other programs."""
    if content.rfind(_MAGIC) < 0:  # most programs: from behind at 5 GB/s, from the front at 2 GB/s
        return
    at = -1
    for _ in range(_CANDIDATES):
        at = content.find(_MAGIC, at + 1)
        if at < 0:
            return
        if at % _ALIGNMENT:
            continue
        toolchain, modules = _strings(content, at)
        if found := _TOOLCHAIN.match(toolchain):
            yield Package(Ecosystem.GOLANG, "stdlib", f"v{found[1]}", found_in=path)
        elif not toolchain.startswith("devel"):
            continue  # the bytes stand there by chance
        yield from _modules(path, modules)
        return


def _strings(content: bytes, at: int) -> tuple[str, str]:
    """Return the toolchain's version and the module information; both empty where they are not there."""
    header = content[at : at + _HEADER]
    if len(header) < _HEADER:
        return "", ""
    if header[15] & _INLINE:
        toolchain, end = _inline(content, at + _HEADER)
        modules, _ = _inline(content, end)
    else:
        size, order = header[14], ">" if header[15] & _BIG_ENDIAN else "<"
        if size not in (4, 8):
            return "", ""
        first, second = struct.unpack_from(f"{order}QQ" if size == 8 else f"{order}II", header, 16)
        spans = executables.segments(content)
        toolchain = _pointed(content, spans, first, size, order)
        modules = _pointed(content, spans, second, size, order)
    marked = modules[_MARKS:-_MARKS]
    is_marked = len(modules) > 2 * _MARKS and modules[-_MARKS - 1] == 0x0A
    return toolchain.decode(errors="replace"), marked.decode(errors="replace") if is_marked else ""


def _inline(content: bytes, at: int) -> tuple[bytes, int]:
    """Return the string at `at`, its length before it as a varint, and where it ends."""
    length = shift = 0
    for position in range(at, min(at + 5, len(content))):
        byte = content[position]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            begin = position + 1
            if length > _LONGEST:
                break
            return content[begin : begin + length], begin + length
    return b"", at


def _pointed(content: bytes, spans: list[executables.Span], address: int, size: int, order: str) -> bytes:
    """Return the string whose Go header (pointer, length) stands at `address`."""
    header = executables.at_address(content, spans, address, 2 * size)
    if len(header) < 2 * size:
        return b""
    begin, length = struct.unpack(f"{order}QQ" if size == 8 else f"{order}II", header)
    return executables.at_address(content, spans, begin, length) if length <= _LONGEST else b""


def _modules(path: str, text: str) -> Iterator[Package]:
    """Yield the main module and what it was built with; `=>` replaces the line before it."""
    modules: list[tuple[str, str]] = []
    for line in text.splitlines():
        kind, *fields = line.split("\t")
        if kind in ("mod", "dep") and fields and fields[0]:
            version = fields[1] if len(fields) > 1 else ""
            modules.append((fields[0], "" if version == "(devel)" else version))
        elif kind == "=>" and modules and len(fields) > 1 and fields[1]:
            modules[-1] = (fields[0], fields[1])
    for name, version in modules:
        yield Package(Ecosystem.GOLANG, name, version, found_in=path)


def read_mod(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the modules that a go.mod requires, replaced as it says. Spec: Go Modules Reference, "go.mod files"."""
    required: dict[str, str] = {}
    replaced: dict[str, tuple[str, str]] = {}
    block = ""
    for line in content.decode(errors="replace").splitlines():
        text = line.strip()
        if text.endswith("("):
            block = text.removesuffix("(").strip()
        elif text == ")":
            block = ""
        elif (block or text.split(" ", 1)[0]) == "replace" and (found := _REPLACED.match(text)):
            replaced[found[1]] = (found[2], found[3] or "")
        elif (block or text.split(" ", 1)[0]) == "require" and (found := _REQUIRED.match(text)):
            required[found[1]] = found[2]
    for name, version in required.items():
        other, other_version = replaced.get(name, (name, version))
        is_replaced = bool(other_version)
        yield Package(
            Ecosystem.GOLANG, other if is_replaced else name, other_version if is_replaced else version, found_in=path
        )


DETECTOR = Detector(
    "go",
    version=1,
    wants=Wants(heads=(executables.ELF, executables.PE, *executables.MACH_O)),
    read=read,
    takes_large=True,
)
LOCKS = (Detector("go-mod", version=1, wants=Wants(names=frozenset({"go.mod"})), read=read_mod),)
