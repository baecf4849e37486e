"""OCI image layouts (folder, .tar, .tar.gz) carried in: everything is checked before anything is used.

An archive is read as a stream, twice: the first pass hashes every member and keeps the small JSON ones, the second
hands the blobs on (`layout_source.py`).
Spec: image-spec 1.1.1, image-layout.md.
"""

import msgspec

from appliance.domain.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_ARTIFACT,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    carries_itself,
    parse_manifest,
)
from appliance.domain.names import Digest, algorithm_of, parse_digest
from appliance.errors import DigestInvalid, LayoutInvalid, ManifestInvalid
from appliance.services import docker_archive
from appliance.services.layout_source import Found, Source, read

CONTAINERD_NAME = "io.containerd.image.name"  # the whole name, host and all: containerd, docker and nerdctl write it
REF_NAME = "org.opencontainers.image.ref.name"  # by the specification; most tools write the tag alone
MANIFESTS = frozenset({OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, OCI_ARTIFACT})


class Entry(msgspec.Struct, frozen=True):
    """A manifest that index.json lists. `name` is what it is called there, "" for none."""

    digest: Digest
    name: str


class Carried(msgspec.Struct, frozen=True):
    """A checked layout: what there is to push. Manifests stand before whoever lists them."""

    entries: tuple[Entry, ...]
    manifests: dict[Digest, Manifest]
    blobs: dict[Digest, int]  # size in bytes
    members: dict[str, Digest]  # name of a member of the source -> the blob it holds
    needs: dict[Digest, tuple[Digest, ...]]  # manifest -> manifests below it


class _Index(msgspec.Struct):
    manifests: list[Descriptor]


def inspect(source: Source, *, sparse: bool = False) -> Carried:
    """Read all of `source` once and check it: every blob is what its name says, everything listed is there.

    With `sparse`, manifests that an index lists may be missing. Raises LayoutInvalid.
    """
    found = read(source)
    if "index.json" not in found.named and "manifest.json" in found.named:
        entries = docker_archive.convert(found)
    else:
        entries = _entries(found)
    return _resolve(found, entries, sparse=sparse)


def is_manifest(media_type: str) -> bool:
    """Whether a descriptor of this media type names a manifest or an index."""
    return media_type in MANIFESTS


def _entries(found: Found) -> list[Descriptor]:
    body = found.named.get("index.json")
    if body is None:
        raise LayoutInvalid("there is no index.json: this is no OCI image layout, or it is cut")
    try:
        return msgspec.json.decode(body, type=_Index).manifests
    except (msgspec.DecodeError, RecursionError) as error:
        raise LayoutInvalid(f"index.json is no index: {error}") from error


def _resolve(found: Found, entries: list[Descriptor], *, sparse: bool) -> Carried:
    """Follow every entry down; check that all it needs is there."""
    manifests: dict[Digest, Manifest] = {}
    blobs: dict[Digest, int] = {}
    needs: dict[Digest, tuple[Digest, ...]] = {}
    open_: list[tuple[Descriptor, str]] = [(entry, "index.json") for entry in reversed(entries)]
    waiting: list[Digest] = []  # manifests whose children are being followed
    while open_:
        descriptor, above = open_.pop()
        if above == "":  # all below it are done
            done = waiting.pop()
            manifests[done] = manifests.pop(done)  # move behind them
            continue
        manifest = _open(found, descriptor, above, sparse=sparse)
        if manifest is None or manifest.digest in manifests:
            continue
        manifests[manifest.digest] = manifest
        _add_blobs(found, manifest, blobs)
        children = [child for child in manifest.children if is_manifest(child.media_type)]
        needs[manifest.digest] = tuple(Digest(child.digest) for child in children)
        waiting.append(manifest.digest)
        open_.append((descriptor, ""))
        open_ += [(child, manifest.digest) for child in reversed(children)]
    names = tuple(Entry(Digest(entry.digest), _name(entry)) for entry in entries)
    return Carried(names, manifests, blobs, found.members, needs)


def _open(found: Found, descriptor: Descriptor, above: str, *, sparse: bool) -> Manifest | None:
    """Return the manifest of `descriptor`; None: it is not there and may be missing."""
    try:
        digest = parse_digest(descriptor.digest)
    except DigestInvalid as error:
        raise LayoutInvalid(f"{above} is wrong: {error.message}") from error
    body = found.bodies.get(digest)
    if not body:
        if sparse and above != "index.json" and digest not in found.sizes:
            return None
        hint = "" if above == "index.json" else "; import with --sparse to leave such parts out"
        raise LayoutInvalid(f"{above} lists the manifest {digest}, and it is not there{hint}")
    if descriptor.size and descriptor.size != len(body):
        raise LayoutInvalid(f"{above} says that {digest} has {descriptor.size} bytes, and it has {len(body)}")
    try:
        return parse_manifest(body, descriptor.media_type, algorithm_of(digest))
    except ManifestInvalid as error:
        raise LayoutInvalid(f"{digest}: {error.message}") from error


def _add_blobs(found: Found, manifest: Manifest, blobs: dict[Digest, int]) -> None:
    """Add what `manifest` needs besides manifests to `blobs`. Raises LayoutInvalid for what is missing."""
    parts = [(part, carries_itself(part)) for part in manifest.blobs]
    parts += [(part, True) for part in manifest.foreign]
    parts += [(part, False) for part in manifest.children if not is_manifest(part.media_type)]
    for part, may_be_missing in parts:
        digest = Digest(part.digest)
        size = found.sizes.get(digest)
        if size is None:
            if may_be_missing:
                continue
            raise LayoutInvalid(f"{manifest.digest} needs {digest}, and it is not there: the layout is cut")
        if part.size != size:
            raise LayoutInvalid(f"{manifest.digest} says that {digest} has {part.size} bytes, and it has {size}")
        blobs[digest] = size


def _name(entry: Descriptor) -> str:
    annotations = entry.annotations or {}
    return annotations.get(CONTAINERD_NAME) or annotations.get(REF_NAME) or ""
