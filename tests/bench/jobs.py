"""What the load generator is told and what it answers: JSON lines over a pipe."""

from typing import Literal

import msgspec

from tests.make.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

ACCEPT = f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"  # distribution answers 404 without it


class Where(msgspec.Struct, frozen=True):
    """A listener. With `authority`, the PEM file to trust, it speaks TLS."""

    port: int
    authority: str = ""
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:5000`."""
        return f"{'https' if self.authority else 'http'}://{self.host}:{self.port}"


class Ask(msgspec.Struct, frozen=True, tag=True):
    """The same kind of request on each of `paths`: each once, or, with `seconds`, in turn until they are over.

    Each connection is kept alive and has one request at a time.
    """

    where: Where
    paths: list[str]
    method: str = "GET"
    connections: int = 1
    seconds: float = 0.0
    accept: str = ACCEPT
    body: str = ""
    content_type: str = ""
    authorization: str = ""


class Walk(msgspec.Struct, frozen=True, tag=True):
    """A list from `path` to its end by the Link headers, page by page, at most `most` pages."""

    where: Where
    path: str
    most: int = 2000


class Push(msgspec.Struct, frozen=True, tag=True):
    """`count` new blobs of `size` bytes to the image `name`, shared out to `connections`.

    monolithic is POST and PUT; chunked is PATCHes of `piece` bytes with Content-Range and an empty PUT; streamed is one
    PATCH without Content-Length in chunks of 32 KiB, as docker sends it. `series` makes the bytes new: no two jobs on
    one server may have the same.
    """

    where: Where
    name: str
    way: Literal["monolithic", "chunked", "streamed"]
    size: int
    series: str
    count: int = 1
    connections: int = 1
    piece: int = 8 << 20


Job = Ask | Walk | Push


class Outcome(msgspec.Struct, frozen=True):
    """What a job did. Times are milliseconds; `seconds` is from the first request to the last answer."""

    requests: int
    bytes: int
    seconds: float
    p50: float
    p99: float
    first_p50: float = 0.0  # until the first byte of the answer
    first_p99: float = 0.0
    cpu_s: float = 0.0  # of the generator itself
    failures: int = 0
    failure: str = ""  # the first of them in words
    digests: list[str] = []  # of the blobs that were pushed
    cipher: str = ""


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of `values` lie; 0 for none (nearest rank)."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
