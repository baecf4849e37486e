"""The files of an image and of each of its layers, a folder at a time: what is added, changed, hidden, and wasted.

From the index that scans keep: no layer is read for it.
"""

from collections.abc import Iterable, Sequence

import msgspec

from appliance.db import layers
from appliance.db.database import Reader
from appliance.db.layers import IMPLIED, Layer
from appliance.domain.layer import FileEntry, FileKind
from appliance.domain.names import Digest


class Leaf(msgspec.Struct, frozen=True):
    """A name in a folder. `change` is what its layer did to those below: added, changed, removed, or none (a folder).

    `is_hidden`: a layer above replaced or removed it.
    """

    entry: FileEntry
    layer: Digest
    change: str
    is_hidden: bool


class LayerSum(msgspec.Struct, frozen=True):
    """A layer in numbers; sizes in bytes. `wasted` is of files that layers above replace or remove."""

    digest: Digest
    files: int
    size: int
    wasted: int


class Tree:
    """The layers of one image, the lowest first. It asks the database: for a worker thread."""

    def __init__(self, reader: Reader, digests: Sequence[Digest]) -> None:
        """Load what is known of the layers; those of which nothing is kept are left out."""
        self._reader = reader
        found = [layers.find(reader, digest) for digest in digests]
        self.layers: list[Layer] = [layer for layer in found if layer is not None]

    def list_folder(self, folder: str, only: Digest | None) -> list[Leaf]:
        """Return what lies in a folder of the whole image, by name; of one layer, with what that removed."""
        shelf = _Shelf(self._reader, self.layers, folder)
        if only is None:
            return self._merged(shelf)
        found: list[Leaf] = []
        for place, layer in enumerate(self.layers):
            if layer.digest == only:
                found += [shelf.leaf(place, entry) for entry in shelf.listed[place]]
                gone = (path for path in layer.contents.whiteouts if path.rpartition("/")[0] == folder)
                found += [
                    Leaf(FileEntry(path, FileKind.FILE, 0, 0), layer.digest, "removed", is_hidden=False)
                    for path in gone
                ]
        return sorted(found, key=_by_path)

    def _merged(self, shelf: "_Shelf") -> list[Leaf]:
        found: dict[str, Leaf] = {}
        for place in range(len(self.layers) - 1, -1, -1):
            for entry in shelf.listed[place]:
                known = found.get(entry.path)
                if known is not None and known.entry.mode != IMPLIED:
                    continue
                leaf = shelf.leaf(place, entry)
                if not leaf.is_hidden:
                    found[entry.path] = leaf
        return sorted(found.values(), key=_by_path)

    def sums(self) -> list[LayerSum]:
        """Return every layer in numbers. It walks all files: some hundredth of a second a thousand."""
        cover = _Cover()
        sums: list[LayerSum] = []
        for layer in reversed(self.layers):
            entries = list(layers.walk(self._reader, layer.id))
            files = [entry for entry in entries if entry.kind is FileKind.FILE]
            wasted = sum(entry.size for entry in files if cover.hides(entry))
            sums.append(LayerSum(layer.digest, layer.files, sum(entry.size for entry in files), wasted))
            cover.add(layer, entries)
        return sums[::-1]

    def visible(self) -> dict[str, FileEntry]:
        """Return all files of the whole image by path; folders are none."""
        found: dict[str, FileEntry] = {}
        cover = _Cover()
        for layer in reversed(self.layers):
            entries = list(layers.walk(self._reader, layer.id))
            shown = (entry for entry in entries if entry.kind is not FileKind.FOLDER and not cover.hides(entry))
            found.update((entry.path, entry) for entry in shown)
            cover.add(layer, entries)
        return found


class _Cover:
    """What layers, added from the uppermost down, hide of those below them."""

    def __init__(self) -> None:
        self._gone: set[str] = set()  # hidden with all that lies below it
        self._folders: set[str] = set()  # of a file that lay there only the name is left
        self._opaque: set[str] = set()

    def hides(self, entry: FileEntry) -> bool:
        """Whether no container sees this file of a lower layer."""
        path = entry.path
        if path in self._gone or path in self._folders or "" in self._opaque:
            return True
        return any(parent in self._gone or parent in self._opaque for parent in layers.parents_of(path))

    def add(self, layer: Layer, entries: Iterable[FileEntry]) -> None:
        """Let `layer`, which has `entries`, lie above those that come."""
        for entry in entries:
            (self._folders if entry.kind is FileKind.FOLDER else self._gone).add(entry.path)
            self._folders.update(layers.parents_of(entry.path))
        self._gone.update(layer.contents.whiteouts)
        self._opaque.update(layer.contents.opaque)


class _Shelf:
    """One folder in every layer: what lies in it, and which layers hide what lies below them there."""

    def __init__(self, reader: Reader, known: Sequence[Layer], folder: str) -> None:
        self._layers = known
        self.listed = [layers.list_folder(reader, layer.id, folder) for layer in known]
        self._names = [{entry.path: entry for entry in entries} for entries in self.listed]
        above = [folder, *layers.parents_of(folder)] if folder else []
        self._hides = [_hides(reader, layer, above) for layer in known]
        self._whiteouts = [frozenset(layer.contents.whiteouts) for layer in known]

    def leaf(self, place: int, entry: FileEntry) -> Leaf:
        """Return an entry of the layer at `place` with what it does to those below, and whether those above hide it."""
        is_known = any(entry.path in names for names in self._names[:place])
        change = "" if entry.mode == IMPLIED else "changed" if is_known else "added"
        return Leaf(entry, self._layers[place].digest, change, self._is_hidden(place, entry))

    def _is_hidden(self, place: int, entry: FileEntry) -> bool:
        for upper in range(place + 1, len(self._layers)):
            if self._hides[upper] or entry.path in self._whiteouts[upper]:
                return True
            other = self._names[upper].get(entry.path)
            if other is not None and not (other.kind is entry.kind is FileKind.FOLDER):
                return True
        return False


def _hides(reader: Reader, layer: Layer, above: Sequence[str]) -> bool:
    """Whether the layer removes or replaces one of the folders `above`, each within the one before, or empties it."""
    contents = layer.contents
    if any(path in contents.opaque for path in (*above, "")) or any(path in contents.whiteouts for path in above):
        return True
    return any(entry.kind is not FileKind.FOLDER for entry in layers.list_among(reader, layer.id, above))


def _by_path(leaf: Leaf) -> str:
    return leaf.entry.path
