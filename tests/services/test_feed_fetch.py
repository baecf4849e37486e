"""Feeds fetched from a server: only what changed, checked, with credentials for its own host only."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.job import Cancelled
from appliance.errors import FeedInvalid, FeedUnknown, StoreDown
from appliance.services import feed_orders
from appliance.services.course import UNFOLLOWED
from appliance.services.feed_fetch import FeedAddress, Fetcher
from appliance.services.feed_import import Imported
from tests import make
from tests.scan.feeds import feed_files
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
OPERATOR = Caller(Principal(PrincipalKind.OPERATOR, "root"), FULL_ACCESS, "")


class Place:
    """A server of files: path -> status, headers, body. `asked` are the requests, with their authorization."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place.asked.append((self.path, self.headers.get("Authorization", "")))
                status, headers, body = place.files.get(self.path, (404, {}, b"nothing"))
                if "ETag" in headers and self.headers.get("If-None-Match") == headers["ETag"]:
                    status, body = 304, b""
                if headers.get("Needs") not in (None, self.headers.get("Authorization")):
                    status, body = 401, b""
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def put(self, path: str, body: bytes, status: int = 200, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.files[path] = (status, named, body)
        return f"http://{self.host}{path}"

    def put_artifact(self, name: str, manifest: make.Manifest, tag: str, **headers: str) -> str:
        for blob in manifest.blobs:
            self.put(f"/v2/{name}/blobs/{blob.digest}", blob.data, 200, **headers)
        for reference in (tag, manifest.digest):
            self.put(f"/v2/{name}/manifests/{reference}", manifest.body, 200, **headers)
        return f"oci://{self.host}/{name}:{tag}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def place() -> Iterator[Place]:
    opened = Place()
    yield opened
    opened.close()


async def fetch(house: House, address: str, **fields: object) -> Imported:
    house.set_rules(feeds=(FeedAddress("trivy", address, **fields),))  # type: ignore[arg-type]  # as a test names them
    return await feed_orders.run_fetch(house.stock, "trivy", "job1", UNFOLLOWED)


async def test_a_file_is_fetched_once_and_again_when_it_has_changed(house: House, place: Place) -> None:
    address = place.put("/db.tar.gz", feed_files.dense_archive(), ETag='"1"')

    first = await fetch(house, address, unverified=True)
    second = await fetch(house, address, unverified=True)
    place.put("/db.tar.gz", feed_files.osv_zip("pypi"), ETag='"2"')
    third = await fetch(house, address, unverified=True)

    assert (first.is_new, second.is_new, third.is_new) == (True, False, True)
    assert (first.name, third.form) == ("trivy", "osv")


def verified(house: House) -> dict[str, str]:
    """Return how each source was verified."""
    return {one.name: one.verified.value for one in house.stock.vulndb.sources}


@pytest.mark.parametrize("beside", [None, b"", b"<html>not found</html>", b"0" * 40])
async def test_a_file_that_nothing_speaks_for_is_refused_unless_that_is_asked_for(
    house: House, place: Place, beside: bytes | None
) -> None:
    address = place.put("/db.tar.gz", feed_files.dense_archive())
    if beside is not None:
        place.put("/db.tar.gz.sha256", beside)

    with pytest.raises(FeedInvalid, match="nothing says what"):
        await fetch(house, address)
    asked = [path for path, _ in place.asked]
    refused = verified(house)
    await fetch(house, address, unverified=True)

    assert asked == ["/db.tar.gz.sha256"]  # not a byte of the file
    assert (refused, verified(house)) == ({}, {"trivy": "unverified"})


async def test_what_was_taken_unverified_is_verified_once_there_is_a_check_sum(house: House, place: Place) -> None:
    body = feed_files.dense_archive()
    address = place.put("/db.tar.gz", body)
    await fetch(house, address, unverified=True)
    version = house.stock.vulndb.version
    place.put("/db.tar.gz.sha256", f"{hashlib.sha256(body).hexdigest()}  db.tar.gz\n".encode())

    again = await fetch(house, address)
    await fetch(house, address, unverified=True)

    assert (again.is_new, verified(house)) == (False, {"trivy": "checksum"})
    assert house.stock.vulndb.version == version  # the data are the same: nothing is matched again


async def test_an_artifact_is_verified_by_its_digest(house: House, place: Place) -> None:
    address = place.put_artifact("aquasec/trivy-db", feed_files.dense_artifact(), "2")

    await fetch(house, address)

    assert verified(house) == {"trivy": "digest"}


async def test_a_check_sum_beside_a_file_is_held_against_it(house: House, place: Place) -> None:
    address = place.put("/db.tar.gz", feed_files.dense_archive())
    place.put("/db.tar.gz.sha256", b"0" * 64)

    with pytest.raises(FeedInvalid, match="changed or cut"):
        await fetch(house, address)

    assert house.stock.vulndb.version is None


async def test_a_listing_of_grype_leads_to_its_file(house: House, place: Place, tmp_path: Path) -> None:
    body = feed_files.grype_archive(tmp_path)
    place.put("/v6/db.tar.zst?x=1", body)
    listing = {"path": "db.tar.zst?x=1", "checksum": f"sha256:{hashlib.sha256(body).hexdigest()}"}
    address = place.put("/v6/latest.json", msgspec.json.encode(listing))

    assert (await fetch(house, address)).form == "grype"


@pytest.mark.parametrize("checksum", ["", "sha256:", "sha256:0123", "md5:" + "0" * 64, "0" * 64])
async def test_a_listing_that_names_no_check_sum_is_refused(
    house: House, place: Place, tmp_path: Path, checksum: str
) -> None:
    place.put("/v6/db.tar.zst", feed_files.grype_archive(tmp_path))
    address = place.put("/v6/latest.json", msgspec.json.encode({"path": "db.tar.zst", "checksum": checksum}))

    with pytest.raises(FeedInvalid, match="names no sha256: check sum"):
        await fetch(house, address)

    assert house.stock.vulndb.version is None
    assert [path for path, _ in place.asked if "db.tar" in path] == []


async def test_an_artifact_is_fetched_with_a_token_and_not_again(house: House, place: Place) -> None:
    challenge = f'Bearer realm="http://{place.host}/token",service="x",scope="repository:aquasec/trivy-db:pull"'
    artifact = feed_files.dense_artifact()
    address = place.put_artifact("aquasec/trivy-db", artifact, "2", Needs="Bearer t", WWW_Authenticate=challenge)
    place.put("/token?service=x&scope=repository%3Aaquasec%2Ftrivy-db%3Apull", b'{"token": "t"}')

    first = await fetch(house, address)
    place.asked.clear()
    second = await fetch(house, address)

    assert (first.is_new, second.is_new) == (True, False)
    assert [path for path, _ in place.asked if "/blobs/" in path] == []


async def test_an_index_leads_to_its_first_artifact(house: House, place: Place) -> None:
    artifact = feed_files.dense_artifact()
    place.put_artifact("aquasec/trivy-db", artifact, "old")
    place.put("/v2/aquasec/trivy-db/manifests/2", make.index([artifact]).body)

    assert (await fetch(house, f"oci://{place.host}/aquasec/trivy-db:2")).is_new


async def test_other_bytes_than_a_digest_says_are_refused(house: House, place: Place) -> None:
    artifact = feed_files.dense_artifact()
    address = place.put_artifact("a/b", artifact, "2")
    place.put(f"/v2/a/b/blobs/{artifact.blobs[1].digest}", feed_files.osv_zip("pypi"))
    by_digest = address.replace(":2", f"@{artifact.digest}")

    with pytest.raises(FeedInvalid, match="changed or cut"):
        await fetch(house, address)
    place.put(f"/v2/a/b/manifests/{artifact.digest}", artifact.body + b" ")
    with pytest.raises(FeedInvalid, match="other bytes"):
        await fetch(house, by_digest)


async def test_an_artifact_of_a_registry_here_needs_no_connection(house: House) -> None:
    await house.push("aquasec/trivy-db", feed_files.dense_artifact(), "2")

    done = await fetch(house, "scr://local/aquasec/trivy-db:2")

    assert (done.name, done.is_new) == ("trivy", True)


async def test_a_password_goes_to_its_own_host_only(house: House, place: Place, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\nmore\n")
    other = Place()
    target = other.put("/db.tar.gz", feed_files.dense_archive())
    address = place.put("/db.tar.gz", b"", 302, Location=target)

    await fetch(house, address, user="ann", password_file=tmp_path / "password", unverified=True)
    other.close()

    assert place.asked[-1] == ("/db.tar.gz", "Basic YW5uOnNlY3JldA==")
    assert other.asked == [("/db.tar.gz", "")]


@pytest.mark.parametrize(
    ("path", "status", "headers", "error", "message"),
    [
        ("/a.zip", 404, {}, FeedInvalid, "answered 404"),
        ("/a.zip", 503, {}, StoreDown, "answered 503"),
        ("/a.zip", 302, {"Location": "/a.zip"}, FeedInvalid, "without an end"),
        ("/a.zip", 302, {"Location": "http://feeds.example.com/a.zip"}, FeedInvalid, "use https"),
        ("/latest.json", 200, {}, FeedInvalid, "something else"),
    ],
)
async def test_what_a_server_may_answer_instead_is_said(
    house: House, place: Place, path: str, status: int, headers: dict[str, str], error: type[Exception], message: str
) -> None:
    address = place.put(path, b"nothing", status, **headers)

    with pytest.raises(error, match=message):
        await fetch(house, address, unverified=True)


async def test_nobody_there_is_a_reason_to_ask_again(house: House, place: Place) -> None:
    place.close()

    with pytest.raises(StoreDown, match="asked again"):
        await fetch(house, f"http://{place.host}/a.zip")


@pytest.mark.parametrize("address", ["http://feeds.example.com/a.zip", "oci://127.0.0.1/a", "oci://127.0.0.1/../x:1"])
async def test_an_address_that_cannot_be_trusted_or_read_is_refused(house: House, address: str) -> None:
    with pytest.raises(FeedInvalid):
        await fetch(house, address)


async def test_an_end_that_is_asked_for_ends_a_transfer(place: Place, tmp_path: Path) -> None:
    def end(done: int, total: int) -> None:
        del done, total
        raise Cancelled

    fetcher = Fetcher(FeedAddress("x", place.put("/a.zip", b"x" * 100), unverified=True), end)

    with pytest.raises(Cancelled):
        fetcher.fetch(tmp_path, "", "")
    fetcher.close()


async def test_only_what_is_configured_is_fetched(house: House) -> None:
    with pytest.raises(FeedUnknown, match="fetches from nowhere else"):
        await feed_orders.order_fetch(house.stock, OPERATOR, "")
    house.set_rules(feeds=(FeedAddress("a", "https://feeds.example.com/a.zip"), FeedAddress("b", "scr://local/b:1")))

    ordered = await feed_orders.order_fetch(house.stock, OPERATOR, "")

    assert [job.subject for job in ordered] == ["a", "b"]
    assert [job.subject for job in await feed_orders.order_fetch(house.stock, OPERATOR, "b")] == ["b"]
    assert await feed_orders.spread_fetch(house.stock) == 2
    assert house.count("jobs WHERE kind = 'vulndb.fetch'") == 2
    with pytest.raises(FeedUnknown, match="'c'"):
        await feed_orders.order_fetch(house.stock, OPERATOR, "c")
