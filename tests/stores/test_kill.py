"""The server is killed in the middle of an upload in parts: nothing is left in the bucket that is not collected."""

import contextlib
import http.client
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.blobstore.bucket import Wallet
from appliance.blobstore.multipart import Multipart
from appliance.cli.main import main
from tests import make
from tests.make.object_store import ObjectStore
from tests.make.proxy import Proxy
from tests.make.server import Server
from tests.make.stores import bucket_variables
from tests.stores.conftest import Start

HUGE = make.Blob(random.Random(9).randbytes(26 << 20))  # noqa: S311 - content; four parts
PATIENCE_S = 60


class Watched:
    """A prefix of the bucket as somebody with its key sees it."""

    def __init__(self, store: ObjectStore) -> None:
        self.variables = bucket_variables(store.endpoint)
        self._bucket = store.bucket(self.variables["SCR_STORAGE__S3__PREFIX"] + "/")

    def unfinished(self) -> list[str]:
        multipart = Multipart(self._bucket, Wallet(self._bucket.login), 1, PATIENCE_S)
        try:
            return [one.id for one in multipart.list_unfinished()]
        finally:
            multipart.close()


@pytest.fixture
def watched(object_store: ObjectStore, proxy: Proxy) -> Watched:
    found = Watched(object_store)
    found.variables["SCR_STORAGE__S3__ENDPOINT"] = proxy.endpoint
    return found


def push_until_killed(server: Server, proxy: Proxy, method: str, number: int, fault: str) -> str:
    """Push HUGE, kill the server at the request `number` of `method`; return where the upload can be closed again."""
    reached = threading.Event()
    seen = 0

    def choose(_number: int, asked: str, path: str) -> str:
        nonlocal seen
        if asked != method or "upload" not in path.lower():
            return ""
        seen += 1
        if seen < number:
            return ""
        reached.set()
        return fault

    proxy.choose = choose
    with server.client() as client, ThreadPoolExecutor(1) as waiting:
        location = client.start_upload("pay/api")
        client.request("PATCH", location, HUGE.data).expect(202)
        closing = waiting.submit(client.request, "PUT", f"{location}?digest={HUGE.digest}", b"")
        assert reached.wait(PATIENCE_S)
        server.kill()
        with contextlib.suppress(OSError, http.client.HTTPException):
            closing.result(PATIENCE_S)
    proxy.choose = lambda *_: ""
    return location


@pytest.mark.parametrize(("method", "number"), [("PUT", 1), ("PUT", 3), ("POST", 2)], ids=["part", "part 3", "end"])
def test_what_was_under_way_is_aborted_at_the_next_start(
    start: Start, proxy: Proxy, watched: Watched, method: str, number: int
) -> None:
    server = start(given=watched.variables)
    location = push_until_killed(server, proxy, method, number, "hang")
    assert len(watched.unfinished()) == 1

    server.start()

    assert watched.unfinished() == []
    with server.client() as client:
        assert client.get_blob("pay/api", HUGE.digest).status == 404
        client.request("PUT", f"{location}?digest={HUGE.digest}", b"").expect(201)
        assert client.get_blob("pay/api", HUGE.digest).expect(200).body == HUGE.data
    assert watched.unfinished() == []


def test_an_upload_whose_id_nobody_heard_of_is_swept(
    start: Start, proxy: Proxy, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCR_DEBUG", "1")
    server = start("[storage]\ngrace = 0\n", given=watched.variables)
    push_until_killed(server, proxy, "POST", 1, "lost")
    server.start()
    assert len(watched.unfinished()) == 1

    assert main(["job", "run", "sweep", "--data-dir", str(server.data)]) == 0

    assert watched.unfinished() == []
