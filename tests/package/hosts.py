"""Bare hosts: a Debian tree without anything, in which the packaged program runs as a process of this machine.

The process has its own view of the file system and nothing of this machine's environment; it shares the network, so
that clients here reach it. The mounts end with it.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests import make
from tests.clients.programs import ROOT, need_file

RELEASES = ("bullseye", "bookworm", "trixie")
NOBODY = 65534

# $1 tree, $2 program, $3 folder shared with the test, $4 options of mount for it, $5 ro or rw, $6 user, $7 options of
# mount for temporary files, then the words
_ENTER = """
tree=$1 program=$2 shared=$3 how=$4 root=$5 user=$6 temporary=$7
shift 7
mount --bind "$tree" "$tree"
mount --rbind /dev "$tree/dev"
mount -t proc proc "$tree/proc"
for place in tmp dev/shm; do mount -t tmpfs -o "$temporary,mode=1777" tmpfs "$tree/$place"; done
mkdir -p "$tree$shared"
mount --bind "$shared" "$tree$shared"
mount -o "remount,bind,$how" "$tree$shared"
touch "$tree/tmp/scr"
mount --bind "$program" "$tree/tmp/scr"
mount -o remount,bind,exec "$tree/tmp/scr"
[ "$root" = rw ] || mount -o remount,bind,ro "$tree"
exec chroot --userspec="$user:$user" "$tree" /usr/bin/env -i PATH=/usr/bin:/bin TMPDIR=/tmp "$@"
"""


class Host(msgspec.Struct, frozen=True):
    """A tree, and how the program lives in it."""

    tree: Path
    program: Path
    user: int = 0
    mount: str = "rw"  # of the folder that the data is in
    is_read_only: bool = False  # the root

    def command(self, shared: Path, *words: str) -> tuple[str, ...]:
        """Return the command line that runs `scr` with `words` there; `shared` is where the test has it."""
        root = "ro" if self.is_read_only else "rw"
        enter = ("unshare", "--mount", "sh", "-euc", _ENTER, "sh", str(self.tree), str(self.program), str(shared))
        temporary = "exec" if is_fallback() else "noexec"  # the fallback unpacks itself there: docs/packaging.md
        return (*enter, self.mount, root, str(self.user), temporary, "/tmp/scr", *words)  # noqa: S108 - in the tree

    def server(self, folder: Path, config: str = "") -> make.Server:
        """Return a server there, on `folder/data`."""
        served = make.Server(folder, config, environment={"PYTHONPATH": ""})
        served.program = self.command(folder, "serve")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.user, self.user)
        return served

    def run(self, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        return subprocess.run(
            self.command(folder, *words), capture_output=True, text=True, timeout=120, check=False, cwd="/"
        )


def packaged() -> Path:
    """Return the packaged file that $SCR_TEST_PROGRAM names."""
    path = Path(os.environ["SCR_TEST_PROGRAM"])
    assert path.is_file(), f"SCR_TEST_PROGRAM is to name the packaged file, not {path}; see make test-package"
    return path.resolve()


def is_fallback() -> bool:
    """Whether the packaged file is PyInstaller's, which asks more of a host than the real one."""
    return packaged().name.endswith("-pyinstaller")


def bare(release: str) -> Host:
    """Return a bare host of a Debian release, as packaging/setup/trees.sh makes them."""
    if os.geteuid() != 0:
        pytest.skip("only root can enter another tree")
    return Host(need_file(f".cache/trees/{release}/bin/sh").parents[1], packaged())


@contextmanager
def memory_limit(size: int) -> Iterator[Path]:
    """Yield a file: a process whose number is written there has `size` bytes of memory, page cache included."""
    first = Path("/sys/fs/cgroup/memory")
    group = (first if first.is_dir() else Path("/sys/fs/cgroup")) / f"scr-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if first.is_dir() else "memory.max")).write_text(str(size))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


__all__ = ["NOBODY", "RELEASES", "ROOT", "Host", "bare", "is_fallback", "memory_limit", "packaged"]
