"""No tracked file names the package registry of the machine it was written on, or a path of that machine."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT

_HOST = re.compile(r"https?://(?:[^/@\s\"']*@)?([a-z0-9.-]+\.[a-z0-9-]+|\d+\.\d+\.\d+\.\d+)", re.IGNORECASE)
_BINARY = (".gz", ".tgz", ".png", ".ico", ".woff2", ".zst", ".sqlite", ".rpmdb")


def _told(*command: str) -> str:
    """Return what a program prints, "" where it is not here or has no such setting."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=60).stdout


def list_hosts() -> Iterator[str]:
    """Yield the hosts that this machine was told to take packages from; those that everybody takes are not told."""
    yield from _HOST.findall(_told("pip", "config", "list"))
    yield from _HOST.findall(_told("npm", "config", "list"))
    changed = _told("go", "env", "-json", "-changed", "GOPROXY", "GOSUMDB")
    for value in json.loads(changed).values() if changed.strip() else ():
        yield from _HOST.findall(value)
    for name, value in os.environ.items():
        if re.search(r"INDEX|PROXY|REGISTRY|MIRROR", name):
            yield from _HOST.findall(value)


def list_tracked() -> list[Path]:
    """Return the text files that belong to the project."""
    names = _told("git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [ROOT / name for name in names if name and not name.endswith(_BINARY) and (ROOT / name).is_file()]


def test_no_tracked_file_names_this_machines_package_registry_or_folder() -> None:
    tracked = list_tracked()
    local = {host.lower().encode() for host in list_hosts() if not host.startswith(("127.", "localhost"))}
    local.add(str(ROOT).encode())

    telling = []
    for path in tracked:
        content = path.read_bytes().lower()
        telling += [str(path.relative_to(ROOT)) for word in local if word.lower() in content]

    assert len(tracked) > 100
    assert telling == []  # the word itself stays out of the report
