"""The command that pulls something, for each program that can use it."""

from urllib.parse import urlsplit

import msgspec

from appliance.domain.manifest import Kind
from appliance.domain.names import Digest, ImagePath, Tag, is_digest

_RUNNABLE = (Kind.IMAGE, Kind.INDEX)


class PullCommand(msgspec.Struct, frozen=True):
    """What to type, or to write into a file of that program."""

    tool: str  # docker, podman, kubernetes, helm, oras
    command: str


def list_commands(url: str, path: ImagePath, reference: Tag | Digest, kind: Kind) -> list[PullCommand]:
    """Return the commands that pull `reference` of the image at `path` from the endpoint at `url`."""
    parts = urlsplit(url)
    name = f"{parts.netloc}/{path}"
    full = f"{name}@{reference}" if is_digest(reference) else f"{name}:{reference}"
    is_plain = parts.scheme == "http"
    found = []
    if kind in _RUNNABLE:
        found += [
            PullCommand("docker", f"docker pull {full}"),
            PullCommand("podman", f"podman pull {'--tls-verify=false ' if is_plain else ''}{full}"),
            PullCommand("kubernetes", f"image: {full}"),
        ]
    if kind is Kind.CHART:
        chart = f"oci://{full}" if is_digest(reference) else f"oci://{name} --version {reference}"
        found.append(PullCommand("helm", f"helm pull {chart}{' --plain-http' if is_plain else ''}"))
    return [*found, PullCommand("oras", f"oras pull {'--plain-http ' if is_plain else ''}{full}")]
