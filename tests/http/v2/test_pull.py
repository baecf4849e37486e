import pytest

from tests import make
from tests.make.client import Client

IMAGE = make.image([{"etc/motd": b"hello\n"}], annotations={"org.opencontainers.image.title": "größer"})
INDEX = make.index([IMAGE, make.image(platform="linux/arm64")])
CONTENT = make.Blob(bytes(range(256)) * 16)  # 4096 bytes
LARGE = make.Blob(b"".join(b"%07d\n" % number for number in range(400_000)))  # 3.2 MB: four chunks of a MiB
EMPTY = make.Blob(b"")
ABSENT = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def name(server: make.Server) -> str:
    """Push what the module pulls; return the image."""
    with server.client() as pusher:
        pusher.push("pull/it", IMAGE, "1")
        pusher.push("pull/it", INDEX, "all")
        for blob in (CONTENT, LARGE, EMPTY, make.Blob(CONTENT.data, "sha512")):
            pusher.put_blob("pull/it", blob).expect(201)
    return "pull/it"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_the_registry_says_that_it_is_one(client: Client, method: str, path: str) -> None:
    reply = client.request(method, path).expect(200)

    assert reply.headers["docker-distribution-api-version"] == "registry/2.0"
    assert reply.body == (b"{}" if method == "GET" else b"")


@pytest.mark.parametrize("manifest", [IMAGE, INDEX, *INDEX.children])
def test_a_manifest_comes_back_byte_for_byte(client: Client, name: str, manifest: make.Manifest) -> None:
    got = client.get_manifest(name, manifest.digest).expect(200)
    told = client.head(f"/v2/{name}/manifests/{manifest.digest}").expect(200)

    assert got.body == manifest.body
    assert told.body == b""
    for reply in (got, told):
        assert reply.headers["content-type"] == manifest.media_type
        assert reply.headers["docker-content-digest"] == manifest.digest
        assert reply.headers["content-length"] == str(len(manifest.body))
        assert "content-encoding" not in reply.headers


def test_a_tag_and_a_digest_with_an_encoded_colon_name_it_too(client: Client, name: str) -> None:
    assert client.get_manifest(name, "1").expect(200).body == IMAGE.body
    assert client.get_manifest(name, IMAGE.digest.replace(":", "%3A")).expect(200).body == IMAGE.body


@pytest.mark.parametrize("blob", [CONTENT, LARGE, EMPTY, make.Blob(CONTENT.data, "sha512")])
def test_a_blob_comes_back_byte_for_byte(client: Client, name: str, blob: make.Blob) -> None:
    got = client.get_blob(name, blob.digest).expect(200)
    told = client.head(f"/v2/{name}/blobs/{blob.digest}").expect(200)

    assert got.body == blob.data
    for reply in (got, told):
        assert reply.headers["content-length"] == str(len(blob.data))
        assert reply.headers["docker-content-digest"] == blob.digest
        assert reply.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("pull/it/manifests/none", 404, "MANIFEST_UNKNOWN"),
        (f"pull/it/manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
        ("pull/none/manifests/1", 404, "MANIFEST_UNKNOWN"),
        (f"pull/it/blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
        (f"pull/none/blobs/{CONTENT.digest}", 404, "BLOB_UNKNOWN"),
        ("pull/it/manifests/sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("pull/it/blobs/sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("pull/it/blobs/latest", 400, "DIGEST_INVALID"),
        ("pull/it/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", 400, "DIGEST_INVALID"),
        ("Pull/it/manifests/1", 400, "NAME_INVALID"),
        ("pull/it/manifests/.x", 400, "TAG_INVALID"),
        ("pull/it/nothing", 404, "NAME_UNKNOWN"),
    ],
)
def test_what_cannot_be_found_says_what_it_is(
    client: Client, name: str, method: str, path: str, status: int, code: str
) -> None:
    del name
    reply = client.request(method, f"/v2/{path}").expect(status)

    assert reply.headers["content-type"] == "application/json"
    assert reply.codes == ([code] if method == "GET" else [])


@pytest.mark.parametrize("blob", [CONTENT, LARGE])
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, None),
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, None),
        ("bytes=-500", -500, None),
        ("bytes=-99999999", 0, None),
        ("bytes=2000-99999999", 2000, None),
        ("bytes = 5 - 9", 5, 10),
        ("Bytes=5-9", 5, 10),
        ("bytes=5-9,20-29", 5, 10),
        ("bytes=99999999-,20-29", 20, 30),
    ],
)
def test_a_range_is_exactly_what_was_asked_for(
    client: Client, name: str, blob: make.Blob, asked: str, start: int, end: int | None
) -> None:
    reply = client.get_blob(name, blob.digest, {"Range": asked}).expect(206)

    assert reply.body == blob.data[start:end]
    first, last, _ = slice(start, end).indices(len(blob.data))
    assert reply.headers["content-range"] == f"bytes {first}-{last - 1}/{len(blob.data)}"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["docker-content-digest"] == blob.digest


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1 << 20), ((1 << 20) - 1, (1 << 20) + 1), (1 << 20, 2 << 20), (5, 3_100_000), (3 << 20, None)],
)
def test_a_range_may_begin_and_end_anywhere_in_the_chunks_of_the_store(
    client: Client, name: str, start: int, end: int | None
) -> None:
    asked = f"bytes={start}-{'' if end is None else end - 1}"

    assert client.get_blob(name, LARGE.digest, {"Range": asked}).expect(206).body == LARGE.data[start:end]


@pytest.mark.parametrize("asked", ["bytes=4096-", "bytes=5000-10000", "bytes=500-0", "bytes=-0", "bytes=9999-,8888-"])
def test_a_range_that_is_not_there_is_416_and_tells_the_size(client: Client, name: str, asked: str) -> None:
    reply = client.get_blob(name, CONTENT.digest, {"Range": asked}).expect(416)

    assert reply.headers["content-range"] == "bytes */4096"


@pytest.mark.parametrize("asked", ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "lines=1-2", "bytes=--5"])
def test_what_is_no_range_is_ignored(client: Client, name: str, asked: str) -> None:
    assert client.get_blob(name, CONTENT.digest, {"Range": asked}).expect(200).body == CONTENT.data


def test_an_empty_blob_has_no_ranges(client: Client, name: str) -> None:
    assert client.get_blob(name, EMPTY.digest, {"Range": "bytes=0-"}).expect(200).body == b""


def test_a_range_is_for_get_alone(client: Client, name: str) -> None:
    reply = client.head(f"/v2/{name}/blobs/{CONTENT.digest}", {"Range": "bytes=0-9"}).expect(200)

    assert reply.headers["content-length"] == "4096"
    client.head(f"/v2/{name}/blobs/{CONTENT.digest}", {"Range": "bytes=9999-"}).expect(200)


@pytest.mark.parametrize(("condition", "status"), [("{}", 206), ('"{}"', 206), ('"other"', 200), ("yesterday", 200)])
def test_a_range_holds_only_for_the_content_the_client_knows(
    client: Client, name: str, condition: str, status: int
) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": condition.format(CONTENT.digest)}

    assert len(client.get_blob(name, CONTENT.digest, headers).expect(status).body) == (10 if status == 206 else 4096)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("held", ['"{}"', 'W/"{}"', '"a", "{}"', "*"])
@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_what_the_client_holds_is_not_sent_again(client: Client, name: str, method: str, held: str, kind: str) -> None:
    digest = IMAGE.digest if kind == "manifests" else CONTENT.digest
    path = f"/v2/{name}/{kind}/{digest}"
    tag = client.request(method, path).expect(200).headers["etag"]
    assert tag == f'"{digest}"'

    reply = client.request(method, path, headers={"If-None-Match": held.format(digest)}).expect(304)

    assert (reply.headers["etag"], reply.body) == (tag, b"")
    client.request(method, path, headers={"If-None-Match": f'"{ABSENT}"'}).expect(200)


def test_a_moved_tag_is_sent_to_who_held_the_old_manifest(client: Client) -> None:
    client.push("pull/moving", IMAGE, "1")
    held = {"If-None-Match": client.head("/v2/pull/moving/manifests/1").headers["etag"]}
    client.head("/v2/pull/moving/manifests/1", held).expect(304)

    client.push("pull/moving", INDEX, "1")

    assert client.get_manifest("pull/moving", "1", held).expect(200).body == INDEX.body


@pytest.mark.parametrize("kind", ["uploads/x", "nothing", "blobs/uploads"])
def test_other_addresses_are_unknown(client: Client, kind: str) -> None:
    assert client.get(f"/v2/a/{kind}").status in (400, 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", "GET, HEAD"),
        ("_catalog", "GET, HEAD"),
        ("a/tags/list", "GET, HEAD"),
        (f"a/referrers/{ABSENT}", "GET, HEAD"),
        ("a/manifests/1", "DELETE, GET, HEAD, PUT"),
        (f"a/blobs/{ABSENT}", "DELETE, GET, HEAD"),
        ("a/blobs/uploads/", "DELETE, GET, HEAD, PATCH, POST, PUT"),
    ],
)
def test_a_method_that_is_not_for_an_address_says_which_are(client: Client, path: str, allowed: str) -> None:
    for method in ("OPTIONS", "TRACE", "PROPFIND"):
        reply = client.request(method, f"/v2/{path}").expect(405)
        assert (reply.headers["allow"], reply.codes) == (allowed, ["UNSUPPORTED"])


@pytest.mark.parametrize("path", ["_catalog", "pull/it/tags/list", f"pull/it/referrers/{IMAGE.digest}"])
def test_head_tells_of_a_list_what_get_would(client: Client, name: str, path: str) -> None:
    del name
    got, told = client.get(f"/v2/{path}").expect(200), client.head(f"/v2/{path}").expect(200)

    assert told.body == b""
    assert {key: told.headers[key] for key in ("content-type", "content-length")} == {
        "content-type": got.headers["content-type"],
        "content-length": str(len(got.body)),
    }
