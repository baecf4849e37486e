"""Tokens against the real server: what they are issued for, what they open, how they end."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlencode

import msgspec
import pytest

from appliance.domain.access import Holder
from appliance.domain.accounts import EVERYWHERE
from tests import make
from tests.make.accounts import Key, Member, TokenReply, ask_token, bearer, token_reply
from tests.make.client import Client, Reply, without_why
from tests.make.server import Server

IMAGE = make.image([{"etc/motd": b"hello"}])
SECRET = make.image([{"etc/shadow": b"secret"}])
PASSWORD = "correct horse"  # noqa: S105 - of users that live for one test
MEMBERS = (
    Member("admin", ["ScrFullAccess"]),
    Member("ci", ["ScrPullPushOnlyAccess"], kind=Holder.ROLE),
    Member("puller", ["ScrPullOnlyAccess"]),
    Member("typist", ["ScrPullOnlyAccess"], password=PASSWORD, sign_in=EVERYWHERE),
    Member("keyholder", ["ScrPullOnlyAccess"], password=PASSWORD),
    Member(
        "narrow",
        statements=[
            {"effect": "allow", "actions": ["LoginContainerRegistry"], "resources": ["registry/local"]},
            {
                "effect": "allow",
                "actions": ["PullRepositoryImages", "PushRepositoryImages"],
                "resources": ["registry/local/repository/pay"],
            },
        ],
    ),
    Member("stranger"),
)


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return MEMBERS


@pytest.fixture
def as_(server: Server, keys: dict[str, Key]) -> Iterator[Callable[[str], Client]]:
    opened: list[Client] = []

    def connect(name: str) -> Client:
        key = keys.get(name)
        opened.append(server.client(user=key.access_key, password=key.secret_key) if key else server.client())
        return opened[-1]

    yield connect
    for client in opened:
        client.close()


As = Callable[[str], Client]


YES = "true"


def refused(reply: Reply, status: int, error: str = "") -> Reply:
    """Check a refusal and the error its challenge names."""
    reply.expect(status)
    challenge = reply.headers.get("www-authenticate", "")
    assert (f'error="{error}"' in challenge) if error else ("error=" not in challenge)
    return reply


def test_docker_login_is_a_ping_a_token_and_a_ping(as_: As) -> None:
    challenge = as_("").get("/v2/").expect(401).headers["www-authenticate"]
    assert challenge.startswith("Bearer realm=")

    told = ask_token(as_("puller"), account="puller", client_id="docker", offline_token=YES)

    as_("").get("/v2/", bearer(told.token)).expect(200)
    assert told.token == told.access_token
    assert told.token.startswith("scr1.")
    assert told.expires_in >= 60
    assert told.issued_at.endswith("Z")
    assert told.refresh_token
    assert json.loads(base64.urlsafe_b64decode(told.token.split(".")[2] + "=="))[-1] == ""  # no scope


def test_basic_alone_pulls_and_pushes(as_: As) -> None:
    as_("ci").push("basic/app", IMAGE, "1")

    as_("puller").assert_holds("basic/app", "1", IMAGE)


def test_a_token_pulls_what_it_was_fetched_for(as_: As) -> None:
    as_("ci").push("pay/api", IMAGE, "1")
    token = ask_token(as_("puller"), "repository:pay/api:pull").token

    as_("").get("/v2/pay/api/manifests/1", bearer(token)).expect(200)


def test_a_token_of_one_image_opens_no_other(as_: As) -> None:
    as_("ci").push("pay/api", IMAGE, "1")
    as_("ci").push("pay/web", IMAGE, "1")
    token = ask_token(as_("puller"), "repository:pay/api:pull").token

    reply = refused(as_("").get("/v2/pay/web/manifests/1", bearer(token)), 401, "insufficient_scope")

    assert 'scope="repository:pay/web:pull"' in reply.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (["repository:pay/api:pull,push"], "repository:pay/api:pull"),
        (["repository:pay/api:push"], ""),
        (["repository:pay/api:*"], "repository:pay/api:pull"),
        (["repository:pay/api:pull repository:web/a/b:pull,push"], "repository:pay/api:pull repository:web/a/b:pull"),
        (["repository:pay/api:pull", "repository:pay/api:push"], "repository:pay/api:pull"),
        (["repository:alpine:pull"], "repository:library/alpine:pull"),
        (["repository(plugin):pay/api:pull"], "repository:pay/api:pull"),
        (["repository:127.0.0.1:5000/pay/api:pull"], "repository:pay/api:pull"),
        (["registry:catalog:*"], "registry:catalog:*"),
        (["repository:pay/api:steal", "repository:*:pull", "repository::pull", "x", ":", "a:b:c:d", ""], ""),
        (["repository:../api:pull", "repository:pay/%2e%2e/api:pull", "repository:Pay/api:pull"], ""),
    ],
)
def test_a_scope_is_cut_to_what_the_policies_allow(as_: As, asked: list[str], given: str) -> None:
    assert ask_token(as_("puller"), *asked).scope == given


def test_what_the_policies_deny_is_denied_and_named_whatever_the_scope(as_: As) -> None:
    token = ask_token(as_("puller"), "repository:pay/api:pull,push").token

    for headers in (bearer(token), None):
        client = as_("" if headers else "puller")
        reply = refused(client.request("POST", "/v2/pay/api/blobs/uploads/", b"", headers), 403)
        assert b"PushRepositoryImages" in reply.body


def test_a_refused_head_says_why_in_a_header(as_: As) -> None:
    reply = as_("narrow").head("/v2/web/none/manifests/1").expect(403)

    assert reply.body == b""
    assert "PullRepositoryImages" in reply.headers["warning"]
    assert "warning" not in as_("narrow").head("/v2/pay/none/manifests/1").expect(404).headers


def test_who_may_not_log_in_gets_a_token_that_opens_nothing(as_: As) -> None:
    told = ask_token(as_("stranger"), "repository:pay/api:pull")

    assert told.scope == ""
    assert b"LoginContainerRegistry" in refused(as_("").get("/v2/", bearer(told.token)), 403).body


def test_anybody_gets_a_token_that_opens_nothing_private(as_: As) -> None:
    told = ask_token(as_(""), "repository:pay/api:pull", "registry:management:*", offline_token=YES)

    assert (told.scope, told.refresh_token) == ("", "")
    for path in ("/v2/", "/v2/pay/api/manifests/1", "/v2/pay/none/manifests/1", "/v2/_catalog"):
        refused(as_("").get(path, bearer(told.token)), 401)


def test_the_manuals_repository_policy_refuses_the_neighbour(as_: As) -> None:
    as_("narrow").push("pay/api", IMAGE, "1")

    reply = as_("narrow").request("POST", "/v2/pay2/api/blobs/uploads/", b"").expect(403)

    assert b"PushRepositoryImages" in reply.body
    as_("narrow").get("/v2/pay2/api/manifests/1").expect(403)
    as_("narrow").assert_holds("pay/api", "1", IMAGE)


def test_wrong_credentials_get_no_token(server: Server, keys: dict[str, Key]) -> None:
    with server.client(user=keys["ci"].access_key, password="scrs_wrong") as wrong:  # noqa: S106
        reply = token_reply(wrong).expect(401)
    with server.client(user="SCR" + "A" * 17, password="scrs_wrong") as unknown:  # noqa: S106
        other = token_reply(unknown).expect(401)

    assert without_why(reply.body) == without_why(other.body)


def form(client: Client, **fields: str) -> Reply:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return client.request("POST", "/token", urlencode(fields).encode(), headers)


def test_the_oauth2_form_gives_a_token_and_a_refresh_token_that_gives_more(as_: As, keys: dict[str, Key]) -> None:
    as_("ci").push("pay/api", IMAGE, "1")
    key = keys["puller"]
    first = form(
        as_(""),
        grant_type="password",
        username=key.access_key,
        password=key.secret_key,
        client_id="containerd",
        service="any",
        scope="repository:pay/api:pull repository:pay/web:pull",
        access_type="offline",
    )
    told = first.expect(200).decode(TokenReply)
    second = form(
        as_(""),
        grant_type="refresh_token",
        refresh_token=told.refresh_token,
        client_id="docker",
        scope="repository:pay/api:pull,push",
    ).decode(TokenReply)

    assert told.scope == "repository:pay/api:pull repository:pay/web:pull"
    assert second.scope == "repository:pay/api:pull"
    as_("").get("/v2/pay/api/manifests/1", bearer(second.access_token)).expect(200)
    assert first.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"grant_type": "password", "username": "x", "password": "y"}, 400),  # no client_id
        ({"grant_type": "password", "username": "x", "password": "y", "client_id": "c"}, 401),
        ({"grant_type": "refresh_token", "refresh_token": "scrr_wrong", "client_id": "c"}, 401),
        ({"grant_type": "refresh_token", "refresh_token": "", "client_id": "c"}, 401),
        ({"grant_type": "client_credentials", "client_id": "c"}, 400),
        ({"client_id": "c"}, 400),
    ],
)
def test_a_form_that_does_not_do_is_refused(as_: As, fields: dict[str, str], status: int) -> None:
    form(as_(""), **fields).expect(status)


def test_a_form_of_another_kind_or_size_is_refused(as_: As) -> None:
    as_("").request("POST", "/token", b"{}", {"Content-Type": "application/json"}).expect(400)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    as_("").request("POST", "/token", b"a=%ff", headers).expect(400)
    as_("").request("POST", "/token", b"a=" + b"x" * (80 << 10), headers).expect(413)
    as_("").delete("/token").expect(405)


class Payload(msgspec.Struct, array_like=True):
    """What a token says, as the server packs it."""

    principal: int
    key: int
    generation: int
    registry: int
    until: int
    scopes: str


def packed(payload: Payload) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(payload)).decode().rstrip("=")


def unpacked(token: str) -> Payload:
    return msgspec.json.decode(base64.urlsafe_b64decode(token.split(".")[2] + "=="), type=Payload)


def test_a_token_that_was_changed_opens_nothing(as_: As) -> None:
    token = ask_token(as_("puller"), "repository:pay/api:pull").token
    head, key, payload, signature = token.split(".")
    said = unpacked(token)
    wider = msgspec.structs.replace(said, scopes="repository:pay/api:pull,push registry:management:*")
    longer = msgspec.structs.replace(said, until=said.until + 1)
    other = ask_token(as_("ci"), "repository:pay/api:pull").token.split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    forged = [
        f"{head}.{key}.{packed(wider)}.{signature}",
        f"{head}.{key}.{packed(longer)}.{signature}",
        f"{head}.{key}.{other[2]}.{signature}",
        f"{head}.{key}.{payload}.{other[3]}",
        f"{head}.{key}.{payload}.{flipped}",
        f"{head}.{key}.{payload}.{signature[:-1]}",
        f"{head}.{key}.{payload}.",
        f"{head}.{key}.{payload}",
        f"{head}.{key}.{payload}.{signature}A",
        f"{head}.{key}.{payload}={'.'}{signature}",
        f"{head}.{key}.{signature}.{payload}",
        f"{head}.{payload}.{key}.{signature}",
        f"{head}.{'a' * 8}.{payload}.{signature}",
        f"scr2.{key}.{payload}.{signature}",
        f"{payload}.{signature}",
        "eyJhbGciOiJub25lIn0.e30.",
        "scr1....",
        "",
    ]

    as_("").get("/v2/", bearer(token)).expect(200)
    for wrong in forged:
        refused(as_("").get("/v2/", bearer(wrong)), 401, "invalid_token")


def test_a_token_opens_no_management_unless_it_was_fetched_for_it(as_: As) -> None:
    image = ask_token(as_("admin"), "repository:pay/api:pull,push,delete").token
    view = ask_token(as_("admin"), "registry:management:view").token
    whole = ask_token(as_("admin"), "registry:management:*").token

    reply = refused(as_("").get("/api/v1/repositories?path=pay", bearer(image)), 401, "insufficient_scope")
    assert 'scope="registry:management:*"' in reply.headers["www-authenticate"]
    for token in (view, whole):
        as_("").get("/api/v1/repositories?path=pay", bearer(token)).expect(200)
        refused(as_("").get("/v2/pay/api/manifests/1", bearer(token)), 401, "insufficient_scope")
    refused(as_("").request("POST", "/api/v1/collections", b"{}", bearer(view)), 401, "insufficient_scope")
    as_("").request("POST", "/api/v1/collections", b"{}", bearer(whole)).expect(200, 201, 202, 409)


def test_the_catalogue_needs_its_scope_and_shows_what_may_be_pulled(as_: As) -> None:
    as_("ci").push("pay/api", IMAGE, "1")
    as_("ci").push("web/site", IMAGE, "1")
    one = ask_token(as_("narrow"), "registry:catalog:*").token
    other = ask_token(as_("narrow"), "repository:pay/api:pull").token

    shown = as_("").get("/v2/_catalog", bearer(one)).expect(200).body
    assert b"pay/api" in shown
    assert b"web/site" not in shown
    refused(as_("").get("/v2/_catalog", bearer(other)), 401, "insufficient_scope")


def test_mounting_what_may_not_be_read_is_an_ordinary_upload(as_: As) -> None:
    as_("ci").push("secret/app", SECRET, "1")
    as_("narrow").push("pay/api", make.image([{"a": b"b"}]), "1")
    digest = SECRET.blobs[0].digest
    both = ask_token(as_("ci"), "repository:pay/api:pull,push", "repository:secret/app:pull").token
    target = ask_token(as_("ci"), "repository:pay/api:pull,push").token

    for source in ("&from=secret/app", ""):
        as_("narrow").request("POST", f"/v2/pay/api/blobs/uploads/?mount={digest}{source}", b"").expect(202)
    # neither with a token that was not fetched for the source
    for source in ("&from=secret/app", ""):
        path = f"/v2/pay/api/blobs/uploads/?mount={digest}{source}"
        as_("").request("POST", path, b"", bearer(target)).expect(202)
    as_("narrow").head(f"/v2/pay/api/blobs/{digest}").expect(404)
    path = f"/v2/pay/api/blobs/uploads/?mount={digest}&from=secret/app"
    as_("").request("POST", path, b"", bearer(both)).expect(201)


def test_a_digest_that_another_image_holds_is_none_of_this_one(as_: As) -> None:
    as_("ci").push("secret/app", SECRET, "1")
    as_("narrow").push("pay/other", make.image([{"a": b"c"}]), "1")
    held = [f"/v2/pay/other/blobs/{blob.digest}" for blob in SECRET.blobs] + [
        f"/v2/pay/other/manifests/{SECRET.digest}"
    ]

    for path in held:
        as_("narrow").head(path).expect(404)
        as_("narrow").get(path).expect(404)
        as_("narrow").get(path.replace("pay/other", "secret/app")).expect(403)


def test_a_password_opens_the_registry_only_where_the_user_is_set_so(server: Server) -> None:
    with server.client(user="typist", password=PASSWORD) as typist:
        typist.get("/v2/").expect(200)
    with server.client(user="keyholder", password=PASSWORD) as keyholder:
        reply = keyholder.get("/v2/").expect(401)
        keyholder.get("/api/v1/session").expect(200)  # the API takes it

    assert b"access key" in reply.body


def test_a_head_of_the_token_endpoint_has_no_body(as_: As) -> None:
    assert as_("puller").head("/token").expect(200).body == b""


def test_no_token_or_secret_stands_in_the_log(server: Server, as_: As, keys: dict[str, Key]) -> None:
    token = ask_token(as_("puller"), "repository:pay/api:pull", offline_token=YES)
    as_("").get("/v2/", bearer(token.token + "x")).expect(401)
    text = "\n".join(server.log)

    assert "scr1." not in text
    assert token.refresh_token not in text
    assert not any(key.secret_key in text for key in keys.values())
