"""Attacks that other registries suffered, as far as they concern /v2: no 500, no traceback, no file outside."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import make
from tests.http.raw import Raw
from tests.make.client import Client
from tests.make.images import OCI_MANIFEST, encode

IMAGE = make.image([{"secret": b"of one image"}])
SECRET = IMAGE.blobs[1]

EVIL = [
    "..",
    "../..",
    "a/../b",
    "a/..",
    "./a",
    "%2e%2e",
    "a%2f..%2fb",
    "a%252f..%252fb",
    "%2e%2e%2f%2e%2e%2fetc",
    "..%5c..",
    "a\\..\\b",
    "a%00b",
    "%c0%ae%c0%ae",
    "%e2%80%ae",
    "a%0d%0aSet-Cookie:x=1",
    "a;b",
    "a//b",
    "/a",
    "a" * 10_000,
    "a/" * 3000 + "a",
    "%ff%fe",
    "%",
    "%zz",
    "con/nul",
    "a:b",
    "a@b",
    "a?b",
    "%3fa",
    "~root",
    "$(id)",
    "{{7*7}}",
]
ADDRESSES = [
    ("GET", "/v2/{}/manifests/latest"),
    ("PUT", "/v2/{}/manifests/latest"),
    ("GET", "/v2/x/manifests/{}"),
    ("PUT", "/v2/x/manifests/{}"),
    ("DELETE", "/v2/x/manifests/{}"),
    ("GET", "/v2/x/blobs/{}"),
    ("GET", "/v2/x/blobs/sha256:{}"),
    ("DELETE", "/v2/x/blobs/sha256:{}"),
    ("POST", "/v2/{}/blobs/uploads/"),
    ("GET", "/v2/x/blobs/uploads/{}"),
    ("PUT", "/v2/x/blobs/uploads/{}?digest=sha256:" + "0" * 64),
    ("PATCH", "/v2/x/blobs/uploads/{}"),
    ("GET", "/v2/{}/tags/list"),
    ("GET", "/v2/x/referrers/{}"),
    ("GET", "/v2/{}"),
]


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def files(server: make.Server) -> set[str]:
    """Return what lies around the data folder and what the store holds; the database's own files left out."""
    return {name for name in listing(server.folder) if "scr.sqlite" not in name}


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_no_spelling_of_a_path_leads_anywhere(server: make.Server, method: str, address: str) -> None:
    before, logged = files(server), len(server.log)

    for evil in EVIL:
        with Raw(server) as raw:
            path = address.format(evil)
            reply = raw.ask(f"{method} {path} HTTP/1.1\r\nHost: {raw.host}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        assert reply.status < 500, (path[:100], reply)
        # harmless spellings of lawful names may be served; nothing is stored under any other
        assert reply.status >= 400 or evil in ("con/nul", "a?b", "a:b") or path.startswith("/v2/a?"), (path, reply)
        assert "set-cookie" not in reply.headers
        assert b"Traceback" not in reply.body
        assert b"/data" not in reply.body

    assert {name for name in files(server) - before if not name.startswith("data/uploads/")} == set()
    assert not any("Traceback" in line for line in server.log[logged:])


@pytest.mark.parametrize("evil", EVIL)
def test_no_query_leads_anywhere(server: make.Server, client: Client, evil: str) -> None:
    before = files(server)
    text = quote(evil, safe="%") if "%" not in evil else evil

    for query in ("mount={0}&from={0}", "mount=sha256:{0}", "digest={0}", "digest=sha256:{0}", "digest-algorithm={0}"):
        reply = client.request("POST", f"/v2/x/blobs/uploads/?{query.format(text)}", b"{}")
        assert reply.status in (400, 414), (query, reply)
    for path in (
        "x/tags/list?n={0}&last={0}",
        "_catalog?last={0}",
        f"x/referrers/sha256:{'0' * 64}?artifactType={{0}}",
    ):
        assert client.get("/v2/" + path.format(text)).status in (200, 400, 404, 414)

    assert files(server) - before == set()


def test_knowing_a_digest_gives_nobody_a_blob(client: Client) -> None:
    client.push("attack/owner", IMAGE, "1")
    client.push("attack/guesser", make.image([{"other": b"things"}]), "1")

    for path in (f"blobs/{SECRET.digest}", f"manifests/{IMAGE.digest}"):
        for method in ("GET", "HEAD", "DELETE"):
            client.request(method, f"/v2/attack/guesser/{path}").expect(404)
    body = make.artifact("a/b").variant(layers=[SECRET.descriptor("application/octet-stream")])
    client.put_blob("attack/guesser", make.Blob(b"{}")).expect(201)
    assert client.put_manifest("attack/guesser", "steal", body).expect(400).codes == ["MANIFEST_BLOB_UNKNOWN"]
    client.get_blob("attack/guesser", SECRET.digest).expect(404)


def test_the_answer_is_the_same_whether_a_blob_exists_elsewhere_or_nowhere(client: Client) -> None:
    client.push("attack/owner", IMAGE, "1")
    nowhere = "sha256:" + "1" * 64

    for method in ("GET", "HEAD", "DELETE"):
        elsewhere, absent = (
            client.request(method, f"/v2/attack/guesser/blobs/{digest}") for digest in (SECRET.digest, nowhere)
        )
        assert elsewhere.status == absent.status == 404
        assert elsewhere.body.replace(SECRET.digest.encode(), nowhere.encode()) == absent.body
        assert elsewhere.headers.keys() == absent.headers.keys()


def test_a_manifest_is_no_blob_and_a_blob_no_manifest(client: Client) -> None:
    client.push("attack/kinds", IMAGE, "1")

    client.get_blob("attack/kinds", IMAGE.digest).expect(404)
    client.get_manifest("attack/kinds", SECRET.digest).expect(404)


@pytest.mark.parametrize("data", [b"{}", b"[]", b"not json", b"<html>", b"\0" * 100])
def test_an_index_may_list_a_blob_that_is_nobodys_manifest(client: Client, data: bytes) -> None:
    client.put_blob("attack/index", make.Blob(data)).expect(201)
    child = make.Blob(data).descriptor(OCI_MANIFEST)

    client.put_manifest("attack/index", "1", make.index([]).variant(manifests=[child])).expect(201)

    client.get_manifest("attack/index", make.Blob(data).digest).expect(404)


@pytest.mark.parametrize(
    "text",
    ["a\r\nSet-Cookie: x=1", "a\nb", "\x1b[31mred", "</script><script>", '"', "größe", "a" * 5000, "\x7f", "a\tb"],
)
def test_no_text_of_a_manifest_becomes_a_header_or_a_line_of_the_log(
    server: make.Server, client: Client, text: str
) -> None:
    logged = len(server.log)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": None, "layers": [], "subject": None}
    client.put_blob("attack/text", make.Blob(b"{}")).expect(201)
    config = make.Blob(b"{}").descriptor(text)
    fields: list[dict[str, object]] = [
        {"mediaType": text},
        {"artifactType": text},
        {"annotations": {text: text}},
        {"config": config},
        {"subject": make.Blob(b"x").descriptor(text)},
    ]

    for field in fields:
        content = body | {"config": make.Blob(b"{}").descriptor("a/b")} | field
        manifest = encode({key: value for key, value in content.items() if value is not None})
        reply = client.request("PUT", "/v2/attack/text/manifests/t", manifest)
        assert reply.status in (201, 400)
        assert "set-cookie" not in reply.headers
        if reply.status == 201:
            assert client.get_manifest("attack/text", "t").expect(200).body == manifest
    listed = client.get(f"/v2/attack/text/referrers/{make.Blob(b'x').digest}?artifactType={quote(text, safe='')}")
    assert listed.status == 200
    assert "set-cookie" not in listed.headers
    assert not any("\x1b" in line or "Traceback" in line for line in server.log[logged:])


def test_a_link_to_the_next_page_cannot_be_broken_out_of(client: Client) -> None:
    kind = 'a/b>;rel="next",<https://evil.example'
    subject = make.image([{"for": b"links"}])
    for number in range(2):
        filling = {"n": str(number), "filling": "x" * (3 << 20)}
        client.push("attack/link", make.artifact(kind, subject=subject, annotations=filling))

    reply = client.get(f"/v2/attack/link/referrers/{subject.digest}?artifactType={quote(kind, safe='')}").expect(200)

    link = reply.headers["link"]
    assert link.startswith(f"</v2/attack/link/referrers/{subject.digest}?last=")
    assert link.count("<") == link.count(">") == 1
    assert client.get(client.path_of(link[1 : link.index(">")])).expect(200).body != reply.body


@pytest.mark.parametrize(
    "header",
    [
        "Content-Range: " + "9" * 5000 + "-1",
        "Content-Range: 0-" + "9" * 19,
        "Range: bytes=" + ",".join(["0-"] * 2000),
        "Range: bytes=" + "-" * 3000,
        "Range: bytes=" + " " * 5000 + "x",
        "If-None-Match: " + "W/" * 3000,
        "Content-Type: " + "a/" * 3000,
        "Accept: " + "*/*," * 2000,
        "Authorization: Basic " + "A" * 5000,
        "X-Anything: \xff\xfe",
        "Cookie: " + "a=b;" * 1000,
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "manifests/1"), ("GET", f"blobs/{SECRET.digest}"), ("PUT", "manifests/h"), ("POST", "blobs/uploads/")],
)
def test_no_header_makes_it_fail(server: make.Server, client: Client, header: str, method: str, path: str) -> None:
    client.push("attack/headers", IMAGE, "1")

    with Raw(server) as raw:
        lines = (
            f"{method} /v2/attack/headers/{path} HTTP/1.1\r\nHost: {raw.host}\r\nContent-Length: 0\r\n{header}\r\n\r\n"
        )
        reply = raw.ask(lines.encode("latin-1"))

    assert reply.status < 500
    client.assert_holds("attack/headers", "1", IMAGE)


def test_a_million_ranges_are_read_no_further_than_needed(client: Client) -> None:
    client.push("attack/ranges", IMAGE, "1")
    asked = "bytes=" + ",".join(["999999-"] * 1500)

    client.get_blob("attack/ranges", SECRET.digest, {"Range": asked}).expect(416)


def test_a_query_of_a_thousand_parameters_is_refused(client: Client) -> None:
    query = "&".join(f"p{number}=1" for number in range(1000))

    client.request("POST", f"/v2/attack/query/blobs/uploads/?{query}", b"").expect(400)
    client.get(f"/v2/_catalog?{query}").expect(400)


@pytest.mark.parametrize("query", ["%ff", "n=%ff", "digest=%", "%00=%00", "n=1&n=2", "=", "&&&", "a" * 5000])
def test_odd_queries_are_refused_or_ignored(client: Client, query: str) -> None:
    for path in ("_catalog", "attack/query/tags/list", "attack/query/manifests/1"):
        assert client.get(f"/v2/{path}?{query}").status in (200, 400, 404)
    assert client.request("POST", f"/v2/attack/query/blobs/uploads/?{query}", b"").status in (202, 400)


def test_a_deep_manifest_costs_its_sender_only(client: Client) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        body = ('{"x":' + opening * 100_000 + "1" + closing * 100_000 + "}").encode()
        assert client.request("PUT", "/v2/attack/deep/manifests/1", body).expect(400).codes == ["MANIFEST_INVALID"]


def test_error_bodies_are_json_whatever_the_path_said(server: make.Server) -> None:
    for path in ("/v2/%22%7d/manifests/1", "/v2/\\u0000/manifests/1", "/v2/<b>/x", "/v2/a'b/manifests/1"):
        with Raw(server) as raw:
            reply = raw.ask(f"GET {path} HTTP/1.1\r\nHost: {raw.host}\r\n\r\n".encode())
        assert reply.status in (400, 404)
        assert {"code", "message"} <= json.loads(reply.body)["errors"][0].keys()
        assert reply.headers["content-type"] == "application/json"
