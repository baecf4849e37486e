"""Content built by hand, the same bytes on every machine, and the ways to bring it to a server.

Tests write `from tests import make` and call `make.image(...)`, `make.Client(...)`.
"""

from tests.make.chart import chart
from tests.make.client import Client, Reply
from tests.make.images import (
    Blob,
    Manifest,
    artifact,
    configured,
    docker_image,
    docker_list,
    image,
    index,
)
from tests.make.layers import Entry, executable, folder, gzip_stored, link, tar
from tests.make.server import Server

NOON = 1_750_000_000_000  # unix milliseconds; 2025-06-15, 15:06:40 UTC: the time of tests that hold the clock

__all__ = [
    "NOON",
    "Blob",
    "Client",
    "Entry",
    "Manifest",
    "Reply",
    "Server",
    "artifact",
    "chart",
    "configured",
    "docker_image",
    "docker_list",
    "executable",
    "folder",
    "gzip_stored",
    "image",
    "index",
    "link",
    "tar",
]
