"""Pushing blobs over raw sockets: the three ways of the specification, new bytes each time, hashed beforehand."""

import hashlib
import random
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from urllib.parse import urlsplit

from tests.bench.exchange import Broken, Exchange
from tests.bench.jobs import Outcome, Push, percentile

_MOST = 8 << 20  # bytes of random content, over and over; a blob's last ones make it unlike every other
_WRITE = 1 << 20  # bytes a call of the system
_CHUNK = 32 << 10  # bytes of a chunk in chunked encoding: what docker's io.Copy gives
_TAIL = 16


class Content:
    """A blob of `size` bytes that nobody pushed before; `name` decides which."""

    def __init__(self, size: int, name: str) -> None:
        self.size = size
        self._body = _random_bytes()
        self._tail = memoryview(hashlib.sha256(name.encode()).digest()[:_TAIL])
        hashed = _hash_of_all_but_tail(size).copy()
        hashed.update(self._tail)
        self.digest = f"sha256:{hashed.hexdigest()}"

    def pieces(self, start: int, end: int, most: int = _WRITE) -> Iterator[memoryview]:
        """Yield the bytes from `start` to `end` in pieces of at most `most`."""
        border = self.size - _TAIL
        while start < min(end, border):
            at = start % _MOST
            stop = min(end, border, start + min(most, _MOST - at))
            yield self._body[at : at + stop - start]
            start = stop
        if start < end:
            yield self._tail[start - border : end - border]


def push(job: Push, context: ssl.SSLContext | None) -> Outcome:
    """Push the blobs of `job`; a request in its Outcome is one whole blob. Raises Broken, OSError."""
    contents = [Content(job.size, f"{job.series}/{number}") for number in range(job.count)]
    lines = [Exchange(job.where, context) for _ in range(min(job.connections, job.count))]
    shares = [contents[number :: len(lines)] for number in range(len(lines))]
    cpu_s, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(len(lines)) as threads:
        taken = [ms for share in threads.map(_push_all, lines, [job] * len(lines), shares) for ms in share]
    seconds = time.perf_counter() - began
    outcome = Outcome(
        requests=job.count,
        bytes=job.count * job.size,
        seconds=seconds,
        p50=percentile(taken, 0.5),
        p99=percentile(taken, 0.99),
        cpu_s=time.process_time() - cpu_s,
        digests=[content.digest for content in contents],
        cipher=lines[0].cipher,
    )
    for line in lines:
        line.close()
    return outcome


def _push_all(line: Exchange, job: Push, contents: list[Content]) -> list[float]:
    taken = []
    for content in contents:
        began = time.perf_counter_ns()
        _push_one(line, job, content)
        taken.append((time.perf_counter_ns() - began) / 1e6)
    return taken


def _push_one(line: Exchange, job: Push, content: Content) -> None:
    location = _ask(line, job, "POST", f"/v2/{job.name}/blobs/uploads/", "Content-Length: 0", 202)
    whole = f"Content-Length: {content.size}\r\nContent-Type: application/octet-stream"
    if job.way == "monolithic":
        _ask(line, job, "PUT", _with_digest(location, content), whole, 201, content.pieces(0, content.size))
        return
    if job.way == "chunked":
        for start in range(0, content.size, job.piece):
            end = min(start + job.piece, content.size)
            fields = f"Content-Length: {end - start}\r\nContent-Range: {start}-{end - 1}\r\n"
            fields += "Content-Type: application/octet-stream"
            location = _ask(line, job, "PATCH", location, fields, 202, content.pieces(start, end))
    else:
        line.send(_head(job, "PATCH", location, "Transfer-Encoding: chunked\r\nContent-Type: application/octet-stream"))
        _stream(line, content)
        location = _answer(line, job, "PATCH", 202)
    _ask(line, job, "PUT", _with_digest(location, content), "Content-Length: 0", 201)


def _stream(line: Exchange, content: Content) -> None:
    vectors: list[bytes | memoryview] = []
    size = 0
    for piece in content.pieces(0, content.size, _CHUNK):
        vectors += (b"%x\r\n" % len(piece), piece, b"\r\n")
        size += len(piece)
        if size >= _WRITE:
            line.send_vectors(vectors)
            vectors, size = [], 0
    line.send_vectors([*vectors, b"0\r\n\r\n"])


def _ask(
    line: Exchange,
    job: Push,
    method: str,
    path: str,
    fields: str,
    expected: int,
    body: Iterator[memoryview] | None = None,
) -> str:
    """Send a request and wait for its answer; return the path of its Location. Raises Broken."""
    line.send(_head(job, method, path, fields))
    if body is not None:
        line.send_body(body)
    return _answer(line, job, method, expected)


def _answer(line: Exchange, job: Push, method: str, expected: int) -> str:
    line.receive()
    if line.status != expected:
        raise Broken(f"{method} to {job.name} was answered by {line.status}: {line.body[:200]!r}")
    parts = urlsplit(line.header(b"location"))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _head(job: Push, method: str, path: str, fields: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {job.where.host}:{job.where.port}\r\n{fields}\r\n\r\n".encode()


def _with_digest(location: str, content: Content) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest={content.digest}"


@cache
def _random_bytes() -> memoryview:
    return memoryview(random.Random("scr").randbytes(_MOST))  # noqa: S311 - content, not a secret


@cache
def _hash_of_all_but_tail(size: int) -> "hashlib._Hash":
    body, hashed = _random_bytes(), hashlib.sha256()
    for start in range(0, size - _TAIL, _MOST):
        hashed.update(body[: min(_MOST, size - _TAIL - start)])
    return hashed
