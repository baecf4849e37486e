"""Registries, repositories, images, manifests and tags as values."""

import enum
from typing import NewType

import msgspec

from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, ImagePath, RegistryName, RepositoryName, Tag

RegistryId = NewType("RegistryId", int)
RepositoryId = NewType("RepositoryId", int)
ImageId = NewType("ImageId", int)
ManifestId = NewType("ManifestId", int)
BlobId = NewType("BlobId", int)


class Visibility(enum.StrEnum):
    """Whether anonymous callers may pull."""

    PRIVATE = "private"
    PUBLIC = "public"


class Registry(msgspec.Struct, frozen=True):
    """A named collection of repositories with its own endpoints."""

    id: RegistryId
    public_id: str
    name: RegistryName
    visibility: Visibility
    created_at: Timestamp


class RepositoryRow(msgspec.Struct, frozen=True, rename="camel"):
    """One line of a list of repositories. Sizes are bytes of the distinct blobs its images link."""

    id: str
    name: RepositoryName
    images: int
    locked: bool
    created_at: Timestamp
    created_by: str


class ImageRow(msgspec.Struct, frozen=True, rename="camel"):
    """One line of a list of images."""

    id: str
    path: str
    manifests: int
    tags: int
    size: int
    pulls: int
    last_pulled_at: Timestamp | None
    pushed_at: Timestamp | None
    locked: bool


class TagRow(msgspec.Struct, frozen=True, rename="camel"):
    """One line of a list of tags: what it names, and since when."""

    name: Tag
    digest: Digest
    media_type: str
    artifact_type: str
    size: int
    pushed_at: Timestamp
    pushed_by: str
    locked: bool


class FoundManifest(msgspec.Struct, frozen=True, gc=False):
    """A manifest as the hot path needs it."""

    id: ManifestId
    image: ImageId
    digest: Digest
    media_type: str
    body: bytes


class FoundBlob(msgspec.Struct, frozen=True, gc=False):
    """A blob as an image sees it, and where its bytes lie."""

    image: ImageId
    stored: "StoredBlob"


class StoredBlob(msgspec.Struct, frozen=True, gc=False):
    """One generation of a blob in a store: the row is the proof that the bytes are whole.

    `sums` holds a CRC-32 (4 bytes, big endian) for each started MiB of the content.
    """

    id: BlobId
    digest: Digest
    generation: str
    driver: str
    form: str
    size: int
    sums: bytes


class ImageRef(msgspec.Struct, frozen=True):
    """An image within a registry, by name: what a request is about before anything is looked up."""

    registry: RegistryId
    path: ImagePath

    def __str__(self) -> str:
        """Return `<repository>/<image>`."""
        return str(self.path)
