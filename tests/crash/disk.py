"""A disk that keeps only what it must: the content that was synced, the names whose folder was synced.

Of the rest any subset may be there after a power loss: a write not at all, whole, or torn at sector boundaries; a name
that was made, moved or taken away, or not (a rename happens whole or not at all). Stricter than any one file system.
"""

import random
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from tests.crash.recording import AddFolder, Create, Remove, Rename, Step, Sync, SyncFolder, Truncate, Write

SECTOR = 512  # bytes; the smallest unit a disk writes whole


class _File:
    """Content: what is on the platter, what a reader sees, and the changes between the two."""

    def __init__(self) -> None:
        self.durable = b""
        self.seen = bytearray()
        self.pending: list[Write | Truncate] = []

    def change(self, step: Write | Truncate) -> None:
        _apply(self.seen, step)
        self.pending.append(step)

    def sync(self) -> None:
        self.durable = bytes(self.seen)
        self.pending.clear()


class _Folder:
    """A folder; its names stand in the disk's table, by path."""


class _Naming(msgspec.Struct, frozen=True, eq=False):
    """A change of names: `taken` no longer names anything, `given` names `thing`."""

    number: int
    taken: Path | None = None
    given: Path | None = None
    thing: _File | _Folder | None = None

    @property
    def folders(self) -> set[Path]:
        return {path.parent for path in (self.taken, self.given) if path is not None}

    def apply(self, names: dict[Path, _File | _Folder]) -> None:
        if self.taken is not None:
            names.pop(self.taken, None)
        if self.given is not None and self.thing is not None:
            names[self.given] = self.thing


class Disk:
    """The data folder on such a disk. Paths are relative to it."""

    def __init__(self) -> None:
        """Begin with an empty folder."""
        self._names: dict[Path, _File | _Folder] = {}
        self._durable: dict[Path, _File | _Folder] = {}
        self._pending: list[_Naming] = []
        self._count = 0

    def apply(self, step: Step) -> None:
        """Let `step` happen."""
        if isinstance(step, Write | Truncate | Sync):
            file = self._names.get(step.path)
            if isinstance(file, _File):  # it may have been removed while it was open: nobody will ever see it
                if isinstance(step, Sync):
                    file.sync()
                else:
                    file.change(step)
        elif isinstance(step, SyncFolder):
            self._sync_folder(step.path)
        else:
            self._change_names(step)

    def outcomes(self, chance: random.Random, count: int) -> Iterable["Outcome"]:
        """Yield what may be found now: after kill -9 (all of it), with nothing unsynced, and `count` subsets."""
        yield self._outcome(_Choice(1.0, 0.0, chance))
        if self._pending or any(isinstance(file, _File) and file.pending for file in self._names.values()):
            yield self._outcome(_Choice(0.0, 0.0, chance))
            for _ in range(count):
                yield self._outcome(_Choice(chance.choice((0.1, 0.5, 0.9)), chance.choice((0.0, 0.5)), chance))

    def _change_names(self, step: Create | AddFolder | Rename | Remove) -> None:
        self._count += 1
        if isinstance(step, Create):
            naming = _Naming(self._count, given=step.path, thing=_File())
        elif isinstance(step, AddFolder):
            naming = _Naming(self._count, given=step.path, thing=_Folder())
        elif isinstance(step, Rename):
            naming = _Naming(self._count, taken=step.path, given=step.target, thing=self._names[step.path])
        else:
            naming = _Naming(self._count, taken=step.path)
        naming.apply(self._names)
        self._pending.append(naming)

    def _sync_folder(self, folder: Path) -> None:
        done = [naming for naming in self._pending if folder in naming.folders]
        for naming in done:
            naming.apply(self._durable)
        # a name that a durable change took away cannot come back by an older change that was still waiting
        taken = {naming.taken: naming.number for naming in done if naming.taken is not None}
        self._pending = [
            naming
            for naming in self._pending
            if naming not in done and (naming.given is None or naming.number > taken.get(naming.given, 0))
        ]

    def _outcome(self, choice: "_Choice") -> "Outcome":
        names = dict(self._durable)
        for naming in self._pending:
            if choice.keeps():
                naming.apply(names)
        reached = {path: thing for path, thing in names.items() if _is_reached(path, names)}
        contents: dict[int, bytes] = {}  # a file may have two names for a moment
        for thing in reached.values():
            if isinstance(thing, _File) and id(thing) not in contents:
                contents[id(thing)] = choice.content(thing)
        return Outcome({path: contents.get(id(thing)) for path, thing in reached.items()})


class Outcome(msgspec.Struct, frozen=True):
    """What lies in the data folder after the power came back: contents of files, None for folders."""

    found: Mapping[Path, bytes | None]

    def lay_out(self, folder: Path) -> None:
        """Write it to the empty folder `folder`."""
        for path in sorted(self.found):
            content = self.found[path]
            if content is None:
                (folder / path).mkdir()
            else:
                (folder / path).write_bytes(content)


class _Choice:
    """Chooses what of the unsynced changes is there."""

    def __init__(self, kept: float, torn: float, chance: random.Random) -> None:
        self._kept = kept
        self._torn = torn
        self._chance = chance

    def keeps(self) -> bool:
        return self._chance.random() < self._kept

    def content(self, file: _File) -> bytes:
        content = bytearray(file.durable)
        for step in file.pending:
            if not self.keeps():
                continue
            if isinstance(step, Write) and self._chance.random() < self._torn:
                self._tear(content, step)
            else:
                _apply(content, step)
        return bytes(content)

    def _tear(self, content: bytearray, step: Write) -> None:
        """Write some of the sectors that `step` touches."""
        start, end = step.offset, step.offset + len(step.data)
        first = start
        while first < end:
            last = min((first // SECTOR + 1) * SECTOR, end)
            if self._chance.random() < 0.5:
                _apply(content, Write(step.path, first, step.data[first - start : last - start]))
            first = last


def _apply(content: bytearray, step: Write | Truncate) -> None:
    size = step.size if isinstance(step, Truncate) else step.offset
    if len(content) < size:
        content.extend(bytes(size - len(content)))
    if isinstance(step, Truncate):
        del content[size:]
    else:
        content[size : size + len(step.data)] = step.data


def _is_reached(path: Path, names: Mapping[Path, _File | _Folder]) -> bool:
    """Whether every folder above `path` is there."""
    return all(parent == Path() or isinstance(names.get(parent), _Folder) for parent in path.parents)
