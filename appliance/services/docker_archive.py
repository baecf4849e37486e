"""Archives of `docker save` from before Docker wrote OCI layouts: manifest.json names configs and layers by path.

They carry no manifest of the registry's kind, so one is made: the config as it is, and the layers as they lie there,
uncompressed, each checked against the diff id that the config says.
"""

import posixpath

import msgspec

from appliance.domain.manifest import OCI_MANIFEST, Descriptor, digest_of
from appliance.domain.names import Digest
from appliance.errors import LayoutInvalid
from appliance.services.layout_source import Found

_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_NAME = "io.containerd.image.name"


class _Saved(msgspec.Struct, rename="pascal"):
    config: str
    layers: list[str]
    repo_tags: list[str] | None = None


class _RootFs(msgspec.Struct):
    diff_ids: list[str]


class _Config(msgspec.Struct):
    rootfs: _RootFs


def convert(found: Found) -> list[Descriptor]:
    """Add a manifest for each image of the archive to `found`; return what an index.json would list.

    Raises LayoutInvalid.
    """
    try:
        saved = msgspec.json.decode(found.named["manifest.json"], type=list[_Saved])
    except (msgspec.DecodeError, RecursionError) as error:
        raise LayoutInvalid(f"manifest.json is none of `docker save`: {error}") from error
    entries: list[Descriptor] = []
    for image in saved:
        body = _manifest(found, image)
        digest = digest_of(body)
        found.bodies[digest] = body
        entries += [
            Descriptor(digest, len(body), OCI_MANIFEST, "", {_NAME: name} if name else None)
            for name in image.repo_tags or [""]
        ]
    return entries


def _manifest(found: Found, image: _Saved) -> bytes:
    config = _look_up(found, image.config)
    content = found.named.get(image.config) or found.bodies.get(config) or b""
    try:
        diff_ids = msgspec.json.decode(content, type=_Config).rootfs.diff_ids
    except (msgspec.DecodeError, RecursionError) as error:
        raise LayoutInvalid(f"{image.config} is no image configuration: {error}") from error
    layers = [_look_up(found, name) for name in image.layers]
    if layers != diff_ids:
        raise LayoutInvalid(f"the layers of {image.config} are not those that it names: their bytes were changed")
    parts = [_descriptor(found, config, _CONFIG), *(_descriptor(found, layer, _LAYER) for layer in layers)]
    return msgspec.json.encode(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": parts[0], "layers": parts[1:]},
    )


def _look_up(found: Found, name: str) -> Digest:
    """Return the digest of the member `name`, links inside the archive followed as text."""
    seen = set()
    while name in found.links and name not in seen:
        seen.add(name)
        name = posixpath.normpath(posixpath.join("/", posixpath.dirname(name), found.links[name])).lstrip("/")
    digest = found.members.get(name)
    if digest is None:
        raise LayoutInvalid(f"manifest.json names {name[:200]!r}, and it is not there: the archive is cut")
    return digest


def _descriptor(found: Found, digest: Digest, media_type: str) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": digest, "size": found.sizes[digest]}
