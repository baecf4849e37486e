"""The vulnerability data in force: which files they are of, who reads them, and how others take their place.

    <data>/vulndb/current.json     the sources that count, each with its file; written whole, so it is the switch
    <data>/vulndb/<sha256>.sqlite  one source as it was imported; never changed
    <data>/vulndb/<job>.part/      an import that is under way, or that a crash has left

A file that `current.json` does not name is nobody's: whoever reads it goes on, and it is removed behind the last of
them, or at the next start. So there is never half a version, and two imports at once replace one source each.
"""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import DataVersion, Inventory, Vulnerability
from appliance.errors import FeedInvalid, FeedUnknown
from appliance.logs import Log
from appliance.scan.feeds import java_db
from appliance.scan.match import Matched, match
from appliance.services.vulndb_lookup import JavaArchives, Lookup

Opened = tuple[Lookup, JavaArchives | None]

FOLDER, CURRENT = "vulndb", "current.json"
JAVA = "java"  # the form that names archives and holds no advisories
_FORMAT = 1
_LARGEST = 4 << 20  # bytes of current.json


class Source(msgspec.Struct, frozen=True, rename="camel"):
    """One source as it was imported. Times are milliseconds, sizes bytes, digests hex SHA-256."""

    name: str
    form: str  # trivy, java, osv, grype
    origin: str  # where it came from, for people
    input: str  # digest of what was imported
    digest: str  # of the file made of it
    size: int
    built_at: Timestamp | None  # by its maker; None where it does not say
    imported_at: Timestamp
    advisories: int
    vulnerabilities: int


class _Current(msgspec.Struct, frozen=True, rename="camel"):
    format: int
    sources: tuple[Source, ...]


class Judged(msgspec.Struct, frozen=True):
    """What the data say of an inventory. Without data `matched` is empty and `data` None."""

    inventory: Inventory  # with the names of Java archives that the data know
    matched: Matched
    data: DataVersion | None


class DataSet:
    """One version of the data. It stays readable until `retire` was called and the last reader has left."""

    def __init__(self, folder: Path, sources: tuple[Source, ...]) -> None:
        """Read `sources`; nothing is opened yet."""
        self.sources = sources
        self.version = _version_of(sources)
        self.left: Callable[[], None] = lambda: None  # called when the last reader of a retired version has left
        self._paths = [path_of(folder, one) for one in sources if one.form != JAVA]
        self._java = next((path_of(folder, one) for one in sources if one.form == JAVA), None)
        self._free: list[Opened] = []
        self._lock = threading.Lock()
        self._readers = 0
        self._is_retired = False

    def enter(self) -> None:
        """Count one more reader: it does not close before that one has left."""
        with self._lock:
            self._readers += 1

    def leave(self) -> None:
        """Count one reader less."""
        with self._lock:
            self._readers -= 1
            is_last = self._is_retired and self._readers == 0
        if is_last:
            self._close()

    @property
    def is_read(self) -> bool:
        """Whether anybody reads it."""
        return self._readers > 0

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Lend out the open files to one thread that has entered. Raises FeedInvalid where they cannot be read."""
        with self._lock:
            opened = self._free.pop() if self._free else None
        if opened is None:
            opened = self._open()
        try:
            yield opened
        finally:
            with self._lock:
                self._free.append(opened)

    def retire(self) -> None:
        """Close what is open as soon as nobody reads it."""
        with self._lock:
            self._is_retired = True
            is_last = self._readers == 0
        if is_last:
            self._close()

    def _open(self) -> Opened:
        lookup = Lookup(self._paths)
        try:
            return lookup, JavaArchives(self._java) if self._java else None
        except BaseException:
            lookup.close()
            raise

    def _close(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for lookup, java in free:
            lookup.close()
            if java is not None:
                java.close()
        self.left()


class VulnerabilityData:
    """The data set in force. All of it blocks: worker threads only, but for `version` and `sources`."""

    def __init__(self, folder: Path, files: Files, log: Log) -> None:
        """Take up what lies in `folder` (the data folder's `vulndb`), and remove what a crash has left there.

        Data that cannot be read are said, and count as none: a scan then says that it had none.
        """
        self.folder = folder
        self._files = files
        self._log = log
        self._lock = threading.RLock()  # of the switch, and of what it leaves behind
        self._retired: list[DataSet] = []
        self.changed: Callable[[], None] = lambda: None  # called after each switch, in the thread that made it
        files.make_folder(folder)
        self._now = DataSet(folder, self._read())
        self._tidy(is_start=True)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the data are of, by name."""
        return self._now.sources

    @property
    def version(self) -> DataVersion | None:
        """Which data they are; None where there are no advisories."""
        return self._now.version

    def judge(self, inventory: Inventory, now: Timestamp) -> Judged:
        """Match `inventory` with the data in force, the whole of it with one version. Raises FeedInvalid."""
        with self._reading() as (data, (lookup, java)):
            if java is not None:
                inventory = java_db.resolve(inventory, java)
            if data.version is None:
                return Judged(inventory, Matched(inventory.distribution, (), (), ()), None)
            return Judged(inventory, match(inventory, lookup, now), data.version)

    def tell(self, vulnerability: str) -> Vulnerability | None:
        """Return all that is known of an id, or None. Raises FeedInvalid."""
        with self._reading() as (_, (lookup, _)):
            return next(iter(lookup.whole_vulnerabilities((vulnerability,))), None)

    def namespaces(self) -> list[str]:
        """Return what there are advisories about: distributions with their release, and ecosystems."""
        with self._reading() as (_, (lookup, _)):
            return sorted(lookup.namespaces)

    def put(self, source: Source, made: Path) -> bool:
        """Let the file `made`, which is of `source`, take the place of the one of that name. False: it is the same.

        Durable when it returns; a crash before that leaves what was there. Raises StorageFull, StoreFailed.
        """
        with self._lock:
            known = {one.name: one for one in self.sources}
            is_new = source.name not in known or known[source.name].digest != source.digest
            target = path_of(self.folder, source)
            if target.exists():
                self._files.remove(made)
            else:
                self._files.rename(made, target)
                self._files.sync_folder(self.folder)
            self._switch({**known, source.name: source})
        if is_new:
            self.changed()
        return is_new

    def remove(self, name: str) -> Source:
        """Let the source of that name count no more; return it. Raises FeedUnknown, StoreFailed."""
        with self._lock:
            known = {one.name: one for one in self.sources}
            if name not in known:
                raise FeedUnknown(f"no vulnerability data are called {name[:80]!r}; see: scr vulndb list")
            removed = known.pop(name)
            self._switch(known)
        self.changed()
        return removed

    def close(self) -> None:
        """Let all files go."""
        self._now.retire()

    @contextmanager
    def _reading(self) -> Iterator[tuple[DataSet, Opened]]:
        """Hold on to the version in force: it is read to the end, whatever takes its place meanwhile."""
        with self._lock:
            data = self._now
            data.enter()
        try:
            with data.reading() as opened:
                yield data, opened
        finally:
            data.leave()

    def _switch(self, sources: dict[str, Source]) -> None:
        """Write down which sources count, and read these from now on."""
        ordered = tuple(sources[name] for name in sorted(sources))
        body = msgspec.json.format(msgspec.json.encode(_Current(_FORMAT, ordered)))
        self._files.write_whole(self.folder / CURRENT, body)
        before, self._now = self._now, DataSet(self.folder, ordered)
        self._retired.append(before)
        before.left = self._tidy
        before.retire()

    def _read(self) -> tuple[Source, ...]:
        path = self.folder / CURRENT
        try:
            with path.open("rb") as file:
                current = msgspec.json.decode(file.read(_LARGEST), type=_Current)
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.MsgspecError) as error:
            self._log.error("vulndb.unreadable", file=CURRENT, reason=str(error), cure="import them again")
            return ()
        if current.format > _FORMAT:
            self._log.error(
                "vulndb.unreadable", file=CURRENT, reason="a newer scr wrote it", cure="run that one, or import again"
            )
            return ()
        return tuple(one for one in current.sources if self._is_usable(one))

    def _is_usable(self, source: Source) -> bool:
        path = path_of(self.folder, source)
        try:
            (JavaArchives if source.form == JAVA else _open_one)(path).close()
        except FeedInvalid as error:
            self._log.error("vulndb.unreadable", file=path.name, reason=error.message, cure="import them again")
            return False
        return True

    def _tidy(self, *, is_start: bool = False) -> None:
        """Remove the files that nobody names and nobody reads."""
        with self._lock:
            self._retired = [one for one in self._retired if one.is_read]
            kept = {path_of(self.folder, one) for data in (self._now, *self._retired) for one in data.sources}
            for path in self.folder.glob("*.sqlite"):
                if path not in kept:
                    self._files.remove(path)
        for left in self.folder.glob("*.part") if is_start else ():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)


def path_of(folder: Path, source: Source) -> Path:
    """Return where the file of `source` lies."""
    return folder / f"{source.digest}.sqlite"


def age_of(version: DataVersion, now: Timestamp) -> int | None:
    """Return how old the data are, in milliseconds; None where nobody says."""
    return max(0, now - version.built_at) if version.built_at else None


def _open_one(path: Path) -> Lookup:
    return Lookup((path,))


def _version_of(sources: tuple[Source, ...]) -> DataVersion | None:
    """Return what version `sources` make together: as old as the oldest that says when it was made."""
    if all(one.form == JAVA for one in sources):
        return None
    text = "".join(f"{one.name} {one.digest}\n" for one in sources)
    built = [one.built_at for one in sources if one.form != JAVA and one.built_at is not None]
    return DataVersion(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", min(built, default=Timestamp(0)))
