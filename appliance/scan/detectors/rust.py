"""Rust: the list of crates that cargo-auditable puts into a program (its PARSING.md), and Cargo.lock."""

import zlib
from collections.abc import Iterator

import msgspec

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import executables
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.documents import decode_json, decode_toml
from appliance.scan.limits import LimitReached, Unreadable

_SECTION = b".dep-v0"
_LONGEST = 8 << 20  # bytes of JSON, which the specification lets a reader bound


class _Crate(msgspec.Struct):
    name: str
    version: str
    kind: str = "runtime"


class _Audit(msgspec.Struct):
    packages: list[_Crate] = []


class _Locked(msgspec.Struct):
    name: str = ""
    version: str = ""
    source: str = ""  # empty: a crate of the workspace itself


class _CargoLock(msgspec.Struct):
    package: list[_Locked] = []


_DECODER = msgspec.json.Decoder(_Audit)


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the crates that run in the program; those of its build alone are left out."""
    packed = executables.section(content, _SECTION)
    if not packed:
        return
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(packed, _LONGEST)
    except zlib.error as error:
        raise Unreadable(f"its list of crates is broken: {error}") from error
    if inflater.unconsumed_tail:
        raise LimitReached(f"its list of crates inflates to more than {_LONGEST} bytes")
    for crate in decode_json(_DECODER, text).packages:
        if crate.kind == "runtime":
            yield Package(Ecosystem.CARGO, crate.name, crate.version, found_in=path)


def read_lock(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the crates of a Cargo.lock, those of the workspace left out."""
    for locked in decode_toml(_CargoLock, content).package:
        if locked.name and locked.version and locked.source:
            yield Package(Ecosystem.CARGO, locked.name, locked.version, found_in=path)


DETECTOR = Detector(
    "rust",
    version=1,
    wants=Wants(heads=(executables.ELF, executables.PE, *executables.MACH_O)),
    read=read,
    takes_large=True,
)
LOCKS = (Detector("cargo-lock", version=1, wants=Wants(names=frozenset({"Cargo.lock"})), read=read_lock),)
