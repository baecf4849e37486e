"""Where a feed is imported from: a file or folder of the host, or an artifact in this very registry.

A folder is an OCI image layout, or one with a database and the metadata.json that belongs to it. All of it blocks.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.domain.names import Digest
from appliance.domain.vulnerability import Verified
from appliance.errors import FeedInvalid, LayoutInvalid, StorageFull
from appliance.services import layout_source

_SMALL = 64 << 10  # bytes of a metadata.json or a file of check sums
_PIECE = 1 << 20
_BODIES = ("trivy.db", "trivy-java.db", "vulnerability.db")
_SUM = re.compile(r"\b([0-9a-f]{64})\b")
_LAYOUT = re.compile(r"oci-layout|index\.json|blobs/.*")


class Input(msgspec.Struct, frozen=True):
    """A file to be read. `sha256` is what it has to be, "" where nobody says; `verified` once it is that."""

    path: Path
    name: str
    origin: str
    metadata: str = ""
    sha256: str = ""
    mark: str = ""  # by which its server knows it again
    verified: Verified = Verified.NONE


class _Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    digest: Digest
    media_type: str = ""
    size: int = 0


class Artifact(msgspec.Struct, frozen=True, rename="camel"):
    """The manifest of an artifact, as far as it is looked at here."""

    layers: tuple[_Descriptor, ...] = ()
    manifests: tuple[_Descriptor, ...] = ()


_decode_artifact = msgspec.json.Decoder(Artifact).decode


def open_path(path: Path, folder: Path, sha256: str) -> Input:
    """Return what is to be read of `path`; what has to be taken out of an archive goes to `folder`.

    Raises FeedInvalid, StorageFull.
    """
    origin = str(path)
    if path.is_dir():
        for name in _BODIES:
            if (path / name).is_file():
                sha256 = sha256 or _sum_beside(path / name)
                return Input(path / name, name, origin, _metadata_beside(path / name), sha256, verified=_by_sum(sha256))
        if (path / "index.json").is_file():
            return _from_layout(path, folder, sha256)
        raise FeedInvalid(f"{path} is neither an image layout nor a folder with one of {', '.join(_BODIES)}")
    if not path.is_file():
        raise FeedInvalid(f"{path} is no file or folder that the server can read; is it there, and may scr read it?")
    if _is_layout(path):
        return _from_layout(path, folder, sha256)
    sha256 = sha256 or _sum_beside(path)
    return Input(path, path.name, origin, _metadata_beside(path), sha256, verified=_by_sum(sha256))


def layer_of(body: bytes, what: str) -> _Descriptor:
    """Return the one layer of an artifact's manifest. Raises FeedInvalid."""
    try:
        artifact = _decode_artifact(body)
    except msgspec.MsgspecError as error:
        raise FeedInvalid(f"{what} is no manifest: {error}") from error
    if len(artifact.layers) != 1:
        raise FeedInvalid(
            f"{what} has {len(artifact.layers)} layers; an artifact of vulnerability data has one, with the archive"
        )
    return artifact.layers[0]


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex. Raises FeedInvalid."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FeedInvalid(f"{path} cannot be read: {error.strerror or error}") from error


def write_file(pieces: Iterator[bytes], target: Path) -> None:
    """Write `pieces` to a new file. Raises StorageFull."""
    try:
        with target.open("xb") as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise StorageFull(f"no room for a copy of the feed: {error.strerror or error}; free the disk") from error


def sum_in(text: str) -> str:
    """Return the SHA-256 in a text as sha256sum writes it, "" without one."""
    found = _SUM.search(text.lower())
    return found[1] if found else ""


def _from_layout(path: Path, folder: Path, sha256: str) -> Input:
    """Take the layer of the one artifact in a layout out of it; every byte is checked against its digest."""
    target = folder / "input"
    try:
        source = layout_source.open_source(path)
        found = layout_source.read(source)
        index = _decode_artifact(found.named.get("index.json", b"{}"))
        if len(index.manifests) != 1:
            raise FeedInvalid(f"{path} holds {len(index.manifests)} manifests; give a layout with the one artifact")
        layer = layer_of(found.bodies.get(index.manifests[0].digest, b""), f"the artifact in {path}")
        wanted = layout_source.member_of(layer.digest)
        for member in source.members():
            if member.name == wanted and not member.link:
                write_file(layout_source.pieces(member.stream), target)
                break
        else:
            raise FeedInvalid(f"{path} lacks {layer.digest}; carry it over again")
    except (LayoutInvalid, msgspec.MsgspecError) as error:
        raise FeedInvalid(str(error)) from error
    return Input(target, path.name, str(path), "", sha256, verified=Verified.DIGEST)


def _by_sum(sha256: str) -> Verified:
    """Return how a plain file is verified, for which somebody named this sum, or "" nobody any."""
    return Verified.CHECKSUM if sha256 else Verified.NONE


def _is_layout(path: Path) -> bool:
    """Whether the archive at `path` begins as the archive of a layout does."""
    try:
        first = next(layout_source.open_source(path).members(), None)
    except LayoutInvalid:
        return False
    return first is not None and _LAYOUT.fullmatch(first.name) is not None


def _metadata_beside(path: Path) -> str:
    return _read_small(path.with_name("metadata.json")) if path.name in _BODIES else ""


def _sum_beside(path: Path) -> str:
    """Return the check sum that lies beside a file as `<name>.sha256`, as sha256sum writes it; "" without one."""
    return sum_in(_read_small(path.with_name(f"{path.name}.sha256")))


def _read_small(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_SMALL).decode(errors="replace")
    except OSError:
        return ""
