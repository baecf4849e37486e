"""The files of allowlists: read whole, written whole, put aside with their registry.

<data>/allowlists/pay.private.txt                          in force where access control is on
<data>/allowlists/pay-k3dq7mn2xa.private.txt.removed       of a deleted registry, until it comes back or is gone
"""

import asyncio
import errno
import hashlib
import os
import re
import stat
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.blobstore.files import Files
from appliance.db import activity
from appliance.db.activity import About, Detail
from appliance.db.database import Transaction
from appliance.domain.admission import Caller
from appliance.domain.allowlist import MAX_BYTES, Groups, Parsed, parse
from appliance.domain.endpoint import Endpoint, ListName, read_list_name
from appliance.domain.moment import Timestamp
from appliance.domain.ranges import Ranges
from appliance.domain.registry import Registry
from appliance.errors import AllowlistInvalid, Conflict, ScrError, Stale, Unavailable
from appliance.services.stock import Stock

_MOST_FILES = 100_000  # lists in the folder: a registry has two

Stamp = tuple[int, int, int]  # what changes when a file does; the inode tells a swapped link apart
_NO_FILE: Stamp = (0, 0, 0)


_TOLD = 5  # mistakes in an error's message; `scr allowlist check` has all of them
_LISTED = 100  # lines that came and went in the record of an edit
_ASIDE = re.compile(r"([a-z][a-z0-9]{2,24})-([a-z0-9]+)\.(private|public)\.txt\.removed")

T = TypeVar("T")
Changed = Mapping[ListName, tuple[str | None, str]]  # texts before (None: no file) and after


class Aside(msgspec.Struct, frozen=True):
    """A list that was put aside with its registry."""

    name: ListName
    public_id: str

    @property
    def file(self) -> str:
        """What its file is called."""
        return f"{self.name.registry}-{self.public_id}.{self.name.endpoint}.txt.removed"


def _never() -> bool:
    return False


class Shelf:
    """The folder of allowlists. One edit at a time goes through here; people with an editor are not held up."""

    def __init__(self, folder: Path, files: Files, executor: Executor) -> None:
        """Keep the lists of `folder`."""
        self.folder = folder
        self._files = files
        self._executor = executor
        self._turn = asyncio.Lock()

    async def read(self, name: ListName) -> str | None:
        """Return the text of a list, None where it has no file. Raises Unavailable for one that cannot be read."""
        return await self.run(lambda: read(self.folder, name))

    async def change(self, name: ListName, make: Callable[[str | None], str]) -> tuple[str | None, str]:
        """Write what `make` makes of the text of a list (None: no file); return the text before and after.

        `make` runs in a worker thread, while no other edit goes on. Raises what it raises, Conflict for a file that is
        a link, Unavailable, StorageFull, StoreFailed.
        """
        async with self._turn:
            return await self.run(lambda: self._change(name, make))

    async def lay(
        self, texts: Mapping[ListName, str], check: Callable[[], None], then: Callable[[Changed], Awaitable[T]]
    ) -> T:
        """Write whole lists, then do `then`, which is told of those that changed; where that fails, put them back.

        `check` is asked before anything is written. No other edit goes on meanwhile. Raises what these two and `change`
        do.
        """
        async with self._turn:
            check()
            changed: dict[ListName, tuple[str | None, str]] = {}
            try:
                for name, text in texts.items():
                    before, after = await self.run(partial(self._change, name, partial(_always, text)))
                    if after != before:
                        changed[name] = before, after
                return await then(changed)
            except ScrError:
                await self.run(lambda: self._put_back(changed))
                raise

    async def put_back(self, changed: Changed) -> None:
        """Let lists be as they were before, those that nobody has changed meanwhile."""
        async with self._turn:
            await self.run(lambda: self._put_back(changed))

    async def put_aside(
        self, registry: Registry, until: Timestamp | None = None, is_taken: Callable[[], bool] = _never
    ) -> None:
        """Take the lists of a deleted registry away, so that another one of its name inherits nothing.

        What was written after `until` is meant for that other one, and stays; so does all of it where `is_taken` says
        that the other one is there, which may be with lists that were laid while this waited for its turn.
        """
        async with self._turn:
            if not is_taken():
                await self.run(lambda: self._put_aside(registry, until))

    async def take_back(self, registry: Registry) -> None:
        """Give a restored registry its lists back, where nobody has written others meanwhile."""
        async with self._turn:
            await self.run(lambda: self._take_back(registry))

    async def drop_aside(self, is_gone: Callable[[str], bool]) -> None:
        """Delete the lists of registries that are gone for good, by their public ids."""
        async with self._turn:
            asides = await self.run(lambda: list_asides(self.folder))
            for aside in asides:
                if is_gone(aside.public_id):
                    await self.run(partial(self._files.remove, self.folder / aside.file))

    async def run(self, function: Callable[[], T]) -> T:
        """Run what blocks in a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    def _change(self, name: ListName, make: Callable[[str | None], str]) -> tuple[str | None, str]:
        path = self.folder / name.file
        if path.is_symlink():
            raise Conflict(f"{name.file} is a link, so something else keeps it; change it where it comes from")
        before = read(self.folder, name)
        after = make(before)
        if after != before:
            mode = None if before is None else stat.S_IMODE(path.stat().st_mode)
            self._files.write_whole(path, after.encode())
            if mode is not None:
                path.chmod(mode)  # who could read it still can
        return before, after

    def _put_back(self, changed: Changed) -> None:
        for name, (before, after) in changed.items():
            if read(self.folder, name) != after:
                continue
            if before is None:
                self._files.remove(self.folder / name.file)
            else:
                self._change(name, partial(_always, before))

    def _put_aside(self, registry: Registry, until: Timestamp | None) -> None:
        for aside in _both(registry):
            path = self.folder / aside.name.file
            written_at = _written_at(path)
            if written_at is not None and (until is None or written_at <= until):
                self._files.rename(path, self.folder / aside.file)
                self._files.sync_folder(self.folder)

    def _take_back(self, registry: Registry) -> None:
        for aside in _both(registry):
            path = self.folder / aside.name.file
            if (self.folder / aside.file).exists() and not path.exists():
                self._files.rename(self.folder / aside.file, path)
                self._files.sync_folder(self.folder)


class Edit(msgspec.Struct, frozen=True):
    """A change of a list of `registry` (0: of management).

    `make` returns the new text for the old one, `accept` is asked about the addresses that would get in; either raises
    what speaks against it. Both run in a worker thread.
    """

    caller: Caller
    registry: int
    name: ListName
    make: Callable[[str | None], str]
    accept: Callable[[Ranges], None]


async def edit(stock: Stock, shelf: Shelf, wanted: Edit, groups: Groups, now: Timestamp) -> None:
    """Change a list, and record who did.

    The file is the truth and is written first: a crash between the two loses the record, never the edit.
    Raises AllowlistInvalid, and what `Shelf.change` does.
    """

    def make(before: str | None) -> str:
        text = wanted.make(before)
        wanted.accept(check(text, groups).ranges(groups))
        return text

    before, after = await shelf.change(wanted.name, make)
    if before == after:
        return
    detail = await shelf.run(lambda: difference(wanted.name, before, after, groups))
    await stock.db.write(lambda tx: record(tx, wanted.caller, wanted.registry, wanted.name, detail, now))


def record(tx: Transaction, caller: Caller, registry: int, name: ListName, detail: Detail, now: Timestamp) -> None:
    """Write down that `caller` changed a list of `registry` (0: of management); `detail` is its `difference`."""
    about = About(registry=registry, subject=f"allowlist:{name}")
    activity.record(tx, "allowlist.edited", caller, about, detail, now)


def check(text: str, groups: Groups) -> Parsed:
    """Return the list that `text` is (blocking). Raises AllowlistInvalid."""
    if len(text.encode()) > MAX_BYTES:
        raise AllowlistInvalid(f"a list has at most {MAX_BYTES >> 20} MiB; merge its addresses into networks")
    found = parse(text, groups)
    if found.mistakes:
        raise AllowlistInvalid("; ".join(map(str, found.mistakes[:_TOLD])))
    return found


def check_mark(name: ListName, text: str | None, expected: str | None) -> None:
    """Raise Stale where the text of a list is not the one that bears the mark `expected` (None: any)."""
    if expected is not None and expected != mark_of(text):
        raise Stale(f"the allowlist {name} was changed since you read it; read it again, then edit")


def mark_of(text: str | None) -> str:
    """Return what tells one state of a list from another, for `ETag`."""
    return "none" if text is None else hashlib.sha256(text.encode()).hexdigest()[:32]


def difference(name: ListName, before: str | None, after: str, groups: Groups) -> Detail:
    """Return what came and went, for the record: how many entries there are, and the first that changed (blocking)."""
    old, new = ({entry.text for entry in parse(text, groups).entries} for text in (before or "", after))
    return {
        "list": str(name),
        "before": {"entries": len(old), "removed": sorted(old - new)[:_LISTED]},
        "after": {"entries": len(new), "added": sorted(new - old)[:_LISTED]},
    }


def _always(text: str, _: str | None) -> str:
    return text


def _both(registry: Registry) -> list[Aside]:
    return [Aside(ListName(one, registry.name), registry.public_id) for one in (Endpoint.PRIVATE, Endpoint.PUBLIC)]


def _written_at(path: Path) -> Timestamp | None:
    """Return when a file was last written; None where it is not there. A link's own time counts, not its target's."""
    try:
        return Timestamp(path.lstat().st_mtime_ns // 1_000_000)
    except OSError:
        return None


def list_asides(folder: Path) -> list[Aside]:
    """Return the lists that were put aside (blocking)."""
    found = (_ASIDE.fullmatch(entry.name) for entry in os.scandir(folder))
    return [Aside(ListName(Endpoint(one[3]), one[1]), one[2]) for one in found if one]


def list_names(folder: Path) -> tuple[list[ListName], list[str]]:
    """Return the lists that lie in `folder`, and files that look like one and are called wrongly (blocking)."""
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
    """Return the text of a list, None where it has no file (blocking). Raises Unavailable where it is unreadable."""
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
