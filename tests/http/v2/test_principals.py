"""What one user may not do to what is another's."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.blobstore.files import Files
from appliance.domain.access import Action
from appliance.domain.registry import RegistryId
from appliance.http.challenge import Challenger
from appliance.http.meter import Meter
from appliance.http.noting import Noting
from appliance.http.v2.app import DistributionApi
from appliance.services.keys import hash_password
from tests import make
from tests.http.raw import Raw
from tests.make.client import Client, without_why
from tests.services.booking import open_books
from tests.services.conftest import House

PASSWORD = "of all " + "users"
USERS = {
    "pusher": "ScrPullPushOnlyAccess",
    "other": "ScrPullPushOnlyAccess",
    "puller": "ScrPullOnlyAccess",
    "viewer": "ScrViewOnlyAccess",
    "admin": "ScrFullAccess",
}
IMAGE = make.image([{"a": b"1"}])
ABSENT = "sha256:" + "0" * 64

# kind of address -> path; every method of each is asked by every user
PATHS = {
    "": "/v2/",
    "_catalog": "/v2/_catalog",
    "manifests": "/v2/matrix/none/manifests/none",
    "blobs": f"/v2/matrix/none/blobs/{ABSENT}",
    "uploads": "/v2/matrix/none/blobs/uploads/00000000-0000-4000-8000-000000000000",
    "tags": "/v2/matrix/none/tags/list",
    "referrers": f"/v2/matrix/none/referrers/{ABSENT}",
}
NEEDS = {
    ("manifests", "PUT"): Action.PUSH,
    ("manifests", "DELETE"): Action.DELETE,
    ("blobs", "DELETE"): Action.DELETE,
    **{("uploads", method): Action.PUSH for method in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")},
}
MAY = {
    "pusher": {Action.PULL, Action.PUSH},
    "other": {Action.PULL, Action.PUSH},
    "puller": {Action.PULL},
    "viewer": set[Action](),
    "admin": set(Action),
}


@pytest.fixture(scope="module")
def server_config() -> str:
    known = hash_password(PASSWORD)  # one for all: each hash takes a while on purpose
    tables = (
        f'[[user]]\nname = "{name}"\npassword_hash = "{known}"\npolicies = ["{policy}"]\n'
        for name, policy in USERS.items()
    )
    return "\n".join(tables)


@pytest.fixture(scope="module")
def users(server: make.Server) -> Iterator[dict[str, Client]]:
    clients = {name: server.client(user=name, password=PASSWORD) for name in USERS}
    clients["pusher"].push("owned/it", IMAGE, "1")
    yield clients
    for client in clients.values():
        client.close()


def test_the_matrix_has_every_kind_of_address(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        house = House(tmp_path, threads, Files())
        books = open_books(house, threads)
        challenger = Challenger("", RegistryId(1))
        noting = Noting(books, None, challenger, house.site)  # type: ignore[arg-type]  # nobody comes
        routes = DistributionApi(house.stock, noting, Meter(), challenger).routes
        books.file.close()
        house.stock.db.close()

    assert {kind for kind, _ in routes} == PATHS.keys()


def methods_of(admin: Client, kind: str) -> list[str]:
    """Return the methods that the API has for this kind of address, as it says itself."""
    return admin.request("OPTIONS", PATHS[kind]).expect(405).headers["allow"].split(", ")


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("user", USERS)
def test_every_route_asks_for_its_action(users: dict[str, Client], kind: str, user: str) -> None:
    for method in methods_of(users["admin"], kind):
        body = b"" if method in ("POST", "PUT", "PATCH") else None
        reply = users[user].request(method, PATHS[kind], body)

        if kind in ("", "_catalog"):
            reply.expect(200 if MAY[user] else 403)  # who may not sign in to the registry is told nothing of it
            continue
        is_allowed = NEEDS.get((kind, method), Action.PULL) in MAY[user]
        assert (reply.status == 403) is not is_allowed, (method, reply)
        assert reply.codes == ["DENIED"] or is_allowed or method == "HEAD"


@pytest.mark.parametrize("kind", PATHS)
def test_every_route_asks_who_calls(server: make.Server, users: dict[str, Client], kind: str) -> None:
    for method in [*methods_of(users["admin"], kind), "OPTIONS", "TRACE", "PROPFIND"]:
        with Raw(server) as raw:
            raw.send(f"{method} {PATHS[kind]} HTTP/1.1\r\nHost: {raw.host}\r\nContent-Length: 0\r\n\r\n".encode())
            reply = raw.read(is_head=method == "HEAD")

        assert reply.status == 401
        assert "www-authenticate" in reply.headers


def test_a_refusal_says_nothing_about_what_exists(users: dict[str, Client]) -> None:
    pairs = [
        ("/v2/owned/it/manifests/1", "/v2/owned/none/manifests/1"),
        (f"/v2/owned/it/blobs/{IMAGE.blobs[0].digest}", f"/v2/owned/none/blobs/{IMAGE.blobs[0].digest}"),
        ("/v2/owned/it/tags/list", "/v2/owned/none/tags/list"),
    ]
    for there, nowhere in pairs:
        one, other = users["viewer"].get(there).expect(403), users["viewer"].get(nowhere).expect(403)
        assert one.body.replace(b"owned/image/it", b"") == one.body
        assert without_why(one.body).replace(b"image/it", b"image/none") == without_why(other.body)


def test_a_session_is_another_users_to_nobody(users: dict[str, Client]) -> None:
    location = users["pusher"].start_upload("owned/it")
    users["pusher"].request("PATCH", location, b"abc").expect(202)

    for user in ("other", "admin"):
        for method in ("GET", "PATCH", "DELETE"):
            users[user].request(method, location, b"x" if method == "PATCH" else None).expect(404)
        users[user].request("PUT", f"{location}?digest={make.Blob(b'abc').digest}", b"").expect(404)

    users["pusher"].request("PUT", f"{location}?digest={make.Blob(b'abc').digest}", b"").expect(201)


def test_the_catalogue_shows_what_the_caller_may_pull(users: dict[str, Client]) -> None:
    for user in ("pusher", "puller", "admin"):
        assert b"owned/it" in users[user].get("/v2/_catalog").expect(200).body
    assert b"owned/it" not in users["viewer"].get("/v2/_catalog").expect(403).body


def test_the_log_holds_no_password_and_no_credentials(server: make.Server, users: dict[str, Client]) -> None:
    secret = "guess" * 3
    with server.client(user="pusher", password=secret) as wrong:
        wrong.get("/v2/").expect(401)
    users["pusher"].get("/v2/").expect(200)

    assert not any(secret in line or "cHVzaGVy" in line for line in server.log)
