"""Any request that a socket can carry gets an answer below 500, or the connection ends; the server goes on serving."""

import json
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import make
from tests.fuzz.conftest import sized
from tests.http.raw import Raw
from tests.make.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

IMAGE = make.image([{"a": b"1"}])
BLOB = make.Blob(bytes(range(256)) * 8)

_TEXT = st.text(max_size=20) | st.sampled_from(["", "..", "/", "%2f", "%00", "\\", "a" * 300, "é", "\U0001f433", " "])
_PART = st.sampled_from(["pay", "api", "library", "blobs", "uploads", "manifests", "tags", "list", "_catalog", "v2"])
_NAME = st.sampled_from(["fuzz/it", "fuzz", "fuzz/none", "a/blobs/uploads", "FUZZ", "a" * 256]) | st.lists(
    _PART | _TEXT, max_size=4
).map("/".join)
_DIGEST = st.sampled_from(
    [BLOB.digest, IMAGE.digest, "sha256:" + "0" * 64, "sha512:" + "0" * 128, "sha256:x", "md5:0", ":", "sha256:"]
)
_REFERENCE = _DIGEST | st.sampled_from(["1", "latest", ".x", "x" * 129]) | _TEXT
_SESSION = st.uuids().map(str) | _TEXT | st.just("")
_PATH = st.one_of(
    st.builds("/v2/{}/manifests/{}".format, _NAME, _REFERENCE),
    st.builds("/v2/{}/blobs/{}".format, _NAME, _REFERENCE),
    st.builds("/v2/{}/blobs/uploads/{}".format, _NAME, _SESSION),
    st.builds("/v2/{}/referrers/{}".format, _NAME, _REFERENCE),
    st.builds("/v2/{}/tags/list".format, _NAME),
    st.sampled_from(["/v2", "/v2/", "/v2/_catalog", "/v2//", "/v2/_catalog/", "/v2/a", "/v2/../v2/"]),
    st.lists(_PART | _TEXT, max_size=6).map(lambda parts: "/v2/" + "/".join(parts)),
)
_VALUE = _DIGEST | _NAME | st.integers().map(str) | _TEXT | st.sampled_from(["sha256", "sha512", "application/json"])
_KEY = st.sampled_from(["digest", "mount", "from", "n", "last", "tag", "artifactType", "digest-algorithm", "ns", "x"])
_QUERY = st.lists(st.tuples(_KEY | _TEXT, _VALUE), max_size=4)
_METHOD = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
_LINE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30)
_NUMBERS = st.builds("{}{}-{}".format, st.sampled_from(["", "bytes=", "bytes "]), st.integers(0), st.integers(0))
_HEADER = st.one_of(
    st.tuples(st.sampled_from(["Range", "Content-Range"]), _NUMBERS | _LINE),
    st.tuples(st.sampled_from(["If-None-Match", "If-Range", "If-Match"]), _DIGEST.map('"{}"'.format) | _LINE),
    st.tuples(
        st.just("Content-Type"),
        st.sampled_from([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, "a/b; c=d", ""]) | _LINE,
    ),
    st.tuples(st.sampled_from(["Accept", "Accept-Encoding", "User-Agent", "Authorization", "Cookie", "X-A"]), _LINE),
)
_DESCRIPTOR = st.fixed_dictionaries(
    {"digest": _DIGEST, "size": st.integers(-1, 1 << 64)},
    optional={"mediaType": _TEXT | st.just("a/b"), "data": _TEXT, "annotations": st.dictionaries(_TEXT, _TEXT)},
)
_MANIFEST = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.integers(0, 3),
        "mediaType": st.sampled_from([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, "a/b", ""]) | _TEXT,
        "config": _DESCRIPTOR,
        "layers": st.lists(_DESCRIPTOR, max_size=3),
        "manifests": st.lists(_DESCRIPTOR, max_size=3),
        "subject": _DESCRIPTOR,
        "artifactType": _TEXT | st.just("a/b+c"),
        "annotations": st.dictionaries(_TEXT, _TEXT, max_size=3),
    },
).map(lambda content: json.dumps(content).encode("utf-8", "surrogatepass"))
_BODY = st.sampled_from([b"", b"{}", IMAGE.body, BLOB.data]) | st.binary(max_size=200) | _MANIFEST


class Sent(msgspec.Struct, frozen=True):
    """One request as it goes over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    is_chunked: bool

    def encode(self, host: str) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        body = self.body
        if self.is_chunked:
            lines.append("Transfer-Encoding: chunked")
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        else:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _target(path: str, query: list[tuple[str, str]], is_encoded: bool) -> str:  # noqa: FBT001 - called by builds
    safe = "/:%" if is_encoded else "/:%\\<>{}|^`\"'[]~!$&()*+,;="
    pairs = "&".join(f"{quote(key, safe='%+')}={quote(value, safe=':/%+')}" for key, value in query)
    return quote(path, safe=safe) + (f"?{pairs}" if pairs else "")


_SENT = st.builds(
    Sent,
    method=_METHOD,
    target=st.builds(_target, _PATH, _QUERY, st.booleans()),
    headers=st.lists(_HEADER, max_size=4),
    body=_BODY,
    is_chunked=st.booleans(),
)


@pytest.fixture(scope="module")
def content(server: make.Server) -> make.Server:
    """The server, with something in it to meet."""
    with server.client() as client:
        client.push("fuzz/it", IMAGE, "1", "latest")
        client.put_blob("fuzz/it", BLOB).expect(201)
    return server


def assert_answered(raw: Raw, sent: Sent) -> None:
    reply = raw.read(is_head=sent.method == "HEAD")
    assert reply.status < 500, reply
    if reply.status >= 400 and sent.method != "HEAD":
        assert b"Traceback" not in reply.body
        if sent.target.startswith("/v2"):
            problem = json.loads(reply.body)["errors"][0]
            assert problem["code"] == problem["code"].upper()
            assert problem["message"]


@given(_SENT)
@sized(400, 30_000)
def test_any_request_is_answered(content: make.Server, sent: Sent) -> None:
    with Raw(content) as raw:
        raw.send(sent.encode(content.address))
        assert_answered(raw, sent)


@given(st.lists(_SENT, min_size=2, max_size=6))
@sized(40, 3000)
def test_requests_on_one_connection_do_not_disturb_each_other(content: make.Server, several: list[Sent]) -> None:
    with Raw(content) as raw:
        for sent in several:
            raw.send(sent.encode(content.address))
            reply = raw.read(is_head=sent.method == "HEAD")
            assert reply.status < 500
            if reply.headers.get("connection") == "close":
                return
        raw.send(b"GET /v2/fuzz/it/manifests/1 HTTP/1.1\r\nHost: {host}\r\n\r\n")
        last = raw.read()
    assert last.status in (200, 404)  # one of them may have deleted it
    assert last.status == 404 or last.body.startswith(b"{")


@given(_SENT, st.integers(0, 400))
@sized(60, 5000)
def test_a_request_that_is_cut_off_leaves_the_server_as_it_was(content: make.Server, sent: Sent, cut: int) -> None:
    with Raw(content) as raw:
        raw.send(sent.encode(content.address)[:cut])

    with content.client() as client:
        client.get("/v2/").expect(200)


@given(_MANIFEST | st.binary(max_size=300), st.sampled_from([OCI_MANIFEST, OCI_INDEX, "", "a/b"]) | _LINE)
@sized(150, 10_000)
def test_any_body_is_a_manifest_that_comes_back_or_is_refused(
    content: make.Server, body: bytes, content_type: str
) -> None:
    sent = Sent("PUT", "/v2/fuzz/bodies/manifests/t", [("Content-Type", content_type)], body, is_chunked=False)
    with Raw(content) as raw:
        raw.send(sent.encode(content.address))
        reply = raw.read()
    assert reply.status in (201, 400)
    if reply.status == 201:
        with content.client() as client:
            assert client.get_manifest("fuzz/bodies", "t").expect(200).body == body
            client.get(f"/v2/fuzz/bodies/referrers/{make.Blob(body).digest}").expect(200)


def test_the_server_still_has_what_it_had(content: make.Server) -> None:
    with content.client() as client:
        client.push("fuzz/after", IMAGE, "1")
        client.assert_holds("fuzz/after", "1", IMAGE)
    assert not any("Traceback" in line or "request.failed" in line for line in content.log)
    assert {path.name for path in content.folder.iterdir()} == {"data", "scr.toml"}
