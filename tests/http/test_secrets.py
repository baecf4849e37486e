"""No secret is ever in a log, in the database, in a record or in an answer but the one that gives it out."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.domain.access import Holder
from appliance.domain.accounts import EVERYWHERE
from tests import make
from tests.http.api.conftest import JSON, find
from tests.make.accounts import Key, Member, make_accounts
from tests.make.client import Client
from tests.make.server import Server

PASSWORD = "marked-" + "password-of-ann"
WRONG = "marked-" + "wrong-password"
STRAY = "marked-" + "password-in-the-name-field"
QUERY = "marked-" + "secret-in-the-address"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
IMAGE = make.image([{"a": b"1"}])
MEMBERS = (
    Member("ann", ["ScrFullAccess"], password=PASSWORD, sign_in=EVERYWHERE),
    Member("ci", ["ScrPullPushOnlyAccess"], kind=Holder.ROLE),
)
PAGES = (
    "users",
    "access-keys",
    "self",
    "activity",
    "refusals",
    "traffic",
    "metrics",
    "status",
    "registries",
    "repositories",
    "images",
    "jobs",
)


class Secrets:
    """Everything that nobody may find again, by what it is."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def add(self, what: str, secret: str) -> str:
        assert len(secret) > 12, what
        self.known[what] = secret
        return secret

    def add_basic(self, what: str, name: str, secret: str) -> dict[str, str]:
        encoded = base64.b64encode(f"{name}:{secret}".encode()).decode()
        self.known[f"{what}, encoded"] = encoded
        self.known[what] = secret
        return {"Authorization": f"Basic {encoded}"}

    def found_in(self, content: bytes) -> list[str]:
        return [what for what, secret in self.known.items() if secret.encode() in content]


@pytest.fixture
def keys() -> dict[str, Key]:
    return {}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Key]) -> Iterator[Server]:
    config = '[log]\nlevel = "debug"\nformat = "json"\n'
    running = Server(tmp_path_factory.mktemp("server"), config)
    keys.update(make_accounts(running.data, MEMBERS))
    running.start()
    try:
        yield running
    finally:
        running.stop()


def drive(client: Client, secrets: Secrets, keys: dict[str, Key]) -> dict[str, str]:
    """Use every secret there is in every way, right and wrong; return the header of the administrator."""
    ann = secrets.add_basic("password", "ann", PASSWORD)
    key = secrets.add_basic("secret key", keys["ci"].access_key, keys["ci"].secret_key)
    with client_as(client, ann) as admin:
        registry = find(admin, "registries", "local")
    client.request("PATCH", f"/api/v1/registries/{registry}", b'{"logTraffic": true}', {**ann, **JSON}).expect(200)
    for headers in (ann, key):
        client.get("/v2/", headers).expect(200)
        reply = json.loads(client.get("/token?service=x&offline_token=true", headers).expect(200).body)
        token = secrets.add(f"token {len(secrets.known)}", reply["token"])
        refresh = secrets.add(f"refresh token {len(secrets.known)}", reply["refresh_token"])
        client.get("/v2/", {"Authorization": f"Bearer {token}"}).expect(200)
        client.get("/v2/", {"Authorization": f"Bearer {token[:-4]}AAAA"}).expect(401)
        body = f"grant_type=refresh_token&client_id=t&refresh_token={refresh}".encode()
        client.request("POST", "/token", body, FORM).expect(200)
        client.request("POST", "/token", body + b"x", FORM).expect(401)
    with_session(client, secrets)
    wrong = secrets.add_basic("wrong password", "ann", WRONG)
    stray = secrets.add_basic("password for a name", STRAY, "x" * 20)
    secrets.add("name", STRAY)
    secrets.add("query", QUERY)
    for headers in (wrong, stray, {"Authorization": f"Basic {STRAY}"}, {"Authorization": STRAY}):
        for path in (
            "/v2/",
            "/token",
            "/v2/a/b/manifests/1",
            "/api/v1/images",
            f"/token?account={QUERY}&scope={QUERY}",
        ):
            client.get(path, headers).expect(401)
    body = f"grant_type=password&client_id=t&username={STRAY}&password={WRONG}".encode()
    client.request("POST", "/token", body, FORM).expect(401)
    client.get(f"/v2/a/b/manifests/1?token={QUERY}", key).expect(404)
    client.get(f"/v2/?password={QUERY}").expect(401)
    client.get(f"/api/v1/images?secret={QUERY}", ann).expect(400)
    client.get("/v2/a/b/manifests/1", {"Cookie": f"scr={STRAY}; __Host-scr={STRAY}"}).expect(401)
    return ann


def manage(admin: Client, secrets: Secrets) -> None:
    """Give out and take secrets over the management API, right and wrong."""
    password, other = secrets.add("new password", "marked-new-password"), secrets.add("another", "marked-another-one")
    user = ask(admin, "POST", "users", {"name": "bob", "password": password})
    ask(admin, "PUT", f"users/{user['id']}/password", {"password": other})
    with Client(f"http://{admin.address}", user="bob", password=other) as bob:
        ask(
            bob,
            "PUT",
            "self/password",
            {"current": secrets.add("current", "marked-current"), "password": password},
            403,
        )
        ask(bob, "PUT", "self/password", {"current": other, "password": password})
    key = ask(admin, "POST", "access-keys", {"owner": "user:bob", "name": "laptop"})
    secrets.add("secret key of bob", key["secretKey"])
    rotated = ask(admin, "POST", f"access-keys/{key['accessKey']}/rotation", {})
    secrets.add("rotated secret key", rotated["secretKey"])
    secret = secrets.add("secret of a first link", "marked-first-link-" + "x" * 30)
    ask(admin, "POST", "first-administrator", {"secret": secret, "name": "eve", "password": password}, 403)
    ask(admin, "POST", "users/imports", {"htpasswd": f"eve:{secrets.add('htpasswd', 'marked-no-bcrypt-hash')}"}, 400)


def ask(client: Client, method: str, path: str, body: object, status: int = 0) -> dict[str, Any]:
    expected = (status,) if status else (200, 201, 204)
    reply = client.request(method, f"/api/v1/{path}", json.dumps(body).encode(), JSON).expect(*expected)
    return json.loads(reply.body) if reply.body else {}


def client_as(client: Client, headers: dict[str, str]) -> Client:
    return Client(f"http://{client.address}", headers=headers)


def with_session(client: Client, secrets: Secrets) -> None:
    body = json.dumps({"name": "ann", "secret": PASSWORD}).encode()
    reply = client.request("POST", "/api/v1/session", body, JSON).expect(201)
    cookie = secrets.add("session", reply.headers["set-cookie"].partition("=")[2].partition(";")[0].strip('"'))
    name = reply.headers["set-cookie"].partition("=")[0]
    csrf = secrets.add("session's token", json.loads(reply.body)["csrf"])
    client.get("/api/v1/images", {"Cookie": f"{name}={cookie}"}).expect(200)
    refused = client.request("POST", "/api/v1/collections", b"{}", {"Cookie": f"{name}={cookie}", **JSON}).expect(403)
    assert csrf not in refused.body.decode()
    client.request("POST", "/api/v1/session", body.replace(b"password", b"passw0rd"), JSON).expect(401)


def test_no_secret_is_found_again_anywhere(server: Server, keys: dict[str, Key]) -> None:
    secrets = Secrets()
    with server.client() as client:
        ann = drive(client, secrets, keys)
        with client_as(client, ann) as admin:
            admin.push("pay/api", IMAGE, "1")
            manage(admin, secrets)
            answers = {page: admin.get(f"/api/v1/{page}?").expect(200).body for page in PAGES}
            answers["metrics of Prometheus"] = admin.get("/metrics").expect(200).body
    server.stop()

    assert len(secrets.known) > 12
    assert len(answers["refusals"]) > 1000
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert {"scr.sqlite", "logs.sqlite"} <= {path.name for path in files}
    assert {path.name: found for path in files if (found := secrets.found_in(path.read_bytes()))} == {}
    assert secrets.found_in("\n".join(server.log).encode()) == []
    assert {name: found for name, body in answers.items() if (found := secrets.found_in(body))} == {}
