"""What a registry's own rules look like on the wire: quotas, states, names by port and by host name."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.http.api.test_registries import Registry, make, send
from tests.make import images
from tests.make.client import Client, Reply
from tests.make.server import Server
from tests.make.stores import names_in

IMAGE = images.image([{"etc/motd": b"welcome"}])
OTHER = images.image([{"etc/motd": b"another"}])


class _Problem(msgspec.Struct, frozen=True):
    code: str
    message: str


class _Problems(msgspec.Struct, frozen=True):
    errors: list[_Problem]


@pytest.fixture
def local(server: Server) -> Iterator[Client]:
    with server.client() as client:
        yield client


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def own_client(client: Client, name: str, **settings: object) -> Iterator[tuple[Registry, Client]]:
    """Make a registry with a listener of its own; give a client of that."""
    port = free_port()
    registry = make(client, name, port=port, **settings)
    with Client(f"http://127.0.0.1:{port}") as own:
        yield registry, own


def told(reply: Reply) -> str:
    return reply.decode(_Problems).errors[0].message


def test_a_push_over_quota_is_denied_with_quota_and_use(local: Client) -> None:
    size = sum(len(blob.data) for blob in IMAGE.blobs) + len(IMAGE.body)
    with own_client(local, "narrow", quotaBytes=size) as (registry, own):
        own.push("pay/api", IMAGE, "1")

        reply = own.request("POST", "/v2/pay/api/blobs/uploads/", b"").expect(403)

        assert reply.codes == ["DENIED"]
        assert "registry narrow uses" in told(reply)
        assert "of its quota of" in told(reply)
        own.put_manifest("pay/api", "2", IMAGE).expect(201)  # a new tag costs nothing
        send(local, "PATCH", f"/api/v1/registries/{registry.id}", {"quotaBytes": None}).expect(200)
        own.push("pay/api", OTHER, "3")


def test_a_blob_that_does_not_fit_leaves_nothing_behind(local: Client) -> None:
    with own_client(local, "small", quotaBytes=1000) as (_, own):
        blob = images.Blob(b"x" * 2000)

        own.request("POST", f"/v2/pay/api/blobs/uploads/?digest={blob.digest}", blob.data).expect(403)
        location = own.start_upload("pay/api")
        own.request("PATCH", location, blob.data, {"Content-Type": "application/octet-stream"}).expect(403)

        own.get(location).expect(404)
        own.push("pay/api", images.artifact("application/x-note"), "1")


def test_two_registries_do_not_see_each_others_content(local: Client) -> None:
    with own_client(local, "apart") as (_, own):
        local.push("shared/api", IMAGE, "1")

        own.get_manifest("shared/api", "1").expect(404)
        own.get_blob("shared/api", IMAGE.blobs[0].digest).expect(404)
        own.get("/v2/shared/api/tags/list").expect(404)
        assert b"shared/api" not in own.get("/v2/_catalog").expect(200).body
        own.push("shared/api", OTHER, "1")

        assert own.get_manifest("shared/api", "1").expect(200).body == OTHER.body
        assert local.get_manifest("shared/api", "1").expect(200).body == IMAGE.body


def test_nothing_is_mounted_from_another_registry(local: Client) -> None:
    with own_client(local, "closed") as (_, own):
        local.push("source/api", IMAGE, "1")
        digest = IMAGE.blobs[0].digest

        for query in (f"?mount={digest}&from=source/api", f"?mount={digest}"):
            own.request("POST", f"/v2/target/api/blobs/uploads/{query}", b"").expect(202)

        own.get_blob("target/api", digest).expect(404)


def test_an_upload_of_one_registry_is_none_of_another(local: Client) -> None:
    with own_client(local, "aside") as (_, own):
        location = local.start_upload("pay/api")

        own.get(location).expect(404)
        own.request("PATCH", location, b"x", {"Content-Type": "application/octet-stream"}).expect(404)

        local.get(location).expect(204)


def test_bytes_that_two_registries_have_are_stored_once(server: Server, local: Client) -> None:
    with own_client(local, "double") as (_, own):
        content = images.image([{"etc/motd": b"the same bytes in both"}])
        local.push("pay/api", content, "1")
        own.push("pay/api", content, "1")

        names = names_in(server.data, server.environment)

        for blob in content.blobs:
            assert len([name for name in names if name.startswith(blob.digest.partition(":")[2])]) == 1


@pytest.fixture
def named(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, '[endpoint.private]\ndomain = "registry.test"\n[server]\nnames = ["registry.test"]\n') as one:
        yield one


def test_a_deleted_registry_reads_as_absent_and_refuses_pushes_by_its_state(named: Server) -> None:
    with named.client() as local:
        registry = make(local, "leaving")
        host = {"Host": f"leaving-{registry.id}.registry.test:{named.url.rpartition(':')[2]}"}
        local.request("GET", "/v2/", headers=host)
        local.delete(f"/api/v1/registries/{registry.id}?confirm=leaving").expect(204)

        read = local.request("GET", "/v2/pay/api/manifests/1", headers=host).expect(404)
        push = local.request("POST", "/v2/pay/api/blobs/uploads/", b"", headers=host).expect(403)

        assert read.codes == ["NAME_UNKNOWN"]
        assert push.codes == ["DENIED"]
        assert "Terminating" in told(push)
