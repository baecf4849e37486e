"""Search over everything that was scanned: packages, vulnerabilities, files by path, name or content.

In `scan.sqlite`, which knows digests only; who may see which image is decided by whoever asks. Pages are by key: `last`
is the key of the last hit known, "" for the beginning. A text that ends in `*` means all that begin so.
"""

import msgspec

from appliance.db.database import Reader, Value
from appliance.db.layers import FOLDER
from appliance.domain.names import Digest, from_bytes
from appliance.errors import QueryInvalid

_NAMES = 2000  # different names of files that one search follows
_HIGHEST = "\U0010ffff"  # sorts behind every text
_LAYERS = "SELECT s.digest FROM scan_layers l JOIN scans s ON s.id = l.scan_id WHERE l.digest = ? LIMIT ?"
_MANIFESTS = 200  # that one layer is told to be of
_FILE = (
    "SELECT f.layer_id, f.folder_id, f.name_id, d.path, n.name, f.size, f.mode, f.sha256, l.digest, f.kind FROM files f"
    " JOIN folders d ON d.id = f.folder_id JOIN names n ON n.id = f.name_id"
    " JOIN layers l ON l.id = f.layer_id AND l.is_whole"
)
# without statistics SQLite would rather follow a name, and `index.js` is in every other folder
_BY_FOLDER = _FILE.replace("files f", "files f INDEXED BY files_by_folder")


class PackageHit(msgspec.Struct, frozen=True):
    """A package of one manifest."""

    key: str
    manifest: Digest
    name: str  # in lower case
    version: str
    ecosystem: str


class FlawHit(msgspec.Struct, frozen=True):
    """A vulnerability of one manifest; `rank` is that of the worst severity."""

    key: str
    manifest: Digest
    vulnerability: str
    rank: int


class FileHit(msgspec.Struct, frozen=True):
    """A file of one layer, and the manifests that the layer is of, the first of them."""

    key: str
    manifests: tuple[Digest, ...]
    layer: Digest
    path: str
    size: int
    mode: int
    sha256: str
    is_folder: bool


def find_packages(reader: Reader, name: str, version: str, last: str, limit: int) -> list[PackageHit]:
    """Return packages by name, or the beginning of one, and perhaps by version, in the order of names."""
    low, high = _range(name.lower())
    place = _place(last, 4, ("", "", "", 0))
    sql = (
        "SELECT p.name, p.version, p.ecosystem, p.scan_id, s.digest FROM scan_packages p"
        " JOIN scans s ON s.id = p.scan_id WHERE p.name >= ? AND p.name <= ? AND (? = '' OR p.version = ?)"
        " AND (p.name, p.version, p.ecosystem, p.scan_id) > (?, ?, ?, ?)"
        " ORDER BY p.name, p.version, p.ecosystem, p.scan_id LIMIT ?"
    )
    rows = reader.rows(sql, (low, high, version, version, *place, limit))
    return [PackageHit(_key(*row[:4]), from_bytes(row[4]), row[0], row[1], row[2]) for row in rows]


def find_flaws(reader: Reader, vulnerability: str, last: str, limit: int) -> list[FlawHit]:
    """Return what has a vulnerability of that id, or of those that begin so."""
    low, high = _range(vulnerability.upper())
    place = _place(last, 2, ("", 0))
    sql = (
        "SELECT f.vulnerability, f.scan_id, f.severity, s.digest FROM scan_findings f JOIN scans s ON s.id = f.scan_id"
        " WHERE f.vulnerability >= ? AND f.vulnerability <= ? AND (f.vulnerability, f.scan_id) > (?, ?)"
        " ORDER BY f.vulnerability, f.scan_id LIMIT ?"
    )
    rows = reader.rows(sql, (low, high, *place, limit))
    return [FlawHit(_key(*row[:2]), from_bytes(row[3]), row[0], row[2]) for row in rows]


def find_content(reader: Reader, sha256: bytes, last: str, limit: int) -> list[FileHit]:
    """Return files with that content."""
    place = _place(last, 3, (0, 0, 0))
    sql = (
        f"{_FILE} WHERE f.sha256 = ? AND f.size > 0 AND (f.layer_id, f.folder_id, f.name_id) > (?, ?, ?)"
        " ORDER BY f.layer_id, f.folder_id, f.name_id LIMIT ?"
    )
    return _files(reader, sql, (sha256, *place, limit))


def find_files(reader: Reader, text: str, last: str, limit: int) -> list[FileHit]:
    """Return files by path (`/etc/passwd`), by name (`log4j-core.jar`), or by what either begins with (`/etc/ssl/*`).

    A name with a `*` on both sides is one that has the text anywhere in it.
    """
    if text.startswith("/"):
        return _find_path(reader, text.removeprefix("/"), last, limit)
    names = _list_names(reader, text)
    place = _place(last, 3, (0, 0, 0))
    sql = (
        f"{_FILE} WHERE f.name_id IN (SELECT value FROM json_each(?)) AND f.mode >= 0"
        " AND (f.name_id, f.layer_id, f.folder_id) > (?, ?, ?) ORDER BY f.name_id, f.layer_id, f.folder_id LIMIT ?"
    )
    ids = msgspec.json.encode(sorted(names)).decode()
    return _files(reader, sql, (ids, place[2], place[0], place[1], limit))


def _list_names(reader: Reader, text: str) -> list[int]:
    """Return the ids of the names that `text` means."""
    if text.startswith("*") and text.strip("*"):
        sql = f"SELECT id FROM names WHERE instr(name, ?) LIMIT {_NAMES}"
        return [row[0] for row in reader.rows(sql, (text.strip("*"),))]
    sql = f"SELECT id FROM names WHERE name >= ? AND name <= ? LIMIT {_NAMES}"
    return [row[0] for row in reader.rows(sql, _range(text))]


def _find_path(reader: Reader, path: str, last: str, limit: int) -> list[FileHit]:
    """Return files by their whole path, or all whose path begins so (`etc/ssl/*`)."""
    place = _place(last, 3, (0, 0, 0))
    folder, _, name = path.rpartition("/")
    own = reader.one("SELECT id FROM folders WHERE path = ?", (folder,))
    folders = [own[0]] if own else []
    if not path.endswith("*"):  # one path: both ids are known, and the index leads to its layers
        sql = (
            f"{_BY_FOLDER} WHERE f.folder_id = ? AND f.name_id = (SELECT id FROM names WHERE name = ?) AND f.mode >= 0"
            " AND f.layer_id > ? ORDER BY f.layer_id LIMIT ?"
        )
        return _files(reader, sql, (own[0] if own else 0, name, place[0], limit))
    start = path[:-1]
    below = "SELECT id FROM folders WHERE path >= ? AND path <= ? AND path <> ? LIMIT ?"
    folders += [row[0] for row in reader.rows(below, (start, start + _HIGHEST, folder, _NAMES))]
    only, values = "", tuple[Value, ...]()
    if name != "*":  # of the folder itself only those that begin so
        only = " AND (f.folder_id <> ? OR f.name_id IN (SELECT id FROM names WHERE name >= ? AND name <= ?))"
        values = (own[0] if own else 0, *_range(name))
    sql = (
        f"{_BY_FOLDER} WHERE f.folder_id IN (SELECT value FROM json_each(?)) AND f.mode >= 0{only}"
        " AND (f.folder_id, f.name_id, f.layer_id) > (?, ?, ?) ORDER BY f.folder_id, f.name_id, f.layer_id LIMIT ?"
    )
    ids = msgspec.json.encode(sorted(folders)).decode()
    return _files(reader, sql, (ids, *values, place[1], place[2], place[0], limit))


def _files(reader: Reader, sql: str, values: tuple[Value, ...]) -> list[FileHit]:
    known: dict[bytes, tuple[Digest, ...]] = {}
    hits = []
    for row in reader.rows(sql, values):
        layer = row[8]
        if layer not in known:
            known[layer] = tuple(from_bytes(one[0]) for one in reader.rows(_LAYERS, (layer, _MANIFESTS)))
        path = f"{row[3]}/{row[4]}" if row[3] else row[4]
        content, is_folder = row[7].hex(), row[9] == FOLDER
        hits.append(FileHit(_key(*row[:3]), known[layer], from_bytes(layer), path, row[5], row[6], content, is_folder))
    return hits


def _range(text: str) -> tuple[str, str]:
    """Return the first and the last text that is meant."""
    if not text or text == "*":
        raise QueryInvalid("say what to look for: a name, or its beginning and a *")
    if text.endswith("*"):
        return text[:-1], text[:-1] + _HIGHEST
    return text, text


def _key(*parts: object) -> str:
    return msgspec.json.encode(parts).decode()


def _place(last: str, count: int, first: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the parts of a key. Raises QueryInvalid for one of another list."""
    if not last:
        return first
    try:
        found = msgspec.json.decode(last, type=list[str | int])
    except msgspec.DecodeError:
        found = []
    if len(found) != count:
        raise QueryInvalid("cursor is none of this list; take it from `next` of the page before")
    return tuple(found)
