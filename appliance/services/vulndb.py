"""The vulnerability data in force: which files they are of, who reads them, and how others take their place.

    <data>/vulndb/current.json     the sources that count, each with its file; written whole, so it is the switch
    <data>/vulndb/<sha256>.sqlite  one source as it was imported; never changed
    <data>/vulndb/<job>.part/      an import that is under way, or that a crash has left

A file that `current.json` does not name is nobody's and is removed: who still reads it has it open, and an open file
outlives its name. So there is never half a version, and two imports at once replace one source each.
"""

import contextlib
import hashlib
import queue
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import DataVersion, Inventory, Verified, Vulnerability
from appliance.errors import FeedInvalid, FeedUnknown, ScrError
from appliance.logs import Log
from appliance.scan.feeds import java_db
from appliance.scan.match import Matched, match
from appliance.scan.matching.memory import Memory
from appliance.services.vulndb_lookup import JavaArchives, Lookup

Opened = tuple[Lookup, JavaArchives | None]

FOLDER, CURRENT = "vulndb", "current.json"
JAVA = "java"  # the form that names archives and holds no advisories
_FORMAT = 1
_READERS = 2  # threads that read at once: a scan, and whoever looks at a page
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
    mark: str = ""  # by which the server that it was fetched from knows it again
    verified: Verified = Verified.NONE  # what was imported; of older entries nobody knows


class _Current(msgspec.Struct, frozen=True, rename="camel"):
    format: int
    sources: tuple[Source, ...]


class DataSet:
    """One version of the data, open for reading: it is read to its end, whatever takes its place meanwhile.

    Its files are open from the beginning, and an open file outlives its name. The last who holds it lets them go.
    """

    def __init__(self, folder: Path, sources: tuple[Source, ...]) -> None:
        """Open the files of `sources`. Raises FeedInvalid."""
        self.sources = sources
        self.version = version_of(sources)
        self.has_advisories = any(one.form != JAVA for one in sources)
        self._free: queue.SimpleQueue[Opened] = queue.SimpleQueue()
        for _ in range(_READERS):
            self._free.put(_open(folder, sources))

    def judge(self, inventory: Inventory, now: Timestamp, memory: Memory | None = None) -> tuple[Inventory, Matched]:
        """Return what the data say of `inventory`, and it with the names of Java archives that they know (blocking).

        `memory` is of these data, for whoever judges many images.
        Raises FeedInvalid where the data cannot be read.
        """
        with self.reading() as (lookup, java):
            if java is not None:
                inventory = java_db.resolve(inventory, java)
            return inventory, match(inventory, lookup, now, memory)

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Lend out the open files to one thread (blocking)."""
        opened = self._free.get()
        try:
            yield opened
        finally:
            self._free.put(opened)

    def close(self) -> None:
        """Let the files go, once nobody reads them (blocking)."""
        for _ in range(_READERS):
            lookup, java = self._free.get()
            lookup.close()
            if java is not None:
                java.close()


class Vulndb:
    """The data in force. All of it blocks: for worker threads, but for `version`, `sources` and `hold`."""

    def __init__(self, folder: Path, files: Files, log: Log) -> None:
        """Take up what lies in `folder` (the data folder's `vulndb`), and remove what a crash has left there.

        Data that cannot be read are said, and count as none: a scan then says that it had none.
        """
        self.folder = folder
        self._files = files
        self._log = log
        self._lock = threading.Lock()  # of the switch
        files.make_folder(folder)
        self._now = DataSet(folder, self._read())
        self._tidy()
        for left in folder.glob("*.part"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the data are of, by name."""
        return self._now.sources

    @property
    def version(self) -> DataVersion | None:
        """Which data they are; None where there are no advisories."""
        return self._now.version if self._now.has_advisories else None

    def hold(self) -> DataSet | None:
        """Return the data of now, or None. They stay as they are for whoever holds them."""
        return self._now if self._now.has_advisories else None

    def tell(self, vulnerability: str) -> Vulnerability | None:
        """Return all that is known of an id, or None. Raises FeedInvalid."""
        with self._now.reading() as (lookup, _):
            return next(iter(lookup.whole_vulnerabilities((vulnerability,))), None)

    def namespaces(self) -> list[str]:
        """Return what there are advisories about: distributions with their release, and ecosystems."""
        with self._now.reading() as (lookup, _):
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
        return is_new

    def verify(self, name: str, verified: Verified) -> None:
        """Write down that what a source was made of is verified in this way now. Raises StoreFailed."""
        with self._lock:
            known = {one.name: one for one in self.sources}
            if name in known:
                self._switch({**known, name: msgspec.structs.replace(known[name], verified=verified)})

    def remove(self, name: str) -> Source:
        """Let the source of that name count no more; return it. Raises FeedUnknown, StoreFailed."""
        with self._lock:
            known = {one.name: one for one in self.sources}
            if name not in known:
                raise FeedUnknown(f"no vulnerability data are called {name[:80]!r}; see: scr vulndb list")
            removed = known.pop(name)
            self._switch(known)
        return removed

    def close(self) -> None:
        """Let all files go."""
        self._now.close()

    def _switch(self, sources: dict[str, Source]) -> None:
        """Write down which sources count, and read these from now on."""
        ordered = tuple(sources[name] for name in sorted(sources))
        opened = DataSet(self.folder, ordered)
        body = msgspec.json.format(msgspec.json.encode(_Current(_FORMAT, ordered)))
        self._files.write_whole(self.folder / CURRENT, body)
        self._now = opened
        self._tidy()

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
        try:
            lookup, java = _open(self.folder, (source,))
        except FeedInvalid as error:
            file = path_of(self.folder, source).name
            self._log.error("vulndb.unreadable", file=file, reason=error.message, cure="import them again")
            return False
        lookup.close()
        if java is not None:
            java.close()
        return True

    def _tidy(self) -> None:
        """Remove the files that nobody names: who reads them still has them open."""
        kept = {path_of(self.folder, one) for one in self.sources}
        for path in self.folder.glob("*.sqlite"):
            if path not in kept:
                with contextlib.suppress(ScrError):  # the next start tries again
                    self._files.remove(path)


def path_of(folder: Path, source: Source) -> Path:
    """Return where the file of `source` lies."""
    return folder / f"{source.digest}.sqlite"


def open_folder(folder: Path) -> DataSet | None:
    """Return the data that lie in `folder`, or None, for a program that only reads: nothing there is changed.

    Raises FeedInvalid where they cannot be read.
    """
    try:
        current = msgspec.json.decode((folder / CURRENT).read_bytes(), type=_Current)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise FeedInvalid(f"{folder / CURRENT} cannot be read: {error}; import them again") from error
    if all(one.form == JAVA for one in current.sources):
        return None
    return DataSet(folder, current.sources)


def age_of(version: DataVersion, now: Timestamp) -> int | None:
    """Return how old the data are, in milliseconds; None where nobody says."""
    return max(0, now - version.built_at) if version.built_at else None


def _open(folder: Path, sources: tuple[Source, ...]) -> Opened:
    """Open the files of `sources`. Raises FeedInvalid."""
    lookup = Lookup(path_of(folder, one) for one in sources if one.form != JAVA)
    try:
        named = next((path_of(folder, one) for one in sources if one.form == JAVA), None)
        return lookup, JavaArchives(named) if named else None
    except BaseException:
        lookup.close()
        raise


def version_of(sources: tuple[Source, ...]) -> DataVersion:
    """Return what version `sources` make together: as old as the oldest that says when it was made."""
    text = "".join(f"{one.name} {one.digest}\n" for one in sources)
    built = [one.built_at for one in sources if one.form != JAVA and one.built_at is not None]
    return DataVersion(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", min(built, default=Timestamp(0)))
