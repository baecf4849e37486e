"""The host, or a folder that stands for it, and what `scr install` and `scr uninstall` do to it."""

import argparse
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show
from appliance.errors import Conflict, Unavailable

USER = "scr"
PROGRAM, CONFIG, DATA = "usr/local/bin/scr", "etc/scr/scr.toml", "var/lib/scr"
BEFORE = f"{PROGRAM}.before"  # the program that was replaced last
SERVICE = "scr.service"
UNITS = {SERVICE: "etc/systemd/system/scr.service", "scr.socket": "etc/systemd/system/scr.socket"}
_SYSTEMD = Path("/run/systemd/system")  # there where systemd runs the host: sd_booted(3)


def add(parser: Parser) -> None:
    """Add the options that both commands have."""
    parser.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="work below DIR: a tree of an image"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def host_of(options: argparse.Namespace) -> "Host":
    """Return the host that the options mean. Raises Conflict unless we may change it."""
    return Host(options.root, is_dry=options.dry_run)


class Host:
    """The host, or a folder that stands for it, and what is done to it."""

    def __init__(self, root: Path, *, is_dry: bool) -> None:
        """Work below `root`; say only what would be done where `is_dry`. Raises Conflict unless we may do it."""
        self._root = root
        self._is_dry = is_dry
        self._is_this = root.absolute() == Path("/")
        if self._is_this and not is_dry and os.geteuid() != 0:
            raise Conflict("only root can change the host; run it with sudo, or see what it does with --dry-run")

    def path(self, place: str) -> Path:
        """Return where `place` is."""
        return self._root / place

    def has_systemd(self) -> bool:
        """Whether systemd runs this host."""
        return self._is_this and _SYSTEMD.is_dir()

    def has(self, place: str) -> bool:
        """Whether this host, not a folder that stands for one, has that file."""
        return self._is_this and self.path(place).exists()

    def copy(self, source: Path, place: str, *, keep: bool = True) -> bool:
        """Put an executable there, whole or not at all; one that runs from there goes on with its own bytes.

        What it replaces is kept as `place.before`, unless not `keep`. Returns whether it replaced one.
        """
        target = self.path(place)
        was_there = target.exists()
        if was_there and target.samefile(source):
            return False
        self._do(f"copy {source} to {target}", lambda: _replace(source, target, keep=keep))
        return was_there

    def write(self, place: str, text: str, mode: int, *, is_kept: bool = False, group: str = "") -> None:
        """Write a file, unless `is_kept` and it is there already."""
        target = self.path(place)
        if is_kept and target.exists():
            return

        def write() -> None:
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target.with_name(f"{target.name}.part")
            staged.write_text(text)
            staged.chmod(mode)
            if group and self._is_this:
                shutil.chown(staged, group=group)
            staged.rename(target)

        self._do(f"write {target}", write)

    def make_folder(self, place: str, mode: int, *, owner: str) -> None:
        """Make a folder of `owner`'s, unless it is there."""
        target = self.path(place)
        if target.is_dir():
            return

        def make() -> None:
            target.mkdir(mode=mode, parents=True)
            if self._is_this:
                shutil.chown(target, owner, owner)

        self._do(f"make {target}", make)

    def make_user(self) -> None:
        """Make the user that the service runs as, unless there is one."""
        words = ("useradd", "--system", "--user-group", "--home-dir", f"/{DATA}", "--no-create-home")
        if self._is_this and not _knows_user():
            self.call(*words, "--shell", "/usr/sbin/nologin", USER)

    def remove_user(self) -> None:
        """Remove that user, if there is one."""
        if self._is_this and _knows_user():
            self.call("userdel", USER)

    def remove(self, place: str) -> None:
        """Remove a file, if it is there."""
        target = self.path(place)
        if target.exists() or target.is_symlink():
            self._do(f"remove {target}", target.unlink)

    def remove_tree(self, place: str) -> None:
        """Remove a folder with everything in it, if it is there."""
        target = self.path(place)
        if target.is_dir():
            self._do(f"remove {target} with everything in it", lambda: shutil.rmtree(target))

    def call(self, *words: str, may_fail: bool = False) -> None:
        """Run a program of the host's. Raises Unavailable where it fails."""

        def run() -> None:
            try:
                ended = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - constants
            except FileNotFoundError as error:
                raise Unavailable(f"{words[0]} is not on this host; do by hand: {' '.join(words)}") from error
            if ended.returncode and not may_fail:
                said = ended.stderr.strip() or ended.stdout.strip() or ended.returncode
                raise Unavailable(f"{' '.join(words)} failed: {said}")

        self._do(" ".join(words), run)

    def _do(self, what: str, do: Callable[[], object]) -> None:
        if self._is_dry:
            show(f"would {what}")
            return
        try:
            do()
        except OSError as error:
            raise Unavailable(f"could not {what}: {error.strerror or error}") from error
        say(what)


def _knows_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _replace(source: Path, target: Path, *, keep: bool) -> None:
    """Copy `source` beside `target` and rename it: who runs the old one goes on with its bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged, before = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.before")
    shutil.copyfile(source, staged)
    staged.chmod(0o755)
    if keep and target.exists():
        before.unlink(missing_ok=True)
        before.hardlink_to(target)
    staged.rename(target)
