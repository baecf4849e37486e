"""The object store is down, or wrong, under a real server: clients are told, and nothing that was told is lost."""

import random
import threading

from tests import make
from tests.make.client import Client
from tests.make.proxy import FAULTS, Proxy
from tests.stores.conftest import Start

BLOB = make.Blob(bytes(range(256)) * 400)
HUGE = make.Blob(random.Random(7).randbytes(20 << 20))  # noqa: S311 - content; goes up in parts
IMAGE = make.image([{"etc/motd": b"hello"}])


def begin(client: Client, blob: make.Blob) -> str:
    """Send all of `blob`; return where the upload is closed."""
    location = client.start_upload("pay/api")
    client.request("PATCH", location, blob.data).expect(202)
    return location


def test_a_push_while_it_is_down_is_told_to_come_again_and_goes_on_without_sending_anything_anew(
    start: Start, proxy: Proxy
) -> None:
    server = start()
    for blob in (BLOB, HUGE):
        with server.client() as client:
            location = begin(client, blob)
            proxy.choose = lambda *_: "error"
            refused = client.request("PUT", f"{location}?digest={blob.digest}", b"").expect(503)
            assert (refused.headers["retry-after"], b"object store" in refused.body) == ("10", True)
            assert client.get("/health/ready").expect(200).body.find(b"degraded") > 0
            assert client.get(location).expect(204).headers["scr-upload-offset"] == str(len(blob.data))
            proxy.choose = lambda *_: ""

            client.request("PUT", f"{location}?digest={blob.digest}", b"").expect(201)

            assert client.get_blob("pay/api", blob.digest).expect(200).body == blob.data
            assert b"degraded" not in client.get("/health/ready").expect(200).body


def test_the_upload_outlives_a_restart_while_it_is_down(start: Start, proxy: Proxy) -> None:
    server = start()
    with server.client() as client:
        location = begin(client, BLOB)
        proxy.choose = lambda *_: "reset"
        client.request("PUT", f"{location}?digest={BLOB.digest}", b"").expect(503)
    server.kill()

    server.start()  # it starts though the bucket is down: what is here can be served

    with server.client() as client:
        assert client.get(location).expect(204).headers["scr-upload-offset"] == str(len(BLOB.data))
        client.request("PATCH", location, b"more").expect(400)  # it waits for the store, closed as it is
        proxy.choose = lambda *_: ""
        client.request("PUT", f"{location}?digest={BLOB.digest}", b"").expect(201)
        assert client.get_blob("pay/api", BLOB.digest).expect(200).body == BLOB.data


def test_what_the_cache_holds_is_served_while_it_is_down_and_the_rest_is_a_503(start: Start, proxy: Proxy) -> None:
    server = start()
    with server.client() as client:
        for blob in (BLOB, HUGE):
            client.put_blob("pay/api", blob).expect(201)
        for path in (server.data / "cache" / "blobs").glob(f"{HUGE.digest[7:]}.*"):
            path.unlink()
        proxy.choose = lambda *_: "error"

        assert client.get_blob("pay/api", BLOB.digest).expect(200).body == BLOB.data
        refused = client.get_blob("pay/api", HUGE.digest).expect(503)

        assert refused.headers["retry-after"] == "10"
        proxy.choose = lambda *_: ""
        assert client.get_blob("pay/api", HUGE.digest).expect(200).body == HUGE.data  # nothing was quarantined


def test_manifests_are_served_while_it_is_down_and_refused_when_pushed(start: Start, proxy: Proxy) -> None:
    server = start()
    with server.client() as client:
        client.push("pay/api", IMAGE, "1")
        proxy.choose = lambda *_: "busy"

        assert client.get("/v2/pay/api/manifests/1").expect(200).body == IMAGE.body
        client.request(
            "PUT", "/v2/pay/other/manifests/1", make.index([]).body, {"Content-Type": make.index([]).media_type}
        ).expect(503)


def test_under_faults_of_every_kind_many_clients_lose_nothing_and_get_nothing_wrong(start: Start, proxy: Proxy) -> None:
    server = start("[storage.s3]\ncache = 0\n")
    proxy.fail_often(0.2, 5, tuple(fault for fault in FAULTS if fault not in ("hang", "drip")))
    acknowledged: list[make.Blob] = []
    wrong: list[str] = []

    def work(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - content
        with server.client() as client:
            for _ in range(6):
                blob = make.Blob(chance.randbytes(chance.choice([900, 300_000, 3 << 20])))
                location = begin(client, blob)
                if client.request("PUT", f"{location}?digest={blob.digest}", b"").status == 201:
                    acknowledged.append(blob)
                if acknowledged:
                    read(client, chance.choice(acknowledged), wrong)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)

    assert wrong == []
    assert len(acknowledged) > 12
    assert len({fault for fault, _, _ in proxy.made}) > 5
    proxy.choose = lambda *_: ""
    with server.client() as client:
        for blob in acknowledged:
            assert client.get_blob("pay/api", blob.digest).expect(200).body == blob.data
    server.stop()
    assert proxy.is_idle(0, 30)


def read(client: Client, blob: make.Blob, wrong: list[str]) -> None:
    """Pull `blob`; a 503 and an answer that ends early are no lies, other bytes are."""
    try:
        reply = client.get_blob("pay/api", blob.digest)
    except OSError:
        return
    if reply.status == 200 and not blob.data.startswith(reply.body):
        wrong.append(blob.digest)
