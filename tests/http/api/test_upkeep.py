"""Status, collection and scrub."""

import msgspec
import pytest

from tests.http.api.conftest import problem
from tests.make import images
from tests.make.client import Client
from tests.make.server import Server

_JSON = {"Content-Type": "application/json"}


class _Usage(msgspec.Struct, frozen=True, rename="camel"):
    images: int
    tags: int
    blobs: int
    bytes: int
    apparent_bytes: int


class _Storage(msgspec.Struct, frozen=True, rename="camel"):
    driver: str
    free_bytes: int
    wal_bytes: int


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    version: str
    registry: str
    uptime_seconds: int
    listeners: list[str]
    usage: _Usage
    storage: _Storage
    last: dict[str, str | None]


def test_status_counts_a_shared_blob_once_and_for_each_image(server: Server, admin: Client) -> None:
    image = images.image([{"etc/motd": b"counted"}])
    before = admin.get("/api/v1/status").expect(200).decode(_Status).usage
    size = sum(len(blob.data) for blob in image.blobs)

    admin.push("count/one", image, "1")
    admin.push("count/two", image, "1", "2")
    status = admin.get("/api/v1/status").expect(200).decode(_Status)

    assert status.usage.bytes - before.bytes == size
    assert status.usage.apparent_bytes - before.apparent_bytes == 2 * size
    assert (status.usage.images - before.images, status.usage.tags - before.tags) == (2, 3)
    assert status.registry == "local"
    assert status.listeners == [server.url]
    assert status.storage.driver == "local"
    assert status.storage.free_bytes > 0


def test_status_says_when_collection_and_scrub_ran_last(admin: Client) -> None:
    admin.request("POST", "/api/v1/collections", b"{}", _JSON).expect(200)
    admin.request("POST", "/api/v1/scrubs", b"{}", _JSON).expect(200)

    last = admin.get("/api/v1/status").expect(200).decode(_Status).last

    assert last["collection"] is not None
    assert last["scrub"] is not None
    assert last["backup"] is None


def test_a_dry_run_tells_what_a_purge_will_free_and_frees_nothing(admin: Client) -> None:
    image = images.image([{"etc/motd": b"purged"}])
    admin.push("purge/api", image, "1")
    image_id = admin.get("/api/v1/images?path=purge/api").decode(dict[str, list[dict[str, object]] | None])["items"]
    assert image_id
    admin.delete(f"/api/v1/images/{image_id[0]['id']}?purge=true").expect(204)
    before = admin.get("/api/v1/status").decode(_Status).usage

    admin.request("POST", "/api/v1/collections", b'{"dryRun": true}', _JSON).expect(200)

    assert admin.get("/api/v1/status").decode(_Status).usage == before


def test_scrub_reads_every_blob(admin: Client) -> None:
    admin.push("scrub/api", images.image([{"etc/motd": b"scrubbed"}]), "1")
    blobs = admin.get("/api/v1/status").decode(_Status).usage.blobs

    found = admin.request("POST", "/api/v1/scrubs", b"", _JSON).expect(200).decode(dict[str, int | list[str]])

    assert found["blobs"] == blobs
    assert found["broken"] == []


@pytest.mark.parametrize("body", [b'{"dryrun": true}', b'{"dryRun": "yes"}', b"[]", b"no", b'{"dryRun": true, "x": 1}'])
def test_an_order_of_another_shape_is_refused(admin: Client, body: bytes) -> None:
    reply = admin.request("POST", "/api/v1/collections", body, _JSON).expect(400)

    assert reply.headers["content-type"] == "application/problem+json"
    assert problem(reply.body).detail


def test_a_body_larger_than_any_order_is_refused(admin: Client) -> None:
    reply = admin.request("POST", "/api/v1/collections", b" " * (2 << 20), _JSON).expect(413)

    assert problem(reply.body).status == 413
