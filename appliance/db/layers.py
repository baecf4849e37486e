"""Layers that were read, by the digest of their blob, and the index of their files. In `scan.sqlite`."""

import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import NewType

import msgspec

from appliance.db.database import Reader, Row, Transaction, Values
from appliance.domain.layer import FileEntry, FileKind, LayerContents
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, from_bytes, to_bytes

LayerId = NewType("LayerId", int)

IMPLIED = -1  # mode of a folder that a layer does not name itself, though it has something in it
_KINDS = tuple(FileKind)
_PLACES = {kind: place for place, kind in enumerate(_KINDS)}
FOLDER = _PLACES[FileKind.FOLDER]  # as files have it
_DECODER = msgspec.msgpack.Decoder(LayerContents)
_COLUMNS = "n.name, f.kind, f.size, f.mode, f.sha256, f.target, f.is_searched"
_INSERT = """
INSERT OR REPLACE INTO files (layer_id, folder_id, name_id, kind, mode, size, sha256, target, is_searched)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_AMONG = f"""
WITH wanted AS MATERIALIZED (
  SELECT d.id AS folder_id, d.path, n.id AS name_id, n.name FROM json_each(:paths) w
  CROSS JOIN folders d ON d.path = w.value ->> 0 CROSS JOIN names n ON n.name = w.value ->> 1)
SELECT {_COLUMNS}, f.layer_id, n.path FROM json_each(:layers) l CROSS JOIN wanted n
CROSS JOIN files f ON f.layer_id = l.value AND f.folder_id = n.folder_id AND f.name_id = n.name_id
WHERE f.mode >= 0
"""


class Layer(msgspec.Struct, frozen=True):
    """A layer that was read to its end; `contents` is without its files, which are asked for by folder and name."""

    id: LayerId
    digest: Digest
    reader: str
    read_at: Timestamp
    files: int
    contents: LayerContents


class Gone(msgspec.Struct, frozen=True):
    """What a layer takes from those below it; LayerContents reads as this too."""

    whiteouts: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()


def begin(tx: Transaction, digest: Digest, reader: str, now: Timestamp) -> LayerId:
    """Begin to write down a layer; nobody sees it before `finish`."""
    sql = "INSERT INTO layers (digest, reader, read_at) VALUES (?, ?, ?)"
    return LayerId(tx.insert(sql, (to_bytes(digest), reader, now)))


def add_files(tx: Transaction, layer: LayerId, entries: Sequence[FileEntry]) -> None:
    """Write down files of a layer; one that has the path of an earlier one replaces it."""
    _insert(tx, _INSERT, layer, entries)


def finish(tx: Transaction, layer: LayerId, contents: LayerContents) -> None:
    """Let everybody see the layer, in the place of what an earlier reading of the same blob left."""
    _imply_folders(tx, layer)
    digest = tx.rows("SELECT digest FROM layers WHERE id = ?", (layer,))[0][0]
    for (old,) in tx.rows("SELECT id FROM layers WHERE digest = ? AND is_whole", (digest,)):
        drop(tx, LayerId(old))
    values: Values = {
        "id": layer,
        "diff_id": None if contents.diff_id is None else to_bytes(contents.diff_id),
        "size": contents.size,
        "contents": zlib.compress(msgspec.msgpack.encode(msgspec.structs.replace(contents, files=()))),
        "gone": msgspec.msgpack.encode(Gone(contents.whiteouts, contents.opaque)),
    }
    tx.execute(
        "UPDATE layers SET is_whole = 1, diff_id = :diff_id, size = :size, contents = :contents, gone = :gone,"
        " files = (SELECT count(*) FROM files WHERE layer_id = :id AND mode >= 0) WHERE id = :id",
        values,
    )


def drop(tx: Transaction, layer: LayerId) -> None:
    """Forget a layer and its files."""
    tx.execute("DELETE FROM files WHERE layer_id = ?", (layer,))
    tx.execute("DELETE FROM layers WHERE id = ?", (layer,))


def drop_unfinished(tx: Transaction) -> int:
    """Forget what a crash left half written; return how many layers that were."""
    left = tx.rows("SELECT id FROM layers WHERE NOT is_whole")
    for (layer,) in left:
        drop(tx, LayerId(layer))
    return len(left)


def drop_unused(tx: Transaction, limit: int) -> int:
    """Forget up to `limit` layers that belong to no scan any more; return how many that were."""
    sql = (
        "SELECT id FROM layers WHERE is_whole AND NOT EXISTS"
        " (SELECT 1 FROM scan_layers s WHERE s.digest = layers.digest) LIMIT ?"
    )
    unused = tx.rows(sql, (limit,))
    for (layer,) in unused:
        drop(tx, LayerId(layer))
    return len(unused)


def find(reader: Reader, digest: Digest) -> Layer | None:
    """Return the layer, however old its reading is, or None."""
    sql = "SELECT id, reader, read_at, files, contents FROM layers WHERE digest = ? AND is_whole"
    row = reader.one(sql, (to_bytes(digest),))
    if row is None:
        return None
    contents = _DECODER.decode(zlib.decompress(row[4]))
    return Layer(LayerId(row[0]), digest, row[1], Timestamp(row[2]), row[3], contents)


def find_id(reader: Reader, digest: Digest) -> LayerId | None:
    """Return the id of the layer, or None."""
    row = reader.one("SELECT id FROM layers WHERE digest = ? AND is_whole", (to_bytes(digest),))
    return LayerId(row[0]) if row else None


def list_among(reader: Reader, layer: LayerId, paths: Collection[str]) -> list[FileEntry]:
    """Return those files of the layer that have one of `paths`; folders that it does not name itself are none."""
    return list_among_all(reader, (layer,), paths)[layer]


def list_among_all(
    reader: Reader, layers: Collection[LayerId], paths: Collection[str]
) -> dict[LayerId, list[FileEntry]]:
    """Return the same of each of `layers`, in one query: one for each folder would be a hundred times as many."""
    found: dict[LayerId, list[FileEntry]] = {layer: [] for layer in layers}
    pairs = [_split(path) for path in paths]
    values: Values = {
        "layers": msgspec.json.encode(list(found)).decode(),
        "paths": msgspec.json.encode(pairs).decode(),
    }
    for row in reader.rows(_AMONG, values):
        found[LayerId(row[7])].append(_entry(row[8], row))
    return found


def list_folder(reader: Reader, layer: LayerId, folder: str) -> list[FileEntry]:
    """Return what lies directly in a folder of the layer, by name."""
    sql = (
        f"SELECT {_COLUMNS} FROM files f JOIN names n ON n.id = f.name_id WHERE f.layer_id = ?"
        " AND f.folder_id = (SELECT id FROM folders WHERE path = ?) ORDER BY n.name"
    )
    return [_entry(folder, row) for row in reader.rows(sql, (layer, folder))]


def list_searched(reader: Reader, layer: LayerId) -> list[str]:
    """Return the paths of the files of the layer that were searched for secrets."""
    sql = (
        "SELECT iif(d.path = '', n.name, d.path || '/' || n.name) FROM files f JOIN names n ON n.id = f.name_id"
        " JOIN folders d ON d.id = f.folder_id WHERE f.layer_id = ? AND f.is_searched"
    )
    return [row[0] for row in reader.rows(sql, (layer,))]


def walk(reader: Reader, layer: LayerId) -> Iterator[FileEntry]:
    """Yield all files of the layer that it names itself, folder by folder."""
    sql = "SELECT DISTINCT f.folder_id, d.path FROM files f JOIN folders d ON d.id = f.folder_id WHERE f.layer_id = ?"
    for folder, path in reader.rows(sql, (layer,)):
        rows = reader.rows(
            f"SELECT {_COLUMNS} FROM files f JOIN names n ON n.id = f.name_id"
            " WHERE f.layer_id = ? AND f.folder_id = ? AND f.mode >= 0",
            (layer, folder),
        )
        yield from (_entry(path, row) for row in rows)


def digests_of(reader: Reader, layers: Collection[LayerId]) -> dict[LayerId, Digest]:
    """Return the digests of the blobs of `layers`."""
    sql = "SELECT id, digest FROM layers WHERE id IN (SELECT value FROM json_each(?))"
    rows = reader.rows(sql, (msgspec.json.encode(list(layers)).decode(),))
    return {LayerId(row[0]): from_bytes(row[1]) for row in rows}


def parents_of(path: str) -> Iterator[str]:
    """Yield the folders above `path`, the nearest first, without the root."""
    while path := path.rpartition("/")[0]:
        yield path


def _imply_folders(tx: Transaction, layer: LayerId) -> None:
    """Give each folder that has something in it a row of its own, so that a tree can be walked down."""
    sql = "SELECT DISTINCT d.path FROM files f JOIN folders d ON d.id = f.folder_id WHERE f.layer_id = ?"
    used = {row[0] for row in tx.rows(sql, (layer,)) if row[0]}
    used.update([parent for path in used for parent in parents_of(path)])
    implied = [FileEntry(path, FileKind.FOLDER, 0, IMPLIED) for path in used]
    _insert(tx, _INSERT.replace("OR REPLACE", "OR IGNORE"), layer, implied)


def _insert(tx: Transaction, sql: str, layer: LayerId, entries: Sequence[FileEntry]) -> None:
    places = [_split(_text(entry.path)) for entry in entries]
    folders = _ids(tx, "folders", "path", {folder for folder, _ in places})
    names = _ids(tx, "names", "name", {name for _, name in places})
    tx.execute_many(
        sql,
        (
            (
                layer,
                folders[folder],
                names[name],
                _PLACES[entry.kind],
                entry.mode,
                entry.size,
                entry.sha256,
                _text(entry.target),
                entry.is_searched,
            )
            for (folder, name), entry in zip(places, entries, strict=True)
        ),
    )


def _ids(tx: Transaction, table: str, column: str, texts: Collection[str]) -> dict[str, int]:
    """Return the ids of `texts`, those too that were not there."""
    wanted = (msgspec.json.encode(sorted(texts)).decode(),)
    tx.execute(f"INSERT OR IGNORE INTO {table} ({column}) SELECT value FROM json_each(?)", wanted)
    sql = f"SELECT t.{column}, t.id FROM json_each(?) w CROSS JOIN {table} t ON t.{column} = w.value"
    return dict(tx.rows(sql, wanted))


def _split(path: str) -> tuple[str, str]:
    """Return folder and name."""
    folder, _, name = path.rpartition("/")
    return folder, name


def _entry(folder: str, row: Row) -> FileEntry:
    path = f"{folder}/{row[0]}" if folder else row[0]
    return FileEntry(path, _KINDS[row[1]], row[2], row[3], row[4], row[5], is_searched=bool(row[6]))


def _text(text: str) -> str:
    """Return `text` as SQLite can keep and compare it: names of files may hold bytes that are no text, or end one."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
