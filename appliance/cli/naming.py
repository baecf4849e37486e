"""Names of images as people type them, for docker too: which manifest of which image they mean."""

from appliance.cli import tag as tags
from appliance.cli.client import Client
from appliance.cli.image_change import address_of
from appliance.domain.names import parse_digest


def locate(client: Client, name: str, registry: str) -> tuple[str, str]:
    """Return the address of an image and the digest that `name` (`pay/api:1`, `pay/api@sha256:...`) means."""
    path, at, digest = name.partition("@")
    if at:
        return address_of(client, path, registry), parse_digest(digest)
    path, _, tag = name.rpartition(":")
    path, tag = (path, tag) if path else (tag, "latest")
    return address_of(client, path, registry), tags.find(client, f"{path}:{tag}", registry).digest


def without_host(name: str) -> str:
    """Return `name` without the host that docker would need to be told."""
    first, slash, rest = name.partition("/")
    return rest if slash and (":" in first or "." in first or first == "localhost") else name
