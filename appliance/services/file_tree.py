"""The files of an image and of each of its layers, a folder at a time: what is added, changed, hidden, and wasted.

From the index that scans keep: no layer is read for it.
"""

from collections.abc import Sequence

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
        covered: set[str] = set()
        opaque: set[str] = set()
        sums: list[LayerSum] = []
        for layer in reversed(self.layers):
            entries = list(layers.walk(self._reader, layer.id))
            wasted = 0
            for entry in entries:
                parents = list(layers.parents_of(entry.path))
                if entry.path in covered or any(path in covered or path in opaque for path in parents) or "" in opaque:
                    wasted += entry.size if entry.kind is FileKind.FILE else 0
            size = sum(entry.size for entry in entries if entry.kind is FileKind.FILE)
            sums.append(LayerSum(layer.digest, layer.files, size, wasted))
            covered.update(entry.path for entry in entries if entry.kind is not FileKind.FOLDER)
            covered.update(layer.contents.whiteouts)
            opaque.update(layer.contents.opaque)
        return sums[::-1]

    def visible(self) -> dict[str, FileEntry]:
        """Return all files of the whole image by path; folders are none."""
        found: dict[str, FileEntry] = {}
        covered: set[str] = set()
        opaque: set[str] = set()
        for layer in reversed(self.layers):
            entries = [entry for entry in layers.walk(self._reader, layer.id) if entry.kind is not FileKind.FOLDER]
            for entry in entries:
                parents = list(layers.parents_of(entry.path))
                is_gone = entry.path in covered or "" in opaque
                if not is_gone and not any(path in covered or path in opaque for path in parents):
                    found[entry.path] = entry
            covered.update(entry.path for entry in entries)
            covered.update(layer.contents.whiteouts)
            opaque.update(layer.contents.opaque)
        return found


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
