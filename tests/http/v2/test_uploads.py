import re
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests import make
from tests.make.client import Client, Reply
from tests.make.stores import names_in

DATA = bytes(range(256)) * 12  # 3072 bytes
SESSION = re.compile(r"/v2/up/load/blobs/uploads/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
UNKNOWN = "/v2/up/load/blobs/uploads/00000000-0000-4000-8000-000000000000"


def patch(client: Client, location: str, data: bytes, start: int | None = None) -> Reply:
    headers = {"Content-Type": "application/octet-stream"}
    if start is not None:
        headers["Content-Range"] = f"{start}-{start + len(data) - 1}"
    return client.request("PATCH", location, data, headers)


def close(client: Client, location: str, blob: make.Blob, data: bytes = b"", **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request("PUT", f"{location}?digest={quote(blob.digest)}", data, sent)


def assert_at(client: Client, location: str, offset: int) -> None:
    """Fail unless the session stands at `offset`."""
    reply = client.get(location).expect(204)
    assert reply.headers["range"] == f"0-{max(offset - 1, 0)}"
    assert reply.headers["scr-upload-offset"] == str(offset)
    assert client.path_of(reply.headers["location"]) == location


@pytest.fixture
def location(client: Client) -> str:
    return client.start_upload("up/load")


@pytest.fixture(params=["sha256", "sha512"])
def blob(request: pytest.FixtureRequest) -> make.Blob:
    """A blob that no other test has pushed."""
    return make.Blob(request.node.name.encode() + DATA, request.param)


def assert_pushed(client: Client, reply: Reply, blob: make.Blob) -> None:
    """Fail unless `reply` is the 201 of a push and its Location gives the bytes."""
    assert reply.status == 201, reply
    assert reply.headers["docker-content-digest"] == blob.digest
    location = client.path_of(reply.headers["location"])
    assert location == f"/v2/up/load/blobs/{blob.digest}"
    assert client.get(location).expect(200).body == blob.data
    client.delete(location).expect(202)
    client.head(location).expect(404)


def test_a_session_begins_empty_and_its_location_is_relative(client: Client) -> None:
    reply = client.request("POST", "/v2/up/load/blobs/uploads/", b"").expect(202)

    assert SESSION.fullmatch(reply.headers["location"])
    assert reply.headers["range"] == "0-0"
    assert reply.headers["docker-upload-uuid"] == reply.headers["location"].rpartition("/")[2]
    assert_at(client, reply.headers["location"], 0)


def test_post_then_put(client: Client, blob: make.Blob) -> None:
    assert_pushed(client, client.put_blob("up/load", blob), blob)


def test_a_single_post(client: Client, blob: make.Blob) -> None:
    reply = client.request("POST", f"/v2/up/load/blobs/uploads/?digest={quote(blob.digest)}", blob.data)

    assert_pushed(client, reply, blob)


def test_one_chunk(client: Client, location: str, blob: make.Blob) -> None:
    patch(client, location, blob.data, 0).expect(202)

    assert_pushed(client, close(client, location, blob), blob)


def test_three_chunks(client: Client, location: str, blob: make.Blob) -> None:
    for start in range(0, len(blob.data), 1100):
        reply = patch(client, location, blob.data[start : start + 1100], start).expect(202)
        location = client.path_of(reply.headers["location"])
        assert reply.headers["range"] == f"0-{min(start + 1100, len(blob.data)) - 1}"

    assert_pushed(client, close(client, location, blob), blob)


def test_the_last_chunk_in_the_closing_put(client: Client, location: str, blob: make.Blob) -> None:
    patch(client, location, blob.data[:1000], 0).expect(202)

    last = f"1000-{len(blob.data) - 1}"
    assert_pushed(client, close(client, location, blob, blob.data[1000:], Content_Range=last), blob)


def test_a_stream_without_length_or_range(client: Client, location: str, blob: make.Blob) -> None:
    def stream() -> Iterator[bytes]:
        for start in range(0, len(blob.data), 7):
            yield blob.data[start : start + 7]

    client.request("PATCH", location, stream()).expect(202)

    assert_pushed(client, close(client, location, blob), blob)


def test_a_session_for_sha512_is_asked_for_by_its_name(client: Client, blob: make.Blob) -> None:
    location = client.start_upload("up/load", f"?digest-algorithm={blob.algorithm}")
    patch(client, location, blob.data).expect(202)

    assert_pushed(client, close(client, location, blob), blob)


@pytest.mark.parametrize("data", [b"", b"{}"])
def test_well_known_blobs(client: Client, data: bytes) -> None:
    blob = make.Blob(data)

    for _ in range(2):
        assert_pushed(client, client.put_blob("up/load", blob), blob)


@pytest.mark.parametrize("query", ["?digest-algorithm=md5", "?digest-algorithm=SHA256", "?digest=sha256:x", "?digest="])
def test_a_session_of_an_unknown_algorithm_is_refused(client: Client, query: str) -> None:
    assert client.request("POST", f"/v2/up/load/blobs/uploads/{query}", b"").expect(400).codes == ["DIGEST_INVALID"]


@pytest.mark.parametrize("start", [0, 400, 501, 3000])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_out_of_order_is_416_and_changes_nothing(
    client: Client, location: str, method: str, start: int
) -> None:
    blob = make.Blob(DATA)
    patch(client, location, DATA[:500], 0).expect(202)
    headers = {"Content-Range": f"{start}-{start + 99}"}

    path = location if method == "PATCH" else f"{location}?digest={blob.digest}"
    reply = client.request(method, path, DATA[start : start + 99 + 1] or DATA[:100], headers).expect(416)

    assert reply.headers["range"] == "0-499"
    assert client.path_of(reply.headers["location"]) == location
    assert_at(client, location, 500)
    patch(client, location, DATA[500:], 500).expect(202)
    close(client, location, blob).expect(201)


def test_the_first_chunk_must_begin_at_nought(client: Client, location: str) -> None:
    reply = patch(client, location, DATA, 1).expect(416)

    assert reply.headers["range"] == "0-0"
    assert_at(client, location, 0)


@pytest.mark.parametrize("text", ["x", "1", "5-2", "-5", "0-", "bytes", "0-1-2", "0-1/", "a-b", "\xb2-\xb3"])
def test_a_content_range_that_is_none_is_refused(client: Client, location: str, text: str) -> None:
    reply = client.request("PATCH", location, b"xy", {"Content-Range": text}).expect(400)

    assert reply.codes == ["BLOB_UPLOAD_INVALID"]
    assert_at(client, location, 0)


@pytest.mark.parametrize("text", ["bytes 0-2/3", "bytes=0-2", "bytes 0-2/*", "0-2"])
def test_other_spellings_of_a_content_range_are_understood(client: Client, location: str, text: str) -> None:
    client.request("PATCH", location, b"abc", {"Content-Range": text}).expect(202)

    assert_at(client, location, 3)


def test_a_stream_that_is_longer_than_its_range_is_refused(client: Client, location: str) -> None:
    reply = client.request("PATCH", location, iter([b"abc", b"def"]), {"Content-Range": "0-3"}).expect(400)

    assert reply.codes == ["SIZE_INVALID"]


def test_a_stream_that_is_shorter_than_its_range_is_refused_and_kept(client: Client, location: str) -> None:
    reply = client.request("PATCH", location, iter([b"abc"]), {"Content-Range": "0-3"}).expect(400)

    assert reply.codes == ["SIZE_INVALID"]
    assert_at(client, location, 3)


@pytest.mark.parametrize("way", ["post", "put", "chunked", "last chunk", "stream"])
def test_a_wrong_digest_is_refused_however_the_bytes_came(client: Client, location: str, way: str) -> None:
    wrong = make.Blob(way.encode() + b"other bytes")
    if way == "post":
        reply = client.request("POST", f"/v2/up/load/blobs/uploads/?digest={wrong.digest}", DATA)
    elif way == "put":
        reply = close(client, location, wrong, DATA)
    else:
        patch(client, location, DATA[:100], None if way == "stream" else 0).expect(202)
        reply = close(client, location, wrong, DATA[100:] if way == "last chunk" else b"")

    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])
    client.head(f"/v2/up/load/blobs/{wrong.digest}").expect(404)
    client.head(f"/v2/up/load/blobs/{make.Blob(DATA + way.encode()).digest}").expect(404)


@pytest.mark.parametrize("query", ["", "?digest=", "?digest=x", "?digest=sha256:../../x", "?other=1"])
def test_a_close_without_a_digest_is_refused_and_the_session_stays(client: Client, location: str, query: str) -> None:
    patch(client, location, DATA).expect(202)

    assert client.request("PUT", location + query, b"").expect(400).codes == ["DIGEST_INVALID"]

    assert_at(client, location, len(DATA))


def test_a_digest_given_twice_is_refused(client: Client, location: str) -> None:
    digest = make.Blob(b"").digest

    client.request("PUT", f"{location}?digest={digest}&digest={digest}", b"").expect(400)


def test_a_cancelled_session_is_unknown(client: Client, location: str) -> None:
    patch(client, location, DATA).expect(202)

    client.delete(location).expect(204)

    for method in ("GET", "HEAD", "DELETE", "PATCH"):
        client.request(method, location, b"" if method == "PATCH" else None).expect(404)
    assert close(client, location, make.Blob(DATA)).expect(404).codes == ["BLOB_UPLOAD_UNKNOWN"]


def test_a_session_is_closed_once(client: Client, location: str) -> None:
    blob = make.Blob(b"closed once")
    close(client, location, blob, blob.data).expect(201)

    assert close(client, location, blob, blob.data).expect(404).codes == ["BLOB_UPLOAD_UNKNOWN"]

    client.get(location).expect(404)
    assert client.get_blob("up/load", blob.digest).expect(200).body == blob.data


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("path", [UNKNOWN, "/v2/up/load/blobs/uploads/", "/v2/up/load/blobs/uploads/x", UNKNOWN + "0"])
def test_an_unknown_session_is_unknown(client: Client, method: str, path: str) -> None:
    query = f"?digest={make.Blob(b'').digest}" if method == "PUT" else ""

    assert client.request(method, path + query, None).expect(404).codes == ["BLOB_UPLOAD_UNKNOWN"]


def test_a_session_belongs_to_its_image(client: Client, location: str) -> None:
    for other in ("up/loads", "up/loa", "up", "up/load/x"):
        moved = location.replace("up/load", other)
        for method in ("GET", "PATCH", "DELETE"):
            client.request(method, moved, b"" if method == "PATCH" else None).expect(404)
        close(client, moved, make.Blob(b"")).expect(404)
    assert_at(client, location, 0)


def test_while_one_request_writes_others_are_told_to_wait(server: make.Server, client: Client, location: str) -> None:
    blob = make.Blob(b"first" + b"second")
    is_begun, may_go_on = threading.Event(), threading.Event()

    def stream() -> Iterator[bytes]:
        yield b"first"
        is_begun.set()
        may_go_on.wait(60)
        yield b"second"

    replies: list[Reply] = []

    def write() -> None:
        with server.client() as writer:
            replies.append(writer.request("PATCH", location, stream()))

    writing = threading.Thread(target=write)
    writing.start()
    is_begun.wait(60)
    while (reply := client.request("PATCH", location, b"")).status == 202:  # until the server has the other's head
        assert writing.is_alive()
    assert reply.codes == ["BLOB_UPLOAD_INVALID"]
    client.delete(location).expect(409)
    close(client, location, blob).expect(409)
    client.get(location).expect(204)
    may_go_on.set()
    writing.join(60)

    assert [one.status for one in replies] == [202]
    close(client, location, blob).expect(201)


def test_many_clients_push_the_same_blob_at_once(
    server: make.Server, client: Client, store_variables: dict[str, str]
) -> None:
    blob = make.Blob(b"the same for all" * 10_000)
    statuses: list[int] = []
    gate = threading.Barrier(8)

    def push(number: int) -> None:
        with server.client() as pusher:
            location = pusher.start_upload(f"up/by-{number % 4}")
            gate.wait(60)
            statuses.append(close(pusher, location, blob, blob.data).status)

    pushers = [threading.Thread(target=push, args=(number,)) for number in range(8)]
    for pusher in pushers:
        pusher.start()
    for pusher in pushers:
        pusher.join(60)

    assert statuses == [201] * 8
    assert sum(name.startswith(blob.digest[7:]) for name in names_in(server.data, store_variables)) == 1
    for number in range(4):
        assert client.get_blob(f"up/by-{number}", blob.digest).expect(200).body == blob.data


def test_nothing_of_a_failed_single_post_stays(server: make.Server, client: Client) -> None:
    before = len(list((server.data / "uploads").iterdir()))

    client.request("POST", f"/v2/up/load/blobs/uploads/?digest={make.Blob(b'x').digest}", b"y").expect(400)

    assert len(list((server.data / "uploads").iterdir())) == before


class TestMounting:
    @pytest.fixture
    def mounted(self, client: Client, request: pytest.FixtureRequest) -> make.Blob:
        """A blob in up/source."""
        blob = make.Blob(request.node.name.encode())
        client.put_blob("up/source", blob).expect(201)
        return blob

    @pytest.mark.parametrize("source", ["&from=up/source", "&from=up%2Fsource", ""])
    def test_a_blob_of_another_image_is_mounted(self, client: Client, mounted: make.Blob, source: str) -> None:
        reply = client.request("POST", f"/v2/up/target/blobs/uploads/?mount={mounted.digest}{source}", b"").expect(201)

        assert client.path_of(reply.headers["location"]) == f"/v2/up/target/blobs/{mounted.digest}"
        assert client.get_blob("up/target", mounted.digest).expect(200).body == mounted.data

    @pytest.mark.parametrize(
        "source",
        [
            "&from=up/none",
            "&from=up/other",
            "&from=registry.example/up/source",
            "&from=localhost:5000/up/source",
            "&from=../source",
            "&from=UP/source",
            "&from=",
            "&from=" + "x" * 3000,
        ],
    )
    def test_a_source_that_has_it_not_begins_an_upload(self, client: Client, mounted: make.Blob, source: str) -> None:
        client.put_blob("up/other", make.Blob(b"another")).expect(201)

        path = f"/v2/up/target2/blobs/uploads/?mount={mounted.digest}{source}"
        reply = client.request("POST", path, b"").expect(202)

        close(client, client.path_of(reply.headers["location"]), mounted, mounted.data).expect(201)

    def test_a_blob_that_is_nowhere_begins_an_upload(self, client: Client) -> None:
        for source in ("", "&from=up/source"):
            client.request("POST", f"/v2/up/target/blobs/uploads/?mount=sha256:{'0' * 64}{source}", b"").expect(202)

    def test_what_is_no_digest_cannot_be_mounted(self, client: Client) -> None:
        reply = client.request("POST", "/v2/up/target/blobs/uploads/?mount=sha256:..&from=up/source", b"").expect(400)

        assert reply.codes == ["DIGEST_INVALID"]

    def test_a_mount_of_what_the_image_has_already_is_done(self, client: Client, mounted: make.Blob) -> None:
        client.request("POST", f"/v2/up/source/blobs/uploads/?mount={mounted.digest}&from=up/source", b"").expect(201)
