"""Two manifests side by side: packages, vulnerabilities, files. From what scans keep; no blob is read."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from appliance.db.database import Reader
from appliance.domain.layer import FileEntry
from appliance.domain.scan import Flaw, Scan, flaw_of
from appliance.domain.vulnerability import Package
from appliance.services.file_tree import Tree

Item = TypeVar("Item")
MOST = 1000  # of each sort that are listed; the counts tell of more


class Sides(msgspec.Struct, Generic[Item], frozen=True):
    """What only the first has, what only the second has; the first of them, and how many there are."""

    gone: tuple[Item, ...]
    new: tuple[Item, ...]
    gone_count: int
    new_count: int


class Moved(msgspec.Struct, frozen=True):
    """A package that both have, in other versions."""

    ecosystem: str
    name: str
    path: str
    before: str
    after: str


class Difference(msgspec.Struct, frozen=True):
    """How two manifests differ. Files that changed are in both, under one path with another content or mode."""

    packages: Sides[Package]
    moved: tuple[Moved, ...]
    flaws: Sides[Flaw]
    files: Sides[FileEntry]
    changed: tuple[FileEntry, ...]
    changed_count: int
    size: tuple[int, int]  # bytes of all visible files


def compare(reader: Reader, before: Scan, after: Scan) -> Difference:
    """Return how `after` differs from `before`. It reads both file indexes: for a worker thread."""
    old, new = Tree(reader, before.layers).visible(), Tree(reader, after.layers).visible()
    changed = [entry for path, entry in sorted(new.items()) if path in old and _differ(old[path], entry)]
    packages, moved = _packages(before.inventory.packages, after.inventory.packages)
    return Difference(
        packages,
        moved,
        _sides(map(flaw_of, before.verdict.findings), map(flaw_of, after.verdict.findings), _of_flaw),
        _sides(old.values(), new.values(), lambda entry: entry.path),
        tuple(changed[:MOST]),
        len(changed),
        (sum(entry.size for entry in old.values()), sum(entry.size for entry in new.values())),
    )


def _differ(one: FileEntry, other: FileEntry) -> bool:
    return (one.sha256, one.mode, one.target, one.kind) != (other.sha256, other.mode, other.target, other.kind)


def _packages(before: Sequence[Package], after: Sequence[Package]) -> tuple[Sides[Package], tuple[Moved, ...]]:
    """Return what came and went, and what is there in another version: by name and place."""
    sides = _sides(before, after, lambda one: (one.ecosystem, one.name, one.version, one.found_in), limit=None)
    gone = {_place(one): one for one in sides.gone}
    moved = [(gone[_place(one)], one) for one in sides.new if _place(one) in gone]
    places = {_place(one) for one, _ in moved}
    left = [one for one in sides.gone if _place(one) not in places]
    come = [one for one in sides.new if _place(one) not in places]
    told = tuple(
        Moved(one.ecosystem.value, one.name, one.found_in, one.version, other.version) for one, other in moved[:MOST]
    )
    return Sides(tuple(left[:MOST]), tuple(come[:MOST]), len(left), len(come)), told


def _place(package: Package) -> tuple[str, str, str, str]:
    return package.ecosystem.value, package.name, package.arch, package.found_in


def _of_flaw(flaw: Flaw) -> tuple[str, str]:
    return flaw.id, flaw.package


def _sides(
    before: Iterable[Item], after: Iterable[Item], key: Callable[[Item], Hashable], limit: int | None = MOST
) -> Sides[Item]:
    old, new = {key(one): one for one in before}, {key(one): one for one in after}
    gone = [one for name, one in old.items() if name not in new]
    come = [one for name, one in new.items() if name not in old]
    return Sides(tuple(gone[:limit]), tuple(come[:limit]), len(gone), len(come))
