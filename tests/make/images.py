"""Manifests and what they need: images, indexes, artifacts, in OCI and Docker form, sha256 or sha512."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tests.make.layers import Entry, gzip_stored, tar

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

Layer = Mapping[str, bytes | Entry]
_ONE_LAYER: Sequence[Layer] = ({"etc/motd": b"hello\n"},)


class Blob(msgspec.Struct, frozen=True):
    """Bytes and the algorithm that names them."""

    data: bytes
    algorithm: str = "sha256"

    @property
    def digest(self) -> str:
        """`<algorithm>:<hex>` of the bytes."""
        return f"{self.algorithm}:{hashlib.new(self.algorithm, self.data).hexdigest()}"

    def descriptor(self, media_type: str) -> dict[str, object]:
        """Return what a manifest says of these bytes."""
        return {"mediaType": media_type, "digest": self.digest, "size": len(self.data)}


class Manifest(msgspec.Struct, frozen=True):
    """A manifest or index with everything below it, in the order in which it has to be pushed."""

    media_type: str
    body: bytes
    blobs: tuple[Blob, ...] = ()
    children: tuple["Manifest", ...] = ()
    algorithm: str = "sha256"
    platform: str = ""  # "os/architecture" of an image, as an index lists it
    artifact_type: str = ""  # as an index or a referrers list names it

    @property
    def digest(self) -> str:
        """`<algorithm>:<hex>` of the body."""
        return Blob(self.body, self.algorithm).digest

    def descriptor(self) -> dict[str, object]:
        """Return what an index, a subject or a referrers list says of it."""
        told: dict[str, object] = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}
        if self.artifact_type:
            told["artifactType"] = self.artifact_type
        if self.platform:
            system, _, architecture = self.platform.partition("/")
            told["platform"] = {"architecture": architecture, "os": system}
        return told

    def walk(self) -> Iterator["Manifest"]:
        """Yield what is below it, children first, and then itself."""
        for child in self.children:
            yield from child.walk()
        yield self

    def variant(self, **fields: object) -> "Manifest":
        """Return the same content with top-level JSON `fields` set; None takes one away."""
        content: dict[str, object] = {**json.loads(self.body), **fields}
        body = encode({key: value for key, value in content.items() if value is not None})
        return msgspec.structs.replace(self, body=body)


def encode(content: Mapping[str, object]) -> bytes:
    """Return `content` as JSON without spaces, keys in the order given."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def image(
    layers: Sequence[Layer] = _ONE_LAYER,
    *,
    platform: str = "linux/amd64",
    command: Sequence[str] = (),
    subject: Manifest | None = None,
    annotations: Mapping[str, str] | None = None,
    algorithm: str = "sha256",
) -> Manifest:
    """Return an OCI image: gzip layers of `layers`, a config that names their diff ids, a manifest.

    Spec: image-spec 1.1.1, manifest.md, config.md.
    """
    return _image(
        layers,
        _Form(OCI_MANIFEST, OCI_CONFIG, OCI_LAYER),
        platform=platform,
        command=command,
        subject=subject,
        annotations=annotations,
        algorithm=algorithm,
    )


def configured(built: Manifest, run: Mapping[str, object], steps: Sequence[str] = ()) -> Manifest:
    """Return an image as `built` with `run` in its config ("Env", "User" ...), and a history of `steps`.

    Spec: image-spec 1.1.1, config.md.
    """
    body, config = json.loads(built.body), json.loads(built.blobs[0].data)
    config["config"] = {**config["config"], **run}
    config["history"] = [{"created_by": step, "empty_layer": True} for step in steps] or config["history"]
    blob = Blob(encode(config), built.algorithm)
    body["config"] = blob.descriptor(body["config"]["mediaType"])
    return msgspec.structs.replace(built, body=encode(body), blobs=(blob, *built.blobs[1:]))


def docker_image(
    layers: Sequence[Layer] = _ONE_LAYER, *, platform: str = "linux/amd64", command: Sequence[str] = ()
) -> Manifest:
    """Return the same image as Docker's schema 2."""
    form = _Form(DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
    return _image(layers, form, platform=platform, command=command)


def index(
    children: Sequence[Manifest],
    *,
    subject: Manifest | None = None,
    artifact_type: str = "",
    annotations: Mapping[str, str] | None = None,
    algorithm: str = "sha256",
) -> Manifest:
    """Return an OCI index of `children`, which may be indexes themselves. Spec: image-spec 1.1.1, image-index.md."""
    content: dict[str, object] = {"schemaVersion": 2, "mediaType": OCI_INDEX}
    if artifact_type:
        content["artifactType"] = artifact_type
    content["manifests"] = [child.descriptor() for child in children]
    _add(content, subject, annotations)
    return Manifest(OCI_INDEX, encode(content), (), tuple(children), algorithm, artifact_type=artifact_type)


def docker_list(children: Sequence[Manifest]) -> Manifest:
    """Return a Docker manifest list of `children`."""
    content = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [child.descriptor() for child in children]}
    return Manifest(DOCKER_LIST, encode(content), (), tuple(children))


def artifact(
    artifact_type: str,
    data: bytes = b"{}",
    *,
    media_type: str = "application/octet-stream",
    subject: Manifest | None = None,
    annotations: Mapping[str, str] | None = None,
    algorithm: str = "sha256",
) -> Manifest:
    """Return an OCI artifact: the empty config and one layer of `data`.

    Spec: image-spec 1.1.1, manifest.md, "Guidelines for Artifact Usage".
    """
    config, layer = Blob(b"{}", algorithm), Blob(data, algorithm)
    content: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config.descriptor(OCI_EMPTY),
        "layers": [layer.descriptor(media_type)],
    }
    _add(content, subject, annotations)
    return Manifest(OCI_MANIFEST, encode(content), (config, layer), (), algorithm, artifact_type=artifact_type)


class _Form(msgspec.Struct, frozen=True):
    manifest: str
    config: str
    layer: str


def _image(
    layers: Sequence[Layer],
    form: _Form,
    *,
    platform: str,
    command: Sequence[str],
    subject: Manifest | None = None,
    annotations: Mapping[str, str] | None = None,
    algorithm: str = "sha256",
) -> Manifest:
    archives = [tar(layer) for layer in layers]
    system, _, architecture = platform.partition("/")
    config = Blob(
        encode(
            {
                "architecture": architecture,
                "os": system,
                "config": {"Cmd": list(command)} if command else {},
                "rootfs": {"type": "layers", "diff_ids": [Blob(archive).digest for archive in archives]},
                "history": [{"created_by": f"layer {number}"} for number in range(len(archives))],
            }
        ),
        algorithm,
    )
    blobs = [Blob(gzip_stored(archive), algorithm) for archive in archives]
    content: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": form.manifest,
        "config": config.descriptor(form.config),
        "layers": [blob.descriptor(form.layer) for blob in blobs],
    }
    _add(content, subject, annotations)
    return Manifest(form.manifest, encode(content), (config, *blobs), (), algorithm, platform)


def _add(content: dict[str, object], subject: Manifest | None, annotations: Mapping[str, str] | None) -> None:
    if subject is not None:
        content["subject"] = {
            "mediaType": subject.media_type,
            "digest": subject.digest,
            "size": len(subject.body),
        }
    if annotations:
        content["annotations"] = dict(annotations)
