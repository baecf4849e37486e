"""What both registries hold while they are measured: one image, a blob of each size, many tags, many images."""

import random
from pathlib import Path

import msgspec

from tests.bench.generator import Generator
from tests.bench.jobs import Ask
from tests.bench.registries import Distribution, Registry
from tests.make.client import Client
from tests.make.images import OCI_INDEX, Manifest, artifact, image, index

APP = "bench/app"
TAGS = "bench/tags"
SMALL = 1 << 10  # bytes
LARGE = 64 << 20
_LAYERS = 8
_TAGS_A_REQUEST = 50  # of PUT manifest with `tag` parameters: distribution-spec dev, end-7b
_WRITERS = 16


class Content(msgspec.Struct, frozen=True):
    """What to push and where it is then; `tags` and `images` say how many of them there are."""

    app: Manifest
    small: Manifest
    large: Manifest
    tags: int
    images: int

    def manifest_path(self, reference: str) -> str:
        """Return where the image's manifest is, by "latest" or by its digest."""
        return f"/v2/{APP}/manifests/{reference}"

    @property
    def config_path(self) -> str:
        """Where the image's config is."""
        return f"/v2/{APP}/blobs/{self.app.blobs[0].digest}"

    @property
    def small_path(self) -> str:
        """Where the blob of 1 KiB is."""
        return f"/v2/{APP}/blobs/{self.small.blobs[-1].digest}"

    @property
    def large_path(self) -> str:
        """Where the large blob is."""
        return f"/v2/{APP}/blobs/{self.large.blobs[-1].digest}"


def make(tags: int, images: int, large: int = LARGE) -> Content:
    """Return the content, the same at each run; the large blob has `large` bytes."""
    random_bytes = random.Random("content").randbytes  # noqa: S311 - content, not a secret
    layers = [{f"usr/lib/part{number}": random_bytes(600)} for number in range(_LAYERS)]
    kind = "application/vnd.example.benchmark"
    return Content(
        app=image(layers),
        small=artifact(kind, random_bytes(SMALL)),
        large=artifact(kind, random_bytes(large)),
        tags=tags,
        images=images,
    )


def tag_name(number: int) -> str:
    """Return the name of a tag; their order is that of the numbers for whoever sorts."""
    return f"v{number:06d}"


def image_name(number: int) -> str:
    """Return the path of one of the many images."""
    return f"many/image-{number:06d}"


def put(content: Content, registry: Registry, generator: Generator) -> str:
    """Put `content` into a registry that runs; return in words how. Raises GeneratorFailed, AssertionError."""
    with Client(registry.plain.url) as client:
        client.push(APP, content.app, "latest")
        client.push(APP, content.small, "small")
        client.push(APP, content.large, "large")
        client.push(TAGS, content.app, tag_name(0))
        client.push(image_name(0), index([]), "1")
    if isinstance(registry, Distribution):
        _write_files(registry.data / "docker/registry/v2/repositories", content)
        return "everything was pushed, but for most tags and images, whose files were written as a push leaves them"
    _push(content, registry, generator)
    return "everything was pushed"


def _push(content: Content, registry: Registry, generator: Generator) -> None:
    names = [tag_name(number) for number in range(1, content.tags)]
    groups = [names[start : start + _TAGS_A_REQUEST] for start in range(0, len(names), _TAGS_A_REQUEST)]
    place = f"/v2/{TAGS}/manifests/{content.app.digest}"
    tagging = [f"{place}?{'&'.join(f'tag={name}' for name in group)}" for group in groups]
    empty = index([])
    pushing = [f"/v2/{image_name(number)}/manifests/1" for number in range(1, content.images)]
    for paths, manifest in ((tagging, content.app), (pushing, empty)):
        job = Ask(registry.plain, paths, "PUT", _WRITERS, 0.0, "*/*", manifest.body.decode(), manifest.media_type)
        if paths:
            generator.do(job)


def _write_files(repositories: Path, content: Content) -> None:
    tags = repositories / TAGS / "_manifests/tags"
    for number in range(1, content.tags):
        _write_tag(tags / tag_name(number), content.app.digest)
    empty = index([])
    assert empty.media_type == OCI_INDEX
    for number in range(1, content.images):
        manifests = repositories / image_name(number) / "_manifests"
        _write_link(manifests / "revisions", empty.digest)
        _write_tag(manifests / "tags/1", empty.digest)


def _write_tag(folder: Path, digest: str) -> None:
    _write_link(folder / "index", digest)
    (folder / "current").mkdir(parents=True)
    (folder / "current/link").write_text(digest)


def _write_link(folder: Path, digest: str) -> None:
    place = folder / digest.replace(":", "/")
    place.mkdir(parents=True)
    (place / "link").write_text(digest)
