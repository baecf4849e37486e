"""What this program is: from source or packaged, of which parts, and how it starts itself.

A packaged program carries `files/build.json`, which the packing step wrote. It has no folder and no `python` beside it,
so whatever starts a child of the same program asks `command_line`. Only what every command needs is imported here.
"""

import json
import os
import sys
from pathlib import Path
from typing import Protocol, TypedDict, cast

from appliance import __version__, assets


class Build(TypedDict):
    """What a program is made of; the keys are those of `scr version --json`."""

    version: str
    commit: str  # "" where nobody recorded it
    tool: str  # what packed it: "pyoxidizer", "pyinstaller"; "source": it runs from a folder of sources
    id: str  # of the packed files, equal for equal bytes; "" from source
    libraries: dict[str, str]  # name -> version, of everything inside


class Carrier(Protocol):
    """What hands out the compiled modules of the packaged program."""

    def settle(self, folder: Path) -> str:
        """Load from files below `folder` from now on. Returns why not, "" if it does."""

    def release(self) -> None:
        """Unmap what was read of the program's own file."""


_carrier: list[Carrier] = []


def build() -> Build:
    """Return what this program is made of."""
    if is_packaged():
        return cast("Build", json.loads(assets.read("appliance", "files/build.json")))
    return Build(version=__version__, commit="", tool="source", id="", libraries=_installed())


def is_packaged() -> bool:
    """Whether this is the one-file program, not a folder of sources."""
    return bool(getattr(sys, "frozen", False))


def command_line() -> tuple[str, ...]:
    """Return the words that start this same program; options and arguments follow them.

    The running file, not its name: an upgrade may have put another program there meanwhile.
    """
    if not is_packaged():
        return sys.executable, "-m", "appliance"
    return ("/proc/self/exe",) if _carrier else (sys.executable,)


def carry(carrier: Carrier) -> None:
    """Let `carrier` be told where the data folder is; the packaged program calls this before anything else."""
    _carrier.append(carrier)


def settle(data_dir: Path) -> str:
    """Load compiled modules from `<data_dir>/lib` from now on, where the packaged program can do so.

    So they take memory once, however many processes load them. Returns why it could not be, "" where there is nothing
    to say; they are loaded from memory then.
    """
    return _carrier[0].settle(data_dir / "lib") if _carrier else ""


def release() -> None:
    """Let go of the memory that only starting took: the packaged program's own constants, which its file still has."""
    for carrier in _carrier:
        carrier.release()


def _installed() -> dict[str, str]:
    """Return the libraries that can be imported, by the names of the folders that describe them."""
    found: dict[str, str] = {}
    for place in sys.path:
        names = os.listdir(place) if Path(place).is_dir() else []  # noqa: PTH208 - names are all it takes
        for name in sorted(names):
            if name.endswith(".dist-info"):
                library, _, version = name.removesuffix(".dist-info").partition("-")
                found.setdefault(library.lower().replace("_", "-"), version)
    return found
