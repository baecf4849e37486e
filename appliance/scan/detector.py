"""What a detector is: which files it wants, and how it reads one. A pure function and a line of facts."""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from appliance.domain.layer import Build, ContentSets, PackageLicences, Release
from appliance.domain.vulnerability import Package


class Owned(msgspec.Struct, frozen=True):
    """Paths that a package of the distribution installed, of those a language's detector may read too."""

    paths: tuple[str, ...]


Fact = Package | Release | Owned | PackageLicences | ContentSets | Build


class Wants(msgspec.Struct, frozen=True):
    """Which files a detector reads: those that fit any one of the fields. Paths have no leading slash."""

    paths: frozenset[str] = frozenset()  # whole paths
    names: frozenset[str] = frozenset()  # last components
    endings: tuple[str, ...] = ()  # of the last component, beginning with its last dot or an earlier one
    folders: frozenset[str] = frozenset()  # every file that lies directly in one of them
    pattern: re.Pattern[str] | None = None  # found in the path, if `names`, `endings` or `folders` fit as well
    heads: tuple[bytes, ...] = ()  # the first bytes of the content


class Detector(msgspec.Struct, frozen=True):
    """One way to find packages.

    `read(path, content)` yields what is in one file and may raise Unreadable or LimitReached after any of them.
    A change of what it yields is a new `version`: reports that an older one made are then stale.
    """

    name: str
    version: int
    wants: Wants
    read: Callable[[str, bytes], Iterator[Fact]]
    is_essential: bool = False  # a file that it cannot read makes the result partial
    takes_large: bool = False  # up to `Limits.large_body`, because its files have no natural size


class Router:
    """Finds the detectors of a file in constant time, however many there are."""

    def __init__(self, detectors: Iterable[Detector]) -> None:
        """Index what `detectors` want."""
        self._paths: dict[str, list[Detector]] = {}
        self._names: dict[str, list[Detector]] = {}
        self._folders: dict[str, list[Detector]] = {}
        self._endings: dict[str, list[tuple[str, Detector]]] = {}
        self._heads: list[tuple[bytes, Detector]] = []
        for detector in detectors:
            for index, keys in (
                (self._paths, detector.wants.paths),
                (self._names, detector.wants.names),
                (self._folders, detector.wants.folders),
            ):
                for key in keys:
                    index.setdefault(key, []).append(detector)
            for ending in detector.wants.endings:
                self._endings.setdefault(ending[ending.rindex(".") :], []).append((ending, detector))
            self._heads += [(head, detector) for head in detector.wants.heads]
        self._first = frozenset(head[0] for head, _ in self._heads)

    def by_path(self, path: str) -> list[Detector]:
        """Return the detectors that want the file at `path`, each once."""
        folder, _, name = path.rpartition("/")
        found = [
            detector
            for detector in (*self._names.get(name, ()), *self._folders.get(folder, ()))
            if _fits(detector, path)
        ]
        dot = name.rfind(".")
        if dot >= 0:
            found += [
                detector
                for ending, detector in self._endings.get(name[dot:], ())
                if name.endswith(ending) and detector not in found and _fits(detector, path)
            ]
        if path in self._paths:
            found += [detector for detector in self._paths[path] if detector not in found]
        return found

    def by_head(self, head: bytes) -> list[Detector]:
        """Return the detectors that want a file which begins with `head`."""
        if not head or head[0] not in self._first:
            return []
        return [detector for start, detector in self._heads if head.startswith(start)]


def _fits(detector: Detector, path: str) -> bool:
    pattern = detector.wants.pattern
    return pattern is None or pattern.search(path) is not None
