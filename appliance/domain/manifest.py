"""Manifests, indexes and descriptors: what the bytes of a PUT mean, without changing a byte of them."""

import enum
import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from appliance.domain.names import Digest, algorithm_of, parse_digest
from appliance.errors import DigestInvalid, ManifestInvalid

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1"  # and +json, +prettyjws
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
_FILES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")  # layers of a file system
_CACHE = "application/vnd.buildkit.cacheconfig."  # of a build cache: layers that nobody runs
_FOREIGN = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")
_HALF = r"[A-Za-z0-9!#$&^_.+'*%`|~-]{1,127}"  # RFC 6838, 4.2, and what RFC 9110, 5.6.2 lets a token hold besides
_MEDIA_TYPE = re.compile(rf"{_HALF}/{_HALF}")  # without parameters: Content-Type is compared and served without them
_MAX_SIZE = (1 << 63) - 1  # bytes; what SQLite and Go's int64 can count


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """What a manifest says of one piece of content. Spec: image-spec 1.1.1, descriptor.md."""

    digest: str
    size: int = 0
    media_type: str = ""
    artifact_type: str = ""
    annotations: dict[str, str] | None = None
    data: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """A parsed manifest or index. `body` is what is stored and served, byte for byte."""

    digest: Digest
    media_type: str
    body: bytes
    artifact_type: str  # as the referrers list shows it: artifactType, else the config's media type; "" for none
    config_media_type: str
    subject: Digest | None
    blobs: tuple[Descriptor, ...]  # config and layers, which must be in the image
    foreign: tuple[Descriptor, ...]  # non-distributable layers, which may be
    children: tuple[Descriptor, ...]  # of an index; by buildkit's old caches also blobs
    annotations: Mapping[str, str]

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in INDEXES or bool(self.children)

    @property
    def content_size(self) -> int:
        """Bytes of its own blobs, as the descriptors say (compressed)."""
        return sum(blob.size for blob in self.blobs)


class _Body(msgspec.Struct, rename="camel"):
    schema_version: int | None = None
    media_type: str | None = None
    artifact_type: str | None = None
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    blobs: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


_DECODER = msgspec.json.Decoder(_Body)
_FIELDS = frozenset(
    name.casefold() for kind in (_Body, Descriptor) for name in (*kind.__struct_encode_fields__, "platform", "urls")
)


def parse_manifest(body: bytes, content_type: str, algorithm: str = "sha256") -> Manifest:
    """Return what `body` means; `content_type` is the request's header, parameters and all.

    The digest is computed with `algorithm` ("sha256" or "sha512"). Any JSON object with a media type is accepted;
    what is known of it (config, layers, children, subject) must be well formed.
    Raises ManifestInvalid. Spec: distribution-spec 1.1.1, "Pushing Manifests"; image-spec 1.1.1, manifest.md and
    image-index.md.
    """
    content = _decode(body)
    media_type = _media_type(content_type.partition(";")[0].strip().lower(), content)
    if media_type.lower().startswith(SCHEMA1):
        raise ManifestInvalid(
            "Docker schema 1 manifests carry no verifiable layers; push with a client newer than 2017"
        )
    _check_form(media_type, content)
    blobs = [content.config] if content.config else []
    blobs += [*(content.layers or []), *(content.blobs or [])]
    for part in (*blobs, *(content.manifests or []), *([content.subject] if content.subject else [])):
        _check(part)
    if sum(part.size for part in blobs) > _MAX_SIZE:
        raise ManifestInvalid("the sizes of the layers add up to more than any disk has")
    config_type = content.config.media_type if content.config else ""
    return Manifest(
        digest=digest_of(body, algorithm),
        media_type=media_type,
        body=body,
        artifact_type=content.artifact_type or config_type,
        config_media_type=config_type,
        subject=Digest(content.subject.digest) if content.subject else None,
        blobs=tuple(blob for blob in blobs if not blob.media_type.startswith(_FOREIGN)),
        foreign=tuple(blob for blob in blobs if blob.media_type.startswith(_FOREIGN)),
        children=tuple(content.manifests or ()),
        annotations=content.annotations or {},
    )


class Shape(msgspec.Struct, frozen=True):
    """What a stored manifest holds: whether layers of a file system are among its blobs, and what it lists."""

    has_files: bool
    blobs: tuple[Digest, ...]
    children: tuple[Digest, ...]


class _Outline(msgspec.Struct, rename="camel"):
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    blobs: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None


_OUTLINE = msgspec.json.Decoder(_Outline)


def shape_of(body: bytes) -> Shape:
    """Return the shape of a manifest that `parse_manifest` took: much faster than parsing it again."""
    outline = _OUTLINE.decode(body)
    is_cache = outline.config is not None and outline.config.media_type.startswith(_CACHE)
    has_files = not is_cache and any(layer.media_type.startswith(_FILES) for layer in outline.layers or ())
    parts = (*([outline.config] if outline.config else []), *(outline.layers or ()), *(outline.blobs or ()))
    return Shape(
        has_files,
        tuple(Digest(part.digest) for part in parts),
        tuple(Digest(child.digest) for child in outline.manifests or ()),
    )


class FileSystem(msgspec.Struct, frozen=True):
    """The layers of an image's file system, the lowest first, and where each stands among all its layers."""

    config: Digest | None
    layers: tuple[Digest, ...]
    places: tuple[int, ...]


def file_system_of(body: bytes) -> FileSystem:
    """Return the file system of a manifest that `parse_manifest` took; one without layers for what has none."""
    outline = _OUTLINE.decode(body)
    if outline.config is not None and outline.config.media_type.startswith(_CACHE):
        return FileSystem(None, (), ())
    found = [
        (place, Digest(layer.digest))
        for place, layer in enumerate(outline.layers or ())
        if layer.media_type.startswith(_FILES)
    ]
    config = None if outline.config is None else Digest(outline.config.digest)
    return FileSystem(config, tuple(digest for _, digest in found), tuple(place for place, _ in found))


class Kind(enum.StrEnum):
    """What a manifest is to a person."""

    INDEX = "index"
    IMAGE = "image"
    CHART = "chart"
    SIGNATURE = "signature"
    ATTESTATION = "attestation"
    SBOM = "sbom"
    CACHE = "cache"
    ARTIFACT = "artifact"


_CONFIGS = {
    "application/vnd.cncf.helm.config.v1+json": Kind.CHART,
    "application/vnd.oci.image.config.v1+json": Kind.IMAGE,
    "application/vnd.docker.container.image.v1+json": Kind.IMAGE,
}
_WORDS = (  # in an artifact's or a layer's media type
    ("cosign.artifact.sig", Kind.SIGNATURE),
    ("cosign.simplesigning", Kind.SIGNATURE),
    ("cncf.notary.signature", Kind.SIGNATURE),
    ("sigstore.bundle", Kind.SIGNATURE),
    ("in-toto", Kind.ATTESTATION),
    ("dsse", Kind.ATTESTATION),
    ("cosign.artifact.att", Kind.ATTESTATION),
    ("spdx", Kind.SBOM),
    ("cyclonedx", Kind.SBOM),
    ("syft", Kind.SBOM),
    ("sbom", Kind.SBOM),
)


def kind_of(media_type: str, artifact_type: str, layer_types: Sequence[str] = ()) -> Kind:
    """Return what a manifest is to a person; `layer_types` are the media types of its layers, as far as known."""
    if media_type in INDEXES:
        return Kind.INDEX
    if artifact_type.startswith(_CACHE):
        return Kind.CACHE
    for text in (artifact_type, *layer_types):
        for word, kind in _WORDS:
            if word in text:
                return kind
    return _CONFIGS.get(artifact_type, Kind.ARTIFACT)


def digest_of(data: bytes, algorithm: str = "sha256") -> Digest:
    """Return the digest of `data`."""
    return Digest(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")


def carries_itself(part: Descriptor) -> bool:
    """Whether the descriptor's `data` is the content itself, so that no blob is needed.

    Spec: image-spec 1.1.1, descriptor.md, "Embedded Content".
    """
    if part.data is None:
        return False
    try:
        content = b64decode(part.data, validate=True)
    except ValueError:
        return False
    return len(content) == part.size and digest_of(content, algorithm_of(Digest(part.digest))) == part.digest


def _decode(body: bytes) -> _Body:
    try:
        # the standard parser first: it shows repeated keys, which two readers would understand differently
        json.loads(body, object_pairs_hook=_refuse_repeats, parse_int=_small_int)
        return _DECODER.decode(body)
    except ManifestInvalid:
        raise
    except (ValueError, RecursionError) as error:  # msgspec's and json's errors are ValueErrors, UnicodeDecodeError too
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise ManifestInvalid(f"the body is not a manifest: {reason}") from error


def _refuse_repeats(pairs: list[tuple[str, object]]) -> None:
    """Refuse an object that two readers would understand differently (docker's reads `Layers` as `layers`)."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise ManifestInvalid("the manifest repeats a key of one object; each key may stand once")
    known = [folded for key, _ in pairs if (folded := key.casefold()) in _FIELDS]
    if len(set(known)) != len(known):
        raise ManifestInvalid("the manifest spells one key in two ways; each key may stand once")


def _small_int(text: str) -> int:
    return int(text) if len(text) < 20 else 0  # the value is not used here; a number of 10^6 digits must cost nothing


def _media_type(announced: str, content: _Body) -> str:
    inner = (content.media_type or "").strip()
    if announced and inner and announced != inner.lower() and announced not in ("application/json", "text/plain"):
        raise ManifestInvalid(
            f"Content-Type says {announced[:100]!r} and mediaType says {inner[:100]!r}; make them equal"
        )
    generic = announced in ("", "application/json", "text/plain", "application/octet-stream")
    media_type = inner or ("" if generic else announced) or (OCI_INDEX if content.manifests is not None else "")
    media_type = media_type or (OCI_MANIFEST if content.config is not None and content.layers is not None else "")
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise ManifestInvalid("the manifest has no usable media type; set Content-Type or mediaType")
    return media_type


def _check_form(media_type: str, content: _Body) -> None:
    """Refuse what one client would take for an image and another for an index (CVE-2021-41190)."""
    is_image = content.config is not None or content.layers is not None
    if is_image and content.manifests is not None:
        raise ManifestInvalid("the manifest has both layers and manifests; it must be an image or an index, not both")
    if media_type in INDEXES and content.manifests is None:
        raise ManifestInvalid(f"an index needs a list of manifests, and this {media_type} has none")
    if media_type in (OCI_MANIFEST, DOCKER_MANIFEST) and (content.config is None or content.layers is None):
        raise ManifestInvalid(f"an image manifest needs config and layers, and this {media_type} lacks one")


def _check(part: Descriptor) -> None:
    try:
        parse_digest(part.digest)
    except DigestInvalid as error:
        raise ManifestInvalid(f"a descriptor is wrong: {error.message}") from error
    if not 0 <= part.size <= _MAX_SIZE:
        raise ManifestInvalid(f"a descriptor is wrong: {part.digest} cannot have that size")
