"""OCI image layouts on disk: how a hand-made manifest reaches a client, and how what a client pulled is checked.

Spec: image-spec 1.1.1, image-layout.md.
"""

from pathlib import Path

from tests.make.images import OCI_INDEX, Blob, Manifest, encode

_REF_NAME = "org.opencontainers.image.ref.name"


def write_layout(folder: Path, manifest: Manifest, tag: str) -> Path:
    """Write `manifest` and everything below it as the layout `folder`, named `tag`; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in manifest.walk():
        for blob in (*part.blobs, Blob(part.body, part.algorithm)):
            path = blob_path(folder, blob.digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(blob.data)
    entry = {**manifest.descriptor(), "annotations": {_REF_NAME: tag}}
    content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    (folder / "index.json").write_bytes(encode(content))
    (folder / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    return folder


def blob_path(folder: Path, digest: str) -> Path:
    """Return where the layout `folder` keeps the content `digest`."""
    algorithm, _, name = digest.partition(":")
    return folder / "blobs" / algorithm / name


def assert_layout_holds(folder: Path, manifest: Manifest) -> None:
    """Fail unless the layout has `manifest` and everything below it, byte for byte."""
    for part in manifest.walk():
        for blob in (*part.blobs, Blob(part.body, part.algorithm)):
            assert blob_path(folder, blob.digest).read_bytes() == blob.data
