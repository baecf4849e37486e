"""The files of allowlists: read whole, written whole, put aside with their registry. All of it blocks."""

import errno
import os
import stat
from pathlib import Path

from appliance.domain.allowlist import MAX_BYTES
from appliance.domain.endpoint import ListName, read_list_name
from appliance.errors import Unavailable

_MOST_FILES = 100_000  # lists in the folder: a registry has two

Stamp = tuple[int, int, int]  # what changes when a file does; the inode tells a swapped link apart
_NO_FILE: Stamp = (0, 0, 0)


def list_names(folder: Path) -> tuple[list[ListName], list[str]]:
    """Return the lists that lie in `folder`, and files that look like one and are called wrongly."""
    names, strays = [], []
    try:
        entries = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return [], []
    for entry in entries[:_MOST_FILES]:
        if not entry.endswith(".txt") or entry.startswith("."):
            continue
        name = read_list_name(entry.removesuffix(".txt"))
        if name is None:
            strays.append(entry)
        else:
            names.append(name)
    return names, strays


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of a file."""
    try:
        found = path.stat()
    except OSError:
        return _NO_FILE
    return found.st_ino, found.st_mtime_ns, found.st_size


def read(folder: Path, name: ListName) -> str | None:
    """Return the text of a list, None where it has no file. Raises Unavailable for one that cannot be read."""
    try:
        content = _read_bounded(folder / name.file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{name.file} cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise Unavailable(f"{name.file} is larger than {MAX_BYTES >> 20} MiB; merge its addresses into networks")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unavailable(f"line {line}: the text is not UTF-8; save {name.file} in that encoding") from error


def _read_bounded(path: Path) -> bytes:
    """Return up to a byte more than a list may have. Raises OSError, also for what is no file: a pipe would hold us."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        parts, left = [], MAX_BYTES + 1
        while left > 0 and (part := os.read(descriptor, left)):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)
