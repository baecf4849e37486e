"""A Debian tree that things can be installed into: what is written lies in a folder of the test."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import make
from tests.package.hosts import bare

# $1 tree, $2 folder for what is written, $3 folder shared with the test; it says when it is there, and stays
_HOLD = """
tree=$1 mine=$2 shared=$3
mkdir -p "$mine/upper" "$mine/work" "$mine/root"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$mine/upper,workdir=$mine/work" "$mine/root"
mount --rbind /dev "$mine/root/dev"
mount -t proc proc "$mine/root/proc"
mkdir -p "$mine/root$shared"
mount --bind "$shared" "$mine/root$shared"
echo there
exec chroot "$mine/root" sleep infinity
"""


class LivedIn:
    """A host in which packages are installed; its processes share the network with this machine."""

    def __init__(self, holder: int, root: Path) -> None:
        """Enter it through the process `holder`, which keeps it; `root` is where it lies."""
        self.root = root
        self._enter = ("nsenter", f"--target={holder}", "--mount", "--root", "--wd")

    def command(self, *words: str) -> tuple[str, ...]:
        """Return the command line that runs `words` there."""
        return (*self._enter, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words)

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command there; return all that it said. Raises AssertionError unless it ends with `code`."""
        ended = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=240, check=False)
        said = ended.stdout + ended.stderr
        assert ended.returncode == code, f"{' '.join(words)} ended with {ended.returncode}:\n{said}"
        return said

    def has(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return subprocess.run(self.command("test", "-e", path), check=False, timeout=60).returncode == 0

    def service(self, folder: Path, program: str = "/usr/bin/scr") -> make.Server:
        """Return the installed server, started as its unit starts it, on a port of the system's choice."""
        served = make.Server(folder)
        start = f"exec setpriv --reuid scr --regid scr --clear-groups {program} serve --config /etc/scr/scr.toml"
        served.program = self.command("sh", "-c", f"cd /var/lib/scr && {start} --listen 127.0.0.1:0", "ignored:")
        return served


@contextmanager
def lived_in(release: str, folder: Path) -> Iterator[LivedIn]:
    """Yield a host of a Debian release; what is written into it lies in `folder`, and `folder/shared` is seen in it."""
    shared = folder / "shared"
    shared.mkdir(parents=True)
    words = ["unshare", "--mount", "sh", "-euc", _HOLD, "sh", str(bare(release).tree), str(folder), str(shared)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "there\n", "the tree could not be laid out"
        try:
            yield LivedIn(holder.pid, folder / "root")
        finally:
            os.kill(holder.pid, signal.SIGKILL)
