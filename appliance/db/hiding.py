"""Which files of lower layers an image does not show: layers above removed or replaced them, or a folder above them.

In `scan.sqlite`, for many files and images at once, in a few queries: no layer is walked for it.
"""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from appliance.db.database import Reader, Values
from appliance.db.layers import FOLDER, Gone, parents_of
from appliance.domain.names import Digest, from_bytes, to_bytes

_STACKS = """
SELECT s.digest, p.digest FROM json_each(?) w CROSS JOIN scans s ON s.digest = unhex(w.value)
JOIN scan_layers p ON p.scan_id = s.id ORDER BY s.id, p.position
"""
_GONE = """
SELECT l.digest, l.id, l.gone, iif(l.gone IS NULL, l.contents, x'') FROM json_each(?) w
CROSS JOIN layers l ON l.digest = unhex(w.value) AND l.is_whole
"""
_ENTRIES = """
WITH wanted AS MATERIALIZED (
  SELECT w.value ->> 2 AS path, d.id AS folder_id, n.id AS name_id FROM json_each(:paths) w
  CROSS JOIN folders d ON d.path = w.value ->> 0 CROSS JOIN names n ON n.name = w.value ->> 1)
SELECT f.layer_id, w.path, f.kind FROM json_each(:layers) l CROSS JOIN wanted w
CROSS JOIN files f ON f.layer_id = l.value AND f.folder_id = w.folder_id AND f.name_id = w.name_id
"""
_DECODER = msgspec.msgpack.Decoder(Gone)


class Place(msgspec.Struct, frozen=True):
    """A file of a layer, in one manifest that has the layer."""

    manifest: Digest
    layer: Digest
    path: str
    is_folder: bool = False


class _Upper(msgspec.Struct, frozen=True):
    """What a layer does to those below: paths that it removes, folders that it empties, kinds of what it has itself."""

    whiteouts: set[str]
    opaque: set[str]
    kinds: Mapping[str, int]

    def hides(self, place: Place, parents: Collection[str]) -> bool:
        if place.path in self.whiteouts or not self.whiteouts.isdisjoint(parents):
            return True
        if "" in self.opaque or not self.opaque.isdisjoint(parents):
            return True
        if any(self.kinds.get(parent, FOLDER) != FOLDER for parent in parents):
            return True
        own = self.kinds.get(place.path)
        return own is not None and not (own == FOLDER and place.is_folder)


def find_hidden(reader: Reader, places: Collection[Place]) -> set[Place]:
    """Return those of `places` that their manifest does not show. A layer that is there twice counts where it is last.

    It asks for every path in every layer above: some thousand for a page of a search, a microsecond each.
    """
    parents = {path: tuple(parents_of(path)) for path in {place.path for place in places}}
    groups: dict[tuple[Digest, Digest], list[Place]] = {}
    for place in places:
        groups.setdefault((place.manifest, place.layer), []).append(place)
    above = _layers_above(reader, groups)
    wanted = {*parents, *(one for of in parents.values() for one in of)}
    known = _load(reader, {layer for stack in above.values() for layer in stack}, wanted)
    hidden: set[Place] = set()
    for group, stack in above.items():
        if uppers := [known[layer] for layer in stack if layer in known]:
            hidden.update(one for one in groups[group] if any(upper.hides(one, parents[one.path]) for upper in uppers))
    return hidden


def _layers_above(
    reader: Reader, wanted: Collection[tuple[Digest, Digest]]
) -> dict[tuple[Digest, Digest], Sequence[Digest]]:
    """Return the layers above a layer in a manifest, for each pair of these, the uppermost first."""
    stacks: dict[Digest, list[Digest]] = {}
    for manifest, layer in reader.rows(_STACKS, (_digests({manifest for manifest, _ in wanted}),)):
        stacks.setdefault(from_bytes(manifest), []).insert(0, from_bytes(layer))
    found: dict[tuple[Digest, Digest], Sequence[Digest]] = {}
    for manifest, layer in wanted:
        stack = stacks.get(manifest, [])
        found[manifest, layer] = stack[: stack.index(layer)] if layer in stack else []
    return found


def _load(reader: Reader, layers: Collection[Digest], paths: Collection[str]) -> dict[Digest, _Upper]:
    """Return those of `layers` that do anything to one of `paths`; those of which nothing is kept do nothing."""
    rows = reader.rows(_GONE, (_digests(layers),))
    values: Values = {
        "layers": _json([row[1] for row in rows]),
        "paths": _json([(*_split(path), path) for path in paths]),
    }
    kinds: dict[int, dict[str, int]] = {row[1]: {} for row in rows}
    for layer, path, kind in reader.rows(_ENTRIES, values):
        kinds[layer][path] = kind
    found, wanted = {}, {"", *paths}
    for digest, number, gone, contents in rows:
        told = _DECODER.decode(gone if gone is not None else zlib.decompress(contents))
        one = _Upper(wanted.intersection(told.whiteouts), wanted.intersection(told.opaque), kinds[number])
        if one.whiteouts or one.opaque or one.kinds:
            found[from_bytes(digest)] = one
    return found


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _digests(found: Iterable[Digest]) -> str:
    return _json([to_bytes(one).hex() for one in found])


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
