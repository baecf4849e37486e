"""What the doors note: sign-ins, refused pulls and pushes, and foreign text that may not leave its line."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from appliance.services.keys import hash_password
from tests import make
from tests.http.api.conftest import JSON
from tests.http.raw import Raw, wait_for_line
from tests.http.test_metrics import Change
from tests.make.client import Client, Reply, why
from tests.make.server import Server

PASSWORD = "of all " + "users"
NOBODY = b"Basic " + base64.b64encode(f"nobody:{PASSWORD}".encode())
USERS = {"ann": "ScrFullAccess", "puller": "ScrPullOnlyAccess", "nobody": ""}
IMAGE = make.image([{"a": b"1"}])
INDEX = make.index([IMAGE, make.image([{"b": b"2"}])])


@pytest.fixture(scope="module")
def server_config() -> str:
    known = hash_password(PASSWORD)
    return '[log]\nformat = "json"\n' + "".join(
        f'[[user]]\nname = "{name}"\npassword_hash = "{known}"\npolicies = [{f"{policy!r}" if policy else ""}]\n'
        for name, policy in USERS.items()
    ).replace("'", '"')


@pytest.fixture
def ann(server: Server) -> Iterator[Client]:
    with server.client(user="ann", password=PASSWORD) as client:
        yield client


@pytest.fixture
def change(ann: Client) -> Change:
    return Change(ann)


def as_user(server: Server, name: str, password: str = PASSWORD) -> Client:
    return server.client(user=name, password=password)


# sign-ins


def test_basic_on_the_base_and_a_token_without_scope_are_sign_ins_and_nothing_else_is(
    server: Server, ann: Client, change: Change
) -> None:
    ann.push("pay/api", IMAGE, "1")
    change.of("logins allowed")

    ann.get_manifest("pay/api", "1").expect(200)
    ann.get("/token?service=x&scope=repository:pay/api:pull").expect(200)
    ann.get("/api/v1/status").expect(200)
    with server.client() as client:
        client.get("/v2/").expect(401)
        client.get("/token").expect(200)
    assert change.of("logins allowed", "logins denied") == [0, 0]
    ann.get("/v2/").expect(200)
    ann.get("/token?service=x").expect(200)
    assert change.of("logins allowed", "logins denied") == [2, 0]


def test_a_token_that_is_used_is_no_sign_in_and_one_that_is_none_no_refusal(
    server: Server, ann: Client, change: Change
) -> None:
    token = json.loads(ann.get("/token?service=x").expect(200).body)["token"]
    change.of("logins allowed")

    with server.client() as client:
        client.get("/v2/", {"Authorization": f"Bearer {token}"}).expect(200)
        forged = client.get("/v2/pay/api/manifests/1", {"Authorization": f"Bearer {token}x"}).expect(401)
        short = client.get("/v2/pay/api/manifests/1", {"Authorization": f"Bearer {token}"}).expect(401)

    assert b"why:" not in forged.body + short.body
    assert change.of("logins allowed", "logins denied", "image_pulls denied") == [0, 0, 0]


def wrong_basic(server: Server) -> Reply:
    with as_user(server, "ann", "wrong " * 3) as client:
        return client.get("/v2/")


def wrong_token(server: Server) -> Reply:
    with as_user(server, "ann", "wrong " * 3) as client:
        return client.get("/token?service=x")


def wrong_form(server: Server) -> Reply:
    body = b"grant_type=password&client_id=t&username=ann&password=wrong"
    with server.client() as client:
        return client.request("POST", "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})


def wrong_session(server: Server) -> Reply:
    with server.client() as client:
        return client.request("POST", "/api/v1/session", b'{"name": "ann", "secret": "wrong"}', JSON)


@pytest.mark.parametrize("sign_in", [wrong_basic, wrong_token, wrong_form, wrong_session])
def test_a_sign_in_that_is_refused_is_counted_kept_and_explained(
    server: Server, ann: Client, change: Change, sign_in: Callable[[Server], Reply]
) -> None:
    reply = sign_in(server).expect(401)

    refusal = json.loads(ann.get(f"/api/v1/refusals/{why(reply.body)}").expect(200).body)
    assert refusal["principal"] == "user:ann"
    assert refusal["steps"][-1]["stage"] == "authentication"
    assert change.of("logins allowed", "logins denied") == [0, 1]


def test_a_wrong_password_for_a_scoped_token_is_refused_and_no_sign_in(server: Server, change: Change) -> None:
    with as_user(server, "ann", "wrong") as client:
        reply = client.get("/token?service=x&scope=repository:pay/api:pull").expect(401)
    body = b"grant_type=password&client_id=t&username=ann&password=wrong&scope=repository:pay/api:pull"
    with server.client() as client:
        form = client.request("POST", "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})

    assert why(reply.body)
    assert why(form.expect(401).body)
    assert change.of("logins denied") == [0]


def test_a_name_that_nobody_has_is_not_kept_for_it_may_be_a_password(server: Server, ann: Client) -> None:
    with as_user(server, "my-secret-password", "x") as client:
        reply = client.get("/v2/").expect(401)

    whole = ann.get(f"/api/v1/refusals/{why(reply.body)}").expect(200).body
    assert json.loads(whole)["principal"] == ""
    assert b"my-secret" not in whole
    assert not any("my-secret" in line for line in server.log)


# refused pulls and pushes


def test_a_refused_pull_counts_once_for_the_head_and_the_get_of_a_client(server: Server, change: Change) -> None:
    with as_user(server, "nobody") as client:
        client.head("/v2/denied/app/manifests/1").expect(403)
        client.get_manifest("denied/app", "1").expect(403)
        client.get_blob("denied/app", IMAGE.blobs[0].digest).expect(403)
        assert change.of("image_pulls denied") == [1]
        client.get_manifest("denied/app", "2").expect(403)
        assert change.of("image_pulls denied") == [1]


def test_a_refused_push_counts_once_for_its_layers_side_by_side(server: Server, change: Change) -> None:
    with as_user(server, "puller") as client:
        for _ in range(3):
            client.request("POST", "/v2/denied/push/blobs/uploads/", b"").expect(403)
        client.put_manifest("denied/push", "1", IMAGE).expect(403)
        assert change.of("image_pushes denied") == [1]
        client.request("POST", "/v2/denied/other/blobs/uploads/", b"").expect(403)
        assert change.of("image_pushes denied") == [1]
    with as_user(server, "nobody") as client:
        client.head(f"/v2/denied/push/blobs/{IMAGE.blobs[0].digest}").expect(403)
        client.request("POST", "/v2/denied/push/blobs/uploads/", b"").expect(403)
        assert change.of("image_pushes denied", "image_pulls denied") == [1, 0]


def test_an_allowed_pull_counts_by_principal(server: Server, ann: Client, change: Change) -> None:
    ann.push("two/pullers", INDEX, "1")
    change.of("image_pulls allowed")

    ann.get_manifest("two/pullers", "1").expect(200)
    with as_user(server, "puller") as puller:
        puller.get_manifest("two/pullers", IMAGE.digest).expect(200)
        puller.get_manifest("two/pullers", "1").expect(200)
        puller.get_manifest("two/pullers", IMAGE.digest).expect(200)

    assert change.of("image_pulls allowed") == [3]


# foreign text


@pytest.mark.parametrize(
    "agent",
    [b"docker\xc2\x9b31mred", b"\xe2\x80\xaegpj.exe", b"a" * 5000, b'"}\\n{"event":"forged', b"{{7*7}} <script>"],
)
def test_what_a_client_calls_itself_stays_short_and_on_its_line(server: Server, ann: Client, agent: bytes) -> None:
    with Raw(server) as raw:
        raw.send(
            b"GET /v2/foreign/text/manifests/1 HTTP/1.1\r\nHost: %b\r\nAuthorization: %b\r\nUser-Agent: %b\r\n\r\n"
            % (server.address.encode(), NOBODY, agent)
        )
        reply = raw.read()

    assert reply.status == 403
    kept = json.loads(ann.get(f"/api/v1/refusals/{why(reply.body)}").expect(200).body)["client"]
    assert re.fullmatch(r"[ -~]{1,200}", kept)
    assert json.loads(wait_for_line(server, why(reply.body)))["client"] == kept


@pytest.mark.parametrize("name", ["a%0d%0aforged", "a%1b[2J", "%e2%80%ae", "a" * 3000])
def test_a_hostile_path_stays_short_and_on_its_line(server: Server, ann: Client, name: str) -> None:
    with as_user(server, "nobody") as client:
        reply = client.get(f"/api/v1/registries/{name}")
        listed = client.get(f"/api/v1/activity?about={quote(name)}").expect(403)

    assert reply.status in (403, 404)
    assert "\x1b" not in reply.body.decode()
    kept = json.loads(ann.get(f"/api/v1/refusals/{why(listed.body)}").expect(200).body)
    assert re.fullmatch(r"[ -~]{1,500}", kept["path"])
    assert all(line.isprintable() for line in server.log)


def test_the_page_behind_a_refusal_carries_foreign_text_as_text(server: Server, ann: Client) -> None:
    with Raw(server) as raw:
        raw.send(
            b"GET /v2/a/b/manifests/1 HTTP/1.1\r\nHost: {host}\r\nUser-Agent: <script>x</script>\r\n"
            b"Authorization: %b\r\n\r\n" % NOBODY
        )
        reply = raw.read()

    page = ann.get(f"/why/{why(reply.body)}").expect(200)

    assert page.headers["content-type"].startswith("text/plain")
