"""One image seen by two readers: through the raw API, and by skopeo. Both must have got the same bytes."""

import gzip
from pathlib import Path

import msgspec

from tests import make
from tests.clients.programs import Program


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    digest: str
    size: int


class _Content(msgspec.Struct, frozen=True):
    config: _Part
    layers: list[_Part]


class Seen(msgspec.Struct, frozen=True):
    """An image as it was read: its manifest's digest, and its layers as plain tar archives."""

    digest: str
    layers: list[bytes]


def read_twice(client: make.Client, skopeo: Program, name: str, reference: str, folder: Path) -> Seen:
    """Read an image through the API and with skopeo into `folder`; fail unless they agree and every digest is true."""
    sign = "@" if ":" in reference else ":"
    skopeo.run(
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        f"docker://{client.address}/{name}{sign}{reference}",
        f"dir:{folder}",
    )
    reply = client.get_manifest(name, reference).expect(200)
    digest = reply.headers["docker-content-digest"]
    content = reply.decode(_Content)
    assert make.Blob(reply.body).digest == digest
    assert (folder / "manifest.json").read_bytes() == reply.body
    for part in (content.config, *content.layers):
        data = client.get_blob(name, part.digest).expect(200).body
        assert make.Blob(data).digest == part.digest
        assert len(data) == part.size
        assert (folder / part.digest.partition(":")[2]).read_bytes() == data
    layers = [(folder / part.digest.partition(":")[2]).read_bytes() for part in content.layers]
    return Seen(digest, [gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data for data in layers])
