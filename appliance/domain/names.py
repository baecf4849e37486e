"""Names, references and digests: outside text becomes one of these types here and nowhere else."""

import re
from typing import NewType

import msgspec

from appliance.errors import DigestInvalid, NameInvalid, RepositoryUnnamed, TagInvalid

Digest = NewType("Digest", str)  # "<algorithm>:<lower-case hex>"
Tag = NewType("Tag", str)
RegistryName = NewType("RegistryName", str)
RepositoryName = NewType("RepositoryName", str)
ImageName = NewType("ImageName", str)

DEFAULT_REGISTRY = RegistryName("local")
DEFAULT_REPOSITORY = RepositoryName("library")  # where one-component names live, as on Docker Hub
MAX_NAME = (
    255  # many clients cap host and name together at 255 characters; distribution-spec 1.1.1, "Pulling manifests"
)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_SIGNATURE = re.compile(r"sha256-[0-9a-f]{64}\.(?:sig|att|sbom)")
_COMPANION = re.compile(r"sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_ONE_COMPONENT = re.compile(_COMPONENT)
_REGISTRY = re.compile(r"[a-z][a-z0-9]{2,24}")
_STRICT_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9-]{1,28}[a-z0-9]")  # manual 2.1, "Repository name"
_ALGORITHMS = {"sha256": (b"\x01", 32), "sha512": (b"\x02", 64)}
_BY_BYTE = {1: "sha256", 2: "sha512"}


class ImagePath(msgspec.Struct, frozen=True):
    """Where an image lives inside its registry, from the OCI `<name>`."""

    repository: RepositoryName
    image: ImageName

    def __str__(self) -> str:
        """Return the canonical `<repository>/<image>`."""
        return f"{self.repository}/{self.image}"


def of_repository(name: RepositoryName) -> ImagePath:
    """Return the path that stands for the repository itself: its image part is empty."""
    return ImagePath(name, ImageName(""))


def parse_digest(text: str) -> Digest:
    """Return `text` as a Digest.

    Raises DigestInvalid. Spec: image-spec 1.1.1, descriptor.md, "Digests".
    """
    if not _DIGEST.fullmatch(text):
        raise DigestInvalid(f"{text[:80]!r} is not a digest; write sha256: and 64 hex digits")
    return Digest(text)


def parse_tag(text: str) -> Tag:
    """Return `text` as a Tag.

    Raises TagInvalid. Spec: distribution-spec 1.1.1, "Pulling manifests".
    """
    if not _TAG.fullmatch(text):
        raise TagInvalid(f"{text[:140]!r} is not a tag; use 1 to 128 letters, digits, '_', '.' or '-'")
    return Tag(text)


def parse_reference(text: str) -> Tag | Digest:
    """Return `text` as what a manifest is named by. Raises TagInvalid for what is neither digest nor tag."""
    return Digest(text) if is_digest(text) else parse_tag(text)


def parse_image_path(text: str, *, strict: bool = False) -> ImagePath:
    """Return the OCI `<name>` `text` split at its first component.

    A name of one component is an image of the default repository. With `strict` (`[compat] scr_strict`)
    the repository follows the manual and one-component names are refused.
    Raises NameInvalid, RepositoryUnnamed. Spec: distribution-spec 1.1.1, "Pulling manifests".
    """
    if len(text) > MAX_NAME or not _NAME.fullmatch(text):
        raise NameInvalid(f"{text[:80]!r} is not a name; use lower-case letters, digits, '.', '_', '-' and '/'")
    repository, slash, image = text.partition("/")
    if not slash:
        if strict:
            raise RepositoryUnnamed(f"{text!r} names no repository; write <repository>/{text} (scr_strict is on)")
        return ImagePath(DEFAULT_REPOSITORY, ImageName(text))
    if strict:
        parse_repository_name(repository, strict=True)
    return ImagePath(RepositoryName(repository), ImageName(image))


def parse_repository_name(text: str, *, strict: bool = False) -> RepositoryName:
    """Return `text` as the name of a repository. Raises NameInvalid."""
    if strict and not _STRICT_REPOSITORY.fullmatch(text):
        raise NameInvalid(f"{text[:80]!r} is not a repository name; use 3 to 30 of a-z, 0-9 and inner '-' (scr_strict)")
    if len(text) > MAX_NAME or not _ONE_COMPONENT.fullmatch(text):
        raise NameInvalid(f"{text[:80]!r} is not a repository name; use lower-case letters, digits, '.', '_' and '-'")
    return RepositoryName(text)


def parse_registry_name(text: str) -> RegistryName:
    """Return `text` as the name of a registry: 3 to 25 of a-z and 0-9, a letter first. Raises NameInvalid."""
    if not _REGISTRY.fullmatch(text):
        raise NameInvalid(f"{text[:80]!r} is not a registry name; use 3 to 25 of a-z and 0-9, a letter first")
    return RegistryName(text)


def is_digest(reference: str) -> bool:
    """Whether a reference is meant as a digest: a tag cannot hold a colon."""
    return ":" in reference


def is_signature(tag: Tag) -> bool:
    """Whether cosign keeps a signature, attestation or SBOM under `tag`: it overwrites these, so no lock holds them."""
    return _SIGNATURE.fullmatch(tag) is not None


def parse_companion(tag: Tag) -> Digest | None:
    """Return the digest that a tag `sha256-<hex>`, with or without `.sig`, `.att` or `.sbom`, belongs to, or None.

    Older clients keep signatures and lists of referrers so. Spec: distribution-spec 1.1.1, "Referrers Tag Schema".
    """
    found = _COMPANION.fullmatch(tag)
    return Digest(f"sha256:{found[1]}") if found else None


def algorithm_of(digest: Digest) -> str:
    """Return `sha256` or `sha512`."""
    return digest.partition(":")[0]


def hex_of(digest: Digest) -> str:
    """Return the hexadecimal part of `digest`."""
    return digest.partition(":")[2]


def to_bytes(digest: Digest) -> bytes:
    """Return `digest` as the database keeps it: one byte for the algorithm, then the hash."""
    algorithm, _, text = digest.partition(":")
    return _ALGORITHMS[algorithm][0] + bytes.fromhex(text)


def from_bytes(data: bytes) -> Digest:
    """Return the digest that `to_bytes` wrote."""
    return Digest(f"{_BY_BYTE[data[0]]}:{data[1:].hex()}")


_NUMBER = re.compile(r"\d+")


def natural_key(text: str) -> str:
    """Return a key that sorts as people count: `1.9` before `1.10`.

    Each run of digits gets its length in front (two digits, enough for 99), so that plain text order is number order.
    """
    return _NUMBER.sub(lambda run: f"{len(run[0].lstrip('0')):02d}{run[0].lstrip('0')}", text)
