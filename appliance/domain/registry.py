"""Registries, repositories, images, manifests and tags as values."""

import enum
from typing import Annotated, NewType

import msgspec

from appliance.domain.image_policy import DEFAULT_POLICY, ImagePolicy
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


class EndpointType(enum.StrEnum):
    """Which endpoints a registry has."""

    PRIVATE = "private"
    BOTH = "private+public"


class RegistryState(enum.StrEnum):
    """What a registry is doing (manual 2, "Registry status")."""

    CREATING = "Creating"
    RUNNING = "Running"
    EDITING = "Editing"
    TERMINATING = "Terminating"
    ERROR = "Error"
    UNKNOWN = "Unknown"


class RepositoryState(enum.StrEnum):
    """What a repository is doing (manual 2.1, "Repository status"); images and manifests have the same states."""

    ACTIVE = "Active"
    EDITING = "Editing"
    DELETING = "Deleting"
    INACTIVE = "Inactive"  # its deletion failed: only that may be asked for again


Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=1 << 60)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class RegistrySettings(msgspec.Struct, frozen=True, rename="camel"):
    """What a person chooses of a registry. Quotas are None where there is none."""

    name: RegistryName
    description: str = ""
    visibility: Visibility = Visibility.PRIVATE
    endpoint: EndpointType = EndpointType.PRIVATE
    private_access_control: bool = False  # its allowlist decides who may use the private endpoint
    public_access_control: bool = False
    port: Port | None = None  # of a listener of its own
    quota_bytes: Bytes | None = None
    quota_images: Count | None = None
    managed: bool = False  # declared in scr.toml, and changed there only
    log_traffic: bool = False  # its pulls and pushes are kept in the traffic log


class Registry(msgspec.Struct, frozen=True):
    """A named collection of repositories with its own endpoints."""

    id: RegistryId
    public_id: str
    settings: RegistrySettings
    revision: int  # grows with every edit
    created_at: Timestamp
    created_by: str
    modified_at: Timestamp
    modified_by: str
    ready_at: Timestamp | None  # None while what its creation does outside of the database is not done
    removed_at: Timestamp | None
    purging: bool  # removed, and its data has begun to go

    @property
    def name(self) -> RegistryName:
        """What it is called."""
        return self.settings.name

    @property
    def is_ready(self) -> bool:
        """Whether it serves: made, and not removed."""
        return self.ready_at is not None and self.removed_at is None


class StoreState(enum.Enum):
    """Whether the store of a registry can be used."""

    WELL = "well"
    FAILED = "failed"  # it answers with errors
    SILENT = "silent"  # it does not answer


def state_of(registry: Registry, store: StoreState, *, is_editing: bool, has_failed: bool) -> RegistryState:
    """Return what the registry is doing; `has_failed`: a job that makes or deletes it has given up."""
    if has_failed:
        return RegistryState.ERROR
    if registry.removed_at is not None:
        return RegistryState.TERMINATING
    if registry.ready_at is None:
        return RegistryState.CREATING
    if store is not StoreState.WELL:
        return RegistryState.ERROR if store is StoreState.FAILED else RegistryState.UNKNOWN
    return RegistryState.EDITING if is_editing else RegistryState.RUNNING


class EndpointUrls(msgspec.Struct, frozen=True):
    """How the endpoints of a registry are called: `https://pay-abc.registry.example.com`."""

    private: tuple[str, ...] = ()
    public: tuple[str, ...] = ()


class RegistryUsage(msgspec.Struct, frozen=True, rename="camel"):
    """What a registry uses, in bytes; what was deleted counts until collection has freed it."""

    blob_bytes: int  # every blob once: what it would take alone
    sole_bytes: int  # of these, blobs that no other registry uses: what deleting it would free
    apparent_bytes: int  # every blob once for each image that uses it
    manifest_bytes: int


class RepositorySettings(msgspec.Struct, frozen=True, rename="camel"):
    """What a person chooses of a repository. `policy` is the template of new images; the lock is read live."""

    name: RepositoryName
    description: str = ""
    locked: bool = False
    policy: ImagePolicy = DEFAULT_POLICY
    managed: bool = False  # declared in scr.toml, and changed there only


class Repository(msgspec.Struct, frozen=True):
    """The unit of management under a registry."""

    id: RepositoryId
    public_id: str
    registry: RegistryId
    registry_name: RegistryName
    settings: RepositorySettings
    by_push: bool  # made by a first push
    revision: int  # grows with every edit
    created_at: Timestamp
    created_by: str
    modified_at: Timestamp
    modified_by: str
    removed_at: Timestamp | None
    purging: bool  # removed, and its data has begun to go

    @property
    def name(self) -> RepositoryName:
        """What it is called."""
        return self.settings.name


def repository_state(repository: Repository, *, is_editing: bool, has_failed: bool) -> RepositoryState:
    """Return what the repository is doing; `has_failed`: what deletes its data has given up.

    `is_editing`: images of it are being deleted for good.
    """
    if repository.removed_at is not None:
        return RepositoryState.INACTIVE if has_failed else RepositoryState.DELETING
    return RepositoryState.EDITING if is_editing else RepositoryState.ACTIVE


class ImageSettings(msgspec.Struct, frozen=True):
    """What a person chooses of an image. The lock is its own: its repository's stands beside it."""

    description: str
    locked: bool
    policy: ImagePolicy


class ImageRow(msgspec.Struct, frozen=True):
    """One line of a list of images. `size` is bytes of the distinct blobs it uses."""

    number: ImageId
    id: str
    path: str
    description: str
    manifests: int
    tags: int
    size: int
    pulls: int
    last_pulled_at: Timestamp | None
    pushed_at: Timestamp | None
    locked: bool  # by its own lock or its repository's
    own_lock: bool
    created_at: Timestamp
    created_by: str
    modified_at: Timestamp
    modified_by: str
    revision: int
    is_editing: bool  # tag deletion is at it
    resource_tags: dict[str, str]


class TagRow(msgspec.Struct, frozen=True, rename="camel"):
    """One line of a list of tags: what it names, and since when."""

    name: Tag
    digest: Digest
    media_type: str
    artifact_type: str
    size: int
    pushed_at: Timestamp
    pushed_by: str
    locked: bool  # by its own lock, its image's or its repository's
    seq: int  # of the activity that made it name this
    own_lock: bool


class FoundManifest(msgspec.Struct, frozen=True, gc=False):
    """A manifest as the hot path needs it."""

    id: ManifestId
    image: ImageId
    digest: Digest
    media_type: str
    body: bytes
    is_limited: int  # 1: the image's policy limits pulls


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


class Place(msgspec.Struct, frozen=True):
    """Where a repository or an image lives, found by its public id; a repository's path has an empty image part."""

    registry: RegistryId
    registry_name: RegistryName
    path: ImagePath


class ImageRef(msgspec.Struct, frozen=True):
    """An image within a registry, by name: what a request is about before anything is looked up."""

    registry: RegistryId
    path: ImagePath

    def __str__(self) -> str:
        """Return `<repository>/<image>`."""
        return str(self.path)
