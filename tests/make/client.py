"""A small HTTP/1.1 client that speaks /v2: one kept-alive connection, nothing hidden, every byte the test's own."""

import base64
import http.client
import re
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from tests.make.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Blob, Manifest

Shape = TypeVar("Shape")
_TIMEOUT_S = 60
_ACCEPT = {"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"}  # what every client sends


_WHY = re.compile(rb"; why: (?:https?://[^\s/]+/why/|scr why )([0-9a-f]{32})")


def why(body: bytes) -> str:
    """Return the id of the refusal that the body of an answer tells. Raises AssertionError where it tells none."""
    found = _WHY.search(body)
    assert found is not None, f"no refusal in {body[:500]!r}"
    return found[1].decode()


def without_why(body: bytes) -> bytes:
    """Return the body of an answer without the address of its refusal, which is another one each time."""
    return _WHY.sub(b"", body)


class _Problem(msgspec.Struct, frozen=True):
    code: str
    message: str = ""


class _Problems(msgspec.Struct, frozen=True):
    errors: list[_Problem]


class TagList(msgspec.Struct, frozen=True):
    """Body of the tags list."""

    name: str
    tags: list[str]


class Reply(msgspec.Struct, frozen=True):
    """One answer, read whole. Header names are lower-case; repeated ones are joined with a comma."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def codes(self) -> list[str]:
        """The error codes of the body; empty where it has none. Spec: distribution-spec 1.1.1, "Error Codes"."""
        try:
            return [problem.code for problem in msgspec.json.decode(self.body, type=_Problems).errors]
        except msgspec.DecodeError:
            return []

    def decode(self, shape: type[Shape]) -> Shape:
        """Return the JSON body as `shape`."""
        return msgspec.json.decode(self.body, type=shape)

    def expect(self, *statuses: int) -> Self:
        """Return itself. Raises AssertionError with the body unless the status is one of `statuses`."""
        assert self.status in statuses, f"expected {statuses}, got {self.status}: {self.body[:500]!r} {self.headers}"
        return self


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header that shows user and password. Spec: RFC 7617."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Client:
    """Requests to one server. Use as a context manager, or call `close`."""

    def __init__(
        self, url: str, *, user: str = "", password: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Connect to `url` (`http://127.0.0.1:5000`) at the first request; `headers` go with each one."""
        self.address = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self.address, timeout=_TIMEOUT_S)
        self._headers = dict(headers or {})
        if user:
            self._headers |= basic(user, password)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and read its answer. An iterable body goes in chunked encoding, piece by piece."""
        is_chunked = body is not None and not isinstance(body, bytes)
        sent = {**self._headers, **(headers or {})}
        if is_chunked:
            sent["Transfer-Encoding"] = "chunked"
        try:
            self._connection.request(method, path, body=body, headers=sent, encode_chunked=is_chunked)
            answer = self._connection.getresponse()
            content = answer.read()
        except BaseException:
            self._connection.close()
            raise
        told: dict[str, str] = {}
        for name, value in answer.getheaders():
            key = name.lower()
            told[key] = f"{told[key]}, {value}" if key in told else value
        return Reply(answer.status, told, content)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET `path`."""
        return self.request("GET", path, headers=headers)

    def head(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """HEAD `path`."""
        return self.request("HEAD", path, headers=headers)

    def delete(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """DELETE `path`."""
        return self.request("DELETE", path, headers=headers)

    def start_upload(self, name: str, query: str = "") -> str:
        """Open an upload session of the image `name`; return its location (`query`: `?digest-algorithm=sha512`)."""
        reply = self.request("POST", f"/v2/{name}/blobs/uploads/{query}", b"").expect(202)
        return self.path_of(reply.headers["location"])

    def put_blob(self, name: str, blob: Blob) -> Reply:
        """Upload `blob` by POST and PUT. Spec: distribution-spec 1.1.1, "POST then PUT" (end-4a, end-6)."""
        location = self.start_upload(name)
        join = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream"}
        return self.request("PUT", f"{location}{join}digest={quote(blob.digest)}", blob.data, headers)

    def put_manifest(self, name: str, reference: str, manifest: Manifest, query: str = "") -> Reply:
        """Push the manifest alone (end-7a); its blobs and children have to be there."""
        headers = {"Content-Type": manifest.media_type}
        return self.request("PUT", f"/v2/{name}/manifests/{reference}{query}", manifest.body, headers)

    def push(self, name: str, manifest: Manifest, *tags: str) -> Reply:
        """Push `manifest` and everything below it; by digest, and under each of `tags`. Return the last answer."""
        for child in manifest.children:
            self.push(name, child)
        for blob in manifest.blobs:
            self.put_blob(name, blob).expect(201)
        reply = self.put_manifest(name, manifest.digest, manifest).expect(201)
        for tag in tags:
            reply = self.put_manifest(name, tag, manifest).expect(201)
        return reply

    def get_manifest(self, name: str, reference: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET a manifest by tag or digest (end-3); `headers` replace the usual Accept."""
        return self.get(f"/v2/{name}/manifests/{reference}", _ACCEPT if headers is None else headers)

    def get_blob(self, name: str, digest: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET a blob, or a range of it (end-2)."""
        return self.get(f"/v2/{name}/blobs/{digest}", headers)

    def list_tags(self, name: str, query: str = "") -> list[str]:
        """Return the tags of one page (end-8)."""
        return self.get(f"/v2/{name}/tags/list{query}").expect(200).decode(TagList).tags

    def assert_holds(self, name: str, reference: str, manifest: Manifest) -> None:
        """Fail unless `reference` is `manifest`, and it and everything below it come back byte for byte."""
        named = self.get_manifest(name, reference).expect(200)
        assert named.headers["docker-content-digest"] == manifest.digest
        for part in manifest.walk():
            found = self.get_manifest(name, part.digest).expect(200)
            assert found.body == part.body
            assert found.headers["content-type"] == part.media_type
            for blob in part.blobs:
                assert self.get_blob(name, blob.digest).expect(200).body == blob.data

    def path_of(self, location: str) -> str:
        """Return a Location, relative or absolute, as a path to ask on this connection."""
        parts = urlsplit(location)
        return parts.path + (f"?{parts.query}" if parts.query else "")
