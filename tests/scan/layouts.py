"""OCI image layouts in a tar.gz -> inventories, through the same functions as a scan."""

import tarfile
from pathlib import Path

import msgspec

from appliance.domain.layer import ImageLayer
from appliance.domain.names import Digest
from appliance.domain.vulnerability import Inventory
from appliance.scan import rules
from appliance.scan.detectors import INSTALLED
from appliance.scan.inventory import merge
from appliance.scan.layers import read_layer
from appliance.scan.limits import Limits
from appliance.scan.secrets import SecretSearch

FIXTURES = Path(__file__).parents[1] / "fixtures/scan"


class _Descriptor(msgspec.Struct):
    digest: str


class _Index(msgspec.Struct):
    manifests: list[_Descriptor]


class _Manifest(msgspec.Struct):
    config: _Descriptor
    layers: list[_Descriptor]


class _RootFs(msgspec.Struct):
    diff_ids: list[str]


class _Config(msgspec.Struct):
    rootfs: _RootFs


def inventory(layout: Path) -> Inventory:
    """Return what the first image of `layout` holds."""
    files: dict[str, bytes] = {}
    with tarfile.open(layout) as archive:
        for member in archive:
            if body := archive.extractfile(member):
                files[member.name.removeprefix("./")] = body.read()

    def blob(digest: str) -> bytes:
        return files[f"blobs/{digest.replace(':', '/')}"]

    index = msgspec.json.decode(files["index.json"], type=_Index)
    manifest = msgspec.json.decode(blob(index.manifests[0].digest), type=_Manifest)
    config = msgspec.json.decode(blob(manifest.config.digest), type=_Config)
    search = SecretSearch(rules.ALL)
    return merge(
        [
            ImageLayer(
                Digest(layer.digest), read_layer([blob(layer.digest)], INSTALLED, search, Limits()), Digest(claimed)
            )
            for layer, claimed in zip(manifest.layers, config.rootfs.diff_ids, strict=True)
        ]
    )
