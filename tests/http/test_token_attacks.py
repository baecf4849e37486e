"""Somebody with a key for one repository tries everything to get at another one, or to write into the log."""

import base64
import json
from collections.abc import Iterator, Sequence

import pytest

from tests import make
from tests.http.raw import Answer, Raw
from tests.make.accounts import Key, Member, ask_token, bearer
from tests.make.client import Client, basic
from tests.make.server import Server

SECRET = make.image([{"etc/shadow": b"secret"}])
OWN = make.image([{"etc/motd": b"hello"}])
MEMBERS = (
    Member("admin", ["ScrFullAccess"]),
    Member(
        "mallory",
        statements=[
            {"effect": "allow", "actions": ["LoginContainerRegistry"], "resources": ["registry/local"]},
            {
                "effect": "allow",
                "actions": ["PullRepositoryImages", "PushRepositoryImages"],
                "resources": ["registry/local/repository/pay"],
            },
        ],
    ),
)


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return MEMBERS


@pytest.fixture(scope="module", autouse=True)
def stocked(server: Server, keys: dict[str, Key]) -> None:
    with server.client(user=keys["admin"].access_key, password=keys["admin"].secret_key) as admin:
        admin.push("secret/app", SECRET, "1")
        admin.push("pay/api", OWN, "1")


@pytest.fixture
def mallory(server: Server, keys: dict[str, Key]) -> Iterator[Client]:
    with server.client(user=keys["mallory"].access_key, password=keys["mallory"].secret_key) as client:
        yield client


def credentials(keys: dict[str, Key]) -> str:
    return basic(keys["mallory"].access_key, keys["mallory"].secret_key)["Authorization"]


def ask(server: Server, target: str, *headers: str, method: str = "GET") -> Answer:
    """Send a request whose target no client would write."""
    with Raw(server) as raw:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {raw.host}", *headers, "", ""]
        raw.send("\r\n".join(lines).encode("latin-1"))
        return raw.read(is_head=method == "HEAD")


@pytest.mark.parametrize(
    "name",
    [
        "secret/app",
        "pay/../secret/app",
        "pay/./../secret/app",
        "pay/%2e%2e/secret/app",
        "pay/..%2fsecret/app",
        "pay%2f..%2fsecret%2fapp",
        "pay%2Fapi/../../secret/app",
        "pay//secret/app",
        "/secret/app",
        "//secret/app",
        "pay/api/../../secret/app",
        "secret%2fapp",
        "secret/app%00",
        "secret/app;/pay/api",
        "SECRET/app",
        "pay/api\\..\\..\\secret\\app",
        "pay/api/manifests/1/../../../../secret/app",
        "%73ecret/app",
        "pay/..;/secret/app",
        "pay/%252e%252e/secret/app",
        "pay/\u00e0\u00ae/secret/app",
    ],
)
def test_no_spelling_of_a_path_leads_to_another_image(server: Server, keys: dict[str, Key], name: str) -> None:
    who = f"Authorization: {credentials(keys)}"
    for target in (
        f"/v2/{name}/manifests/1",
        f"/v2/{name}/manifests/{SECRET.digest}",
        f"/v2/{name}/blobs/{SECRET.blobs[0].digest}",
        f"/v2/{name}/tags/list",
    ):
        answer = ask(server, target, who)
        assert answer.status in (400, 403, 404)
        assert SECRET.blobs[0].data not in answer.body
        assert ask(server, target, who, method="HEAD").status in (400, 403, 404)


def test_the_same_place_is_served_in_its_own_spelling(server: Server, keys: dict[str, Key]) -> None:
    who = f"Authorization: {credentials(keys)}"

    assert ask(server, "/v2/pay/api/manifests/1", who).status == 200
    assert ask(server, f"/v2/pay/api/manifests/{OWN.digest.replace(':', '%3A')}", who).status == 200


@pytest.mark.parametrize("reference", ["..", "../../secret/app/manifests/1", "sha256:../../x", "1/../../../secret"])
def test_no_reference_leads_out_of_the_image(server: Server, keys: dict[str, Key], reference: str) -> None:
    answer = ask(server, f"/v2/pay/api/manifests/{reference}", f"Authorization: {credentials(keys)}")

    assert answer.status in (400, 403, 404)


def test_an_own_token_grows_by_nothing_that_stands_beside_it(server: Server, mallory: Client) -> None:
    token = ask_token(mallory, "repository:pay/api:pull").token
    target = "/v2/secret/app/manifests/1"

    for extra in (
        ("X-Original-URL: /v2/pay/api/manifests/1",),
        ("X-Rewrite-URL: /v2/pay/api/manifests/1",),
        ("X-Forwarded-User: admin", "Remote-User: admin"),
        ("X-HTTP-Method-Override: GET",),
        ("Docker-Upload-UUID: x",),
    ):
        assert ask(server, target, f"Authorization: Bearer {token}", *extra).status == 403
    assert ask(server, f"{target}?access_token={token}").status == 401
    assert ask(server, f"/v2/pay/api/manifests/1?token={token}").status == 401


def test_two_credentials_in_one_request_are_refused(server: Server, keys: dict[str, Key], mallory: Client) -> None:
    token = ask_token(mallory, "repository:pay/api:pull").token
    admin = basic(keys["admin"].access_key, keys["admin"].secret_key)["Authorization"]

    for first, second in ((f"Bearer {token}", "Basic eDp5"), ("Basic eDp5", f"Bearer {token}"), (admin, "Basic eDp5")):
        answer = ask(server, "/v2/secret/app/manifests/1", f"Authorization: {first}", f"Authorization: {second}")
        assert answer.status in (400, 401)


def test_a_token_for_everything_is_one_for_what_may_be_done(mallory: Client) -> None:
    asked = [f"repository:{name}:*" for name in ("secret/app", "pay/api", "*", "**", "secret/*", "pay/../secret/app")]

    told = ask_token(mallory, *asked, "registry:catalog:*", "registry:management:*")

    assert told.scope == "repository:pay/api:pull,push registry:catalog:* registry:management:*"
    mallory.get("/v2/secret/app/manifests/1", bearer(told.token)).expect(403)
    assert b"secret" not in mallory.get("/v2/_catalog", bearer(told.token)).expect(200).body
    mallory.get("/api/v1/repositories?path=secret", bearer(told.token)).expect(403)


def test_a_thousand_scopes_fit_into_a_token_that_still_opens(mallory: Client) -> None:
    scopes = " ".join(f"repository:pay/image{number}:pull,push" for number in range(1000))
    form = f"grant_type=password&client_id=x&scope={scopes.replace(' ', '+')}".encode()
    name, _, secret = base64.b64decode(mallory._headers["Authorization"][6:]).decode().partition(":")  # noqa: SLF001
    form += f"&username={name}&password={secret}".encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    told = json.loads(mallory.request("POST", "/token", form, kind).expect(200).body)

    assert 10_000 < len(told["token"]) < 48 << 10
    mallory.get("/v2/pay/image0/manifests/1", bearer(told["token"])).expect(404)


@pytest.mark.parametrize(
    "scope", [":" * 15_000, "repository:" + "a/" * 7000 + ":pull", "repository:a:" + "pull," * 3000, "+" * 15_000]
)
def test_a_scope_made_to_be_slow_is_answered(mallory: Client, scope: str) -> None:
    mallory.get(f"/token?scope={scope}").expect(200)


INJECTED = "x\r\n00:00:00 error forged.line user=admin\x1b[2J"


def test_nothing_a_client_says_begins_a_line_of_the_log(server: Server, mallory: Client) -> None:
    seen = len(server.log)
    with server.client(user=INJECTED, password=INJECTED) as client:
        client.get("/v2/").expect(401)
        client.get("/api/v1/repositories").expect(401)
    encoded = "x%0d%0a00:00:00%20error%20forged.line"
    mallory.get(f"/token?service={encoded}&account={encoded}&client_id={encoded}&scope={encoded}").expect(200)
    mallory.get(f"/v2/{encoded}/manifests/1").expect(400, 403)
    body = json.dumps({"name": INJECTED, "secret": INJECTED}).encode()
    mallory.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"}).expect(401)
    with server.client(user="SCR" + "Z" * 17, password="last") as last:  # noqa: S106 - marks the end in the log
        last.get("/v2/").expect(401)

    told = server.log[seen:]
    assert not any(line.startswith("00:00:00") or "\x1b" in line or "forged.line user=admin" in line for line in told)
