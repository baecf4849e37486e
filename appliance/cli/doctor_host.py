"""The part of `scr doctor` that looks at the host: disk, file system, clock, limits."""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.cli.diagnosis import Finding, problem, skipped, warning, well
from appliance.domain.sizes import size_text

_FILES = 4096  # open files: each client takes one, each transfer another
_FEW_INODES = 10_000
_OLDEST = 1_735_689_600  # unix seconds, 2025-01-01: before this program was written
_AHEAD_S = 300  # a file from so far in the future says that the clock was set back
# file systems where locks or the order of writes are not what SQLite needs (sqlite.org/wal.html, "WAL ... same host")
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs"})
_MEMORY = frozenset({"tmpfs", "ramfs"})
_GLIBC = (2, 31)  # what the packaged program is built for


def look_at_host(folder: Path, reserve: int) -> Iterator[Finding]:
    """Yield what there is to say of the data folder `folder` and the host; `reserve` is bytes kept free."""
    if not os.access(folder, os.W_OK):
        yield skipped(
            "data folder", f"{folder} is not ours to write", "run scr doctor as the user that runs the server"
        )
        return
    yield _room(folder, reserve)
    yield _inodes(folder)
    yield _file_system(folder)
    yield _features(folder)
    yield _clock(folder)
    yield _limits(folder)


def look_at_library(told: str | None) -> Finding:
    """Return whether the packaged program runs with this C library; `told` is what it calls itself: "glibc 2.36"."""
    name = "C library"
    found = re.fullmatch(r"glibc (\d+)\.(\d+).*", told or "")
    if found and (int(found[1]), int(found[2])) >= _GLIBC:
        return well(name, found[0])
    oldest = ".".join(map(str, _GLIBC))
    return warning(
        name,
        f"{told or 'not glibc'}: the packaged program needs glibc {oldest}",
        "run it from a newer host, or as the image",
    )


def size_of(folder: Path) -> int:
    """Return the size of the file system of `folder` in bytes."""
    disk = os.statvfs(folder)
    return disk.f_blocks * disk.f_frsize


def _room(folder: Path, reserve: int) -> Finding:
    disk = os.statvfs(folder)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    seen = f"{size_text(free)} of {size_text(size)} free"
    if free < reserve:
        return problem(
            "disk room", f"{seen}: pushes are refused below {size_text(reserve)}", "free the disk, or: scr gc"
        )
    if free < 2 * reserve:
        return warning(
            "disk room", f"{seen}: pushes will be refused below {size_text(reserve)}", "see: scr gc --dry-run"
        )
    return well("disk room", seen)


def _inodes(folder: Path) -> Finding:
    disk = os.statvfs(folder)
    if disk.f_files and disk.f_favail < _FEW_INODES:
        return problem(
            "inodes", f"{disk.f_favail} files can still be made", "delete small files, or make a file system with more"
        )
    return well("inodes", f"{disk.f_favail} files can still be made" if disk.f_files else "no limit")


def _file_system(folder: Path) -> Finding:
    kind = file_system_of(folder, Path("/proc/self/mountinfo").read_text(errors="replace"))
    if kind in _REMOTE:
        return problem(
            "file system",
            f"{folder} is on {kind}, where the database's locks and the order of writes cannot be trusted",
            "keep the data folder on a local disk; blobs alone may lie on an object store",
        )
    if kind in _MEMORY:
        return problem(
            "file system", f"{folder} is in memory ({kind})", "keep it on a disk, or all is lost at a restart"
        )
    return well("file system", kind or "unknown")


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that `folder` is on, by the text of mountinfo; "" where it is not found."""
    found = ("", "")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), fields[4])
        is_above = folder.absolute().is_relative_to(point)
        if is_above and len(point) >= len(found[0]):  # the longest mount point; of equal ones the last is on top
            found = point, after.split()[0]
    return found[1]


def _features(folder: Path) -> Finding:
    """Try what the store does with files."""
    name = "file operations"
    first = folder / f".doctor-{secrets.token_hex(4)}"
    second = first.with_name(first.name + "-renamed")
    step = "create"
    try:
        descriptor = os.open(first, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            step = "lock"
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            step = "write"
            os.pwrite(descriptor, b"doctor", 0)
            step = "fsync"
            began = time.monotonic()
            os.fsync(descriptor)
            took_ms = (time.monotonic() - began) * 1000
        finally:
            os.close(descriptor)
        step = "rename"
        first.rename(second)
        step = "fsync of a folder"
        folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder_descriptor)
        finally:
            os.close(folder_descriptor)
        step = "hard link"
        os.link(second, first)
    except OSError as error:
        if step == "hard link":
            return warning(name, "no hard links here", "backups into this folder copy blobs instead of linking them")
        return problem(
            name, f"{step} failed in {folder}: {error.strerror}", "keep the data folder on another file system"
        )
    finally:
        first.unlink(missing_ok=True)
        second.unlink(missing_ok=True)
    slow = took_ms > 100
    seen = f"lock, write, fsync ({took_ms:.1f} ms), rename, link"
    return (
        warning(name, f"{seen}: fsync is slow", "a push waits for it; use a faster disk") if slow else well(name, seen)
    )


def _clock(folder: Path) -> Finding:
    now = time.time()
    if now < _OLDEST:
        return problem(
            "clock", f"it says {time.strftime('%Y-%m-%d', time.gmtime(now))}", "set the clock; certificates fail"
        )
    newest = max((entry.stat().st_mtime for entry in folder.iterdir() if entry.is_file()), default=0.0)
    if newest > now + _AHEAD_S:
        return problem(
            "clock",
            f"files in {folder} are {newest - now:.0f} s younger than now: the clock was set back",
            "set the clock; what is deleted by age waits until then",
        )
    return well("clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)))


def _limits(folder: Path) -> Finding:
    """Look at the limits of the process that serves the folder, else at our own."""
    try:
        text = (folder / "lock").read_text().strip()
        limits = Path(f"/proc/{int(text)}/limits").read_text()
        whose = "the server"
    except (OSError, ValueError):
        limits = Path("/proc/self/limits").read_text()
        whose = "this shell"
    matched = re.search(r"^Max open files +(\d+|unlimited)", limits, re.MULTILINE)
    found = matched[1] if matched else "unlimited"
    if found != "unlimited" and int(found) < _FILES:
        return warning(
            "open files",
            f"{whose} may open {found} files",
            f"raise it: LimitNOFILE={16 * _FILES} in the service unit, or ulimit -n {16 * _FILES}",
        )
    return well("open files", f"{whose} may open {found}")
