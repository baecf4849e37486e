"""What one layer of an image holds: kept per blob for ever, so that an image is a merge and never a second reading."""

import enum

import msgspec

from appliance.domain.names import Digest
from appliance.domain.vulnerability import Distribution, Package, Secret


class FileKind(enum.StrEnum):
    """What a name of a layer stands for."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARD_LINK = "hard_link"
    DEVICE = "device"
    FIFO = "fifo"


class FileEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One name of a layer, after normalisation: no leading slash, no `.`, no `..`.

    `size` is in bytes and, for a hard link, that of the file it names. `mode` holds permissions and set-id bits.
    `sha256` is empty for whatever is no regular file, and for a sparse file too large to be laid out.
    """

    path: str
    kind: FileKind
    size: int
    mode: int
    sha256: bytes = b""
    target: str = ""  # of a symlink as written, of a hard link as a path of the layer
    is_searched: bool = False  # for secrets; a file that is binary or excluded by its path is not


class Release(msgspec.Struct, frozen=True):
    """A distribution that one file tells of. Of several, the lowest `rank` is believed."""

    distribution: Distribution
    rank: int


class PackageLicences(msgspec.Struct, frozen=True):
    """Licences that are recorded apart from the package they belong to."""

    package: str
    licences: tuple[str, ...]


class ContentSets(msgspec.Struct, frozen=True):
    """The repositories that a Red Hat layer was built from."""

    names: tuple[str, ...]


class Build(msgspec.Struct, frozen=True):
    """The container build that made a Red Hat layer: name-version-release and architecture."""

    name: str
    arch: str


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one detector found in one file."""

    path: str
    detector: str
    version: int
    packages: tuple[Package, ...] = ()
    releases: tuple[Release, ...] = ()
    owned: tuple[
        str, ...
    ] = ()  # paths that a distribution's package installed, of those a language's detector may read
    licences: tuple[PackageLicences, ...] = ()
    content_sets: tuple[ContentSets, ...] = ()
    builds: tuple[Build, ...] = ()


class LayerContents(msgspec.Struct, frozen=True):
    """All that was read from one layer's blob.

    `diff_id` is the digest of the inflated bytes, computed here; None where they were not read to their end.
    `whiteouts` are paths of lower layers that this one removes, `opaque` folders whose lower contents it hides.
    `limits` says why the contents are not complete; empty: they are. `unreadable` names files that bear the name of a
    package description and are none, which is common in test data and takes nothing from completeness.
    `reread` lists hard links' targets that had passed before their link made them wanted: read the layer once more
    with them, as long as it is not empty.
    """

    diff_id: Digest | None
    size: int  # bytes inflated, as far as they were read
    files: tuple[FileEntry, ...]
    whiteouts: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    secrets: tuple[Secret, ...] = ()
    limits: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    reread: tuple[str, ...] = ()


class ImageLayer(msgspec.Struct, frozen=True):
    """A layer in its image: the digest of the stored blob, what it holds, and the diff_id that the config claims."""

    digest: Digest
    contents: LayerContents
    claimed: Digest | None = None
