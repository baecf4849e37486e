"""A file of vulnerability data: one source, written once, then only read.

Advisories that come one after another for one package share a row, so that a feed in the order of packages makes few
of them. What a list and a match need of a vulnerability is kept apart from its long texts. Nothing here is metadata:
the file can be made again from what it was imported from, so it is written without a journal, and one that was not
finished is thrown away.
"""

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec
from msgspec.structs import astuple, replace

from appliance.db.database import Row, Values
from appliance.domain.vulnerability import (
    Advisory,
    FeedRecord,
    Platform,
    PlatformKind,
    Severity,
    Span,
    Status,
    Vulnerability,
)
from appliance.errors import FeedInvalid, StorageFull, StoreFailed

APPLICATION_ID = 0x53435644  # "SCVD", in the file's header
FORMAT = 1  # of the tables and of what is packed in them

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE namespaces (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE advisories (namespace INTEGER NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (namespace, name, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE vulnerabilities (id TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (id, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE texts (id TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (id, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE platforms (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;
"""
_BATCH = 2000  # rows written by one call
_MOST = 500  # advisories in one row: a package of the Linux kernel has some thousands
_PACKED = 200  # bytes from which on a body is deflated; shorter ones gain nothing
_DEFLATED = b"\x78"  # the first byte of zlib's form; no list in msgpack begins with it
_CACHE_KIB = 8192  # page cache of a connection, KiB
_MMAP = 1 << 30  # bytes; reads come from the page cache without a copy


class _Kept(msgspec.Struct, array_like=True, gc=False):
    """The fields of an Advisory but for the two that the row has, in their order."""

    id: str
    feed: str
    fixed: str
    introduced: str
    spans: tuple[Span, ...]
    vulnerable: tuple[str, ...]
    patched: tuple[str, ...]
    unaffected: tuple[str, ...]
    versions: tuple[str, ...]
    severity: Severity | None
    status: Status
    arches: tuple[str, ...]
    vendor_ids: tuple[str, ...]
    platforms: tuple[int, ...]
    aliases: tuple[str, ...]


class _Text(msgspec.Struct, array_like=True, gc=False):
    """What only a page about one vulnerability shows."""

    description: str
    references: tuple[str, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode_kept = msgspec.msgpack.Decoder(list[_Kept]).decode
_decode_vulnerability = msgspec.msgpack.Decoder(Vulnerability).decode
_decode_text = msgspec.msgpack.Decoder(_Text).decode
_decode_indices = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class Counts(msgspec.Struct, frozen=True):
    """How much a file holds."""

    advisories: int
    vulnerabilities: int


class AdvisoryWriter:
    """Fills a new file. What is added counts once `finish` has returned; the file is not synced."""

    def __init__(self, path: Path) -> None:
        """Begin the file at `path`, where none may be."""
        self._connection = apsw.Connection(str(path))
        for pragma, value in (
            ("page_size", 8192),
            ("application_id", APPLICATION_ID),
            ("user_version", FORMAT),
            ("journal_mode", "off"),
            ("synchronous", "off"),
            ("locking_mode", "exclusive"),
            ("cache_size", -65536),
        ):
            self._connection.pragma(pragma, value)
        self._connection.execute(_TABLES)
        self._connection.execute("BEGIN")
        self._namespaces: dict[str, int] = {}
        self._place = (0, "")  # of the advisories that are gathered
        self._gathered: list[_Kept] = []
        self._rows: dict[str, list[Values]] = {sql: [] for sql in _INSERTS.values()}
        self._seq = self._advisories = self._vulnerabilities = 0

    def add(self, record: FeedRecord) -> None:
        """Keep `record`. Raises StorageFull, StoreFailed."""
        if isinstance(record, Advisory):
            self._add_advisory(record)
        elif isinstance(record, Vulnerability):
            self._add_vulnerability(record)
        else:
            self._put("platform", (record.kind.value, record.key, _encode(record.indices)))

    def finish(self, facts: Mapping[str, str]) -> Counts:
        """Write down `facts` and what is left, and close. Raises StorageFull, StoreFailed."""
        self._settle()
        for name, value in sorted(facts.items()):
            self._put("fact", (name, value))
        for sql in self._rows:
            self._flush(sql)
        with _telling():
            self._connection.execute("COMMIT")
            self._connection.execute("PRAGMA optimize")
        self._connection.close()
        return Counts(self._advisories, self._vulnerabilities)

    def _add_advisory(self, advisory: Advisory) -> None:
        place = (self._namespace(advisory.namespace), advisory.name)
        if place != self._place or len(self._gathered) >= _MOST:
            self._settle()
            self._place = place
        self._gathered.append(_Kept(*astuple(advisory)[2:]))
        self._advisories += 1

    def _settle(self) -> None:
        """Make a row of the advisories that are gathered."""
        if self._gathered:
            self._seq += 1
            self._put("advisory", (*self._place, self._seq, _pack(_encode(self._gathered))))
            self._gathered = []

    def _namespace(self, name: str) -> int:
        found = self._namespaces.get(name)
        if found is None:
            found = self._namespaces[name] = len(self._namespaces) + 1
            self._put("namespace", (found, name))
        return found

    def _add_vulnerability(self, told: Vulnerability) -> None:
        self._seq += 1
        self._vulnerabilities += 1
        brief = replace(told, description="", references=())
        self._put("vulnerability", (told.id, self._seq, _pack(_encode(brief))))
        if told.description or told.references:
            text = _Text(told.description, told.references)
            self._put("text", (told.id, self._seq, _pack(_encode(text))))

    def _put(self, kind: str, row: Values) -> None:
        sql = _INSERTS[kind]
        self._rows[sql].append(row)
        if len(self._rows[sql]) >= _BATCH:
            self._flush(sql)

    def _flush(self, sql: str) -> None:
        rows, self._rows[sql] = self._rows[sql], []
        with _telling():
            self._connection.executemany(sql, rows)


_INSERTS = {
    "fact": "INSERT INTO facts VALUES (?, ?)",
    "namespace": "INSERT INTO namespaces VALUES (?, ?)",
    "advisory": "INSERT INTO advisories VALUES (?, ?, ?, ?)",
    "vulnerability": "INSERT INTO vulnerabilities VALUES (?, ?, ?)",
    "text": "INSERT INTO texts VALUES (?, ?, ?)",
    "platform": "INSERT OR REPLACE INTO platforms VALUES (?, ?, ?)",
}


class AdvisoryFile:
    """A finished file, open for reading by one thread at a time. Sets go in whole: each question is one query."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises FeedInvalid for what is no such file, or one of another format."""
        with _reading(path):
            self._path = path
            self._connection = open_immutable(path)
            found = self._connection.pragma("application_id"), self._connection.pragma("user_version")
            if found != (APPLICATION_ID, FORMAT):
                self._connection.close()
                raise FeedInvalid(f"{path.name} is no vulnerability data of this program's form; import them again")
            rows = self._connection.execute("SELECT name, id FROM namespaces").fetchall()
            self._namespaces = {str(name): number for name, number in rows}

    @property
    def namespaces(self) -> Collection[str]:
        """What it has advisories in."""
        return self._namespaces.keys()

    def covers(self, namespace: str) -> bool:
        """Return whether there is any advisory in `namespace`."""
        return namespace in self._namespaces

    def advisories(self, namespace: str, names: Collection[str]) -> Iterator[Advisory]:
        """Yield the advisories of these packages."""
        sql = (
            "SELECT name, body FROM advisories WHERE namespace = ?"
            " AND name IN (SELECT value FROM json_each(?)) ORDER BY name, seq"
        )
        if (number := self._namespaces.get(namespace)) is None:
            return
        with _reading(self._path):
            for name, body in self._rows(sql, (number, _json(names))):
                for kept in _decode_kept(_unpack(body)):
                    yield Advisory(namespace, name, *astuple(kept))

    def vulnerabilities(self, ids: Collection[str]) -> Iterator[Vulnerability]:
        """Yield what is known of these ids but for long texts; one id may come several times."""
        sql = "SELECT body FROM vulnerabilities WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id, seq"
        with _reading(self._path):
            for (body,) in self._rows(sql, (_json(ids),)):
                yield _decode_vulnerability(_unpack(body))

    def whole_vulnerabilities(self, ids: Collection[str]) -> Iterator[Vulnerability]:
        """Yield the same with description and references."""
        sql = (
            "SELECT v.body, t.body FROM vulnerabilities v LEFT JOIN texts t USING (id, seq)"
            " WHERE v.id IN (SELECT value FROM json_each(?)) ORDER BY v.id, v.seq"
        )
        with _reading(self._path):
            for body, packed in self._rows(sql, (_json(ids),)):
                told = _decode_vulnerability(_unpack(body))
                if packed is not None:
                    text = _decode_text(_unpack(packed))
                    told = replace(told, description=text.description, references=text.references)
                yield told

    def platforms(self, kind: PlatformKind, keys: Collection[str]) -> Iterator[Platform]:
        """Yield the Red Hat platforms that these content sets or builds stand for."""
        sql = "SELECT key, body FROM platforms WHERE kind = ? AND key IN (SELECT value FROM json_each(?)) ORDER BY key"
        with _reading(self._path):
            for key, body in self._rows(sql, (kind.value, _json(keys))):
                yield Platform(kind, key, _decode_indices(body))

    def close(self) -> None:
        """Let it go."""
        self._connection.close()

    def _rows(self, sql: str, values: Values) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()


def open_immutable(path: Path) -> apsw.Connection:
    """Return a connection to a file that nobody changes: no lock, no journal, nothing in it is trusted to run."""
    connection = apsw.Connection(
        f"file:{_quoted(path)}?immutable=1",
        flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        statementcachesize=32,
    )
    for option, value in (
        (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
        (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1),
    ):
        connection.config(option, value)
    for pragma, setting in (
        ("query_only", 1),
        ("cell_size_check", 1),
        ("cache_size", -_CACHE_KIB),
        ("mmap_size", _MMAP),
    ):
        connection.pragma(pragma, setting)
    return connection


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _json(words: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(words)).decode()


def _pack(body: bytes) -> bytes:
    return zlib.compress(body, 6) if len(body) >= _PACKED else body


def _unpack(body: bytes) -> bytes:
    return zlib.decompress(body) if body[:1] == _DEFLATED else body


@contextmanager
def _telling() -> Iterator[None]:
    """Turn errors of writing into ours."""
    try:
        yield
    except apsw.FullError as error:
        raise StorageFull("the disk is full: no room for the vulnerability data; free the disk") from error
    except apsw.Error as error:
        raise StoreFailed(f"the vulnerability data cannot be written: {error}; see the host's disk") from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn errors of reading, and of unpacking what is broken, into ours."""
    try:
        yield
    except (apsw.Error, OSError, zlib.error, msgspec.MsgspecError) as error:
        raise FeedInvalid(f"the vulnerability data {path.name} cannot be read: {error}; import them again") from error
