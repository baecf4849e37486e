"""Counts, refusals and traffic outlive the process: all of them a stop, and a crash but for the last ten seconds."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests import make
from tests.http.api.conftest import JSON, find
from tests.http.raw import wait_until
from tests.make.client import Client, why
from tests.make.server import Server

IMAGE = make.image([{"a": b"1"}])
_PULLS = "containerregistry.statics.image.pull.count"


def sum_of(client: Client, name: str, step: str = "minute") -> float:
    reply = client.get(f"/api/v1/metrics?name={name}&step={step}").expect(200)
    return float(sum(point["value"] for point in json.loads(reply.body)["items"][0]["points"]))


def written(server: Server, table: str) -> int:
    with closing(sqlite3.connect(f"file:{server.data}/logs.sqlite?mode=ro", uri=True)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a test's own word


def keep_traffic(client: Client) -> None:
    registry = find(client, "registries", "local")
    client.request("PATCH", f"/api/v1/registries/{registry}", b'{"logTraffic": true}', JSON).expect(200)
    client.push("probe/it", IMAGE, "1")

    def is_kept() -> bool:
        client.get_manifest("probe/it", "1").expect(200)
        return b"probe/it" in client.get("/api/v1/traffic").expect(200).body

    wait_until(is_kept)


def refuse(client: Client) -> str:
    return why(client.get("/v2/pay/api/manifests/1", {"Via": "1.1 proxy"}).expect(403).body)


def test_a_stop_loses_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with server, server.client() as client:
        keep_traffic(client)
        client.push("pay/api", IMAGE, "1")
        before = sum_of(client, _PULLS)
        client.get_manifest("pay/api", "1").expect(200)
        client.put_manifest("pay/api", IMAGE.digest, IMAGE).expect(201)
        refusal = refuse(client)

    with server, server.client() as client:
        assert sum_of(client, _PULLS) == sum_of(client, _PULLS, "hour") == before + 1
        assert sum_of(client, "containerregistry.statics.image.push.count") == 3
        assert sum_of(client, "containerregistry.statics.image.created.count") == 2
        assert sum_of(client, "container.registry.status.alive") > 0
        client.get(f"/api/v1/refusals/{refusal}").expect(200)
        digest = json.loads(client.get(f"/api/v1/traffic?digest={IMAGE.digest}&path=pay/api").body)["items"]
        assert [one["kind"] for one in digest][:2] == ["manifest.pushed", "manifest.pulled"]
        assert b'scr_image_pulls_total{registry="local",outcome="allowed"} 0' in client.get("/metrics").body


def test_a_crash_loses_no_change_and_at_most_what_was_not_written(tmp_path: Path) -> None:
    server = Server(tmp_path).start()
    with server.client() as client:
        keep_traffic(client)
        client.push("pay/api", IMAGE, "1")
        refusal = refuse(client)
        client.get("/api/v1/refusals").expect(200)  # whoever looks has it written
        client.get("/api/v1/traffic").expect(200)
        client.delete("/v2/pay/api/manifests/1").expect(202)
    kept = written(server, "traffic"), written(server, "refusals")
    server.kill()

    with server, server.client() as client:
        assert sum_of(client, "containerregistry.statics.tag.deleted.count") == 1
        assert sum_of(client, "containerregistry.statics.repository.created.count") == 2
        assert (written(server, "traffic"), written(server, "refusals")) == kept
        client.get(f"/api/v1/refusals/{refusal}").expect(200)
    with server, server.client() as client:
        assert sum_of(client, "containerregistry.statics.tag.deleted.count") == 1


@pytest.mark.parametrize("content", [b"", b"rubbish " * 5000])
def test_a_server_serves_with_its_logs_lost(tmp_path: Path, content: bytes) -> None:
    server = Server(tmp_path)
    with server, server.client() as client:
        client.push("pay/api", IMAGE, "1")
        refuse(client)
    for path in server.data.glob("logs.sqlite*"):
        path.unlink()
    if content:
        (server.data / "logs.sqlite").write_bytes(content)

    with server, server.client() as client:
        client.assert_holds("pay/api", "1", IMAGE)
        assert json.loads(client.get("/api/v1/refusals").expect(200).body)["items"] == []
        refusal = refuse(client)
        client.get(f"/api/v1/refusals/{refusal}").expect(200)
        assert (server.data / "logs.sqlite.broken").exists() is bool(content)
