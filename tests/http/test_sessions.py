"""Console sessions against the real server: the cookie, the token that goes with it, pages of elsewhere, the end."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from tests.make.accounts import Key, Member
from tests.make.client import Client, Reply
from tests.make.server import Server

JSON = {"Content-Type": "application/json"}
PASSWORD = "correct horse"  # noqa: S105 - of a user that lives for one test
PATH = "/api/v1/session"
MEMBERS = (Member("ann", ["ScrFullAccess"], password=PASSWORD), Member("viewer", ["ScrViewOnlyAccess"]))


class WhoAmI(msgspec.Struct, frozen=True, rename="camel"):
    """What the API says of a session."""

    kind: str
    name: str
    method: str | None
    access_key: str | None
    csrf: str | None
    expires_at: str | None


class Signed(msgspec.Struct, frozen=True):
    """A browser that has signed in."""

    cookie: str
    csrf: str

    @property
    def reads(self) -> dict[str, str]:
        return {"Cookie": f"other=1; {self.cookie}"}

    @property
    def writes(self) -> dict[str, str]:
        return {**self.reads, "Scr-Csrf": self.csrf, **JSON}


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return MEMBERS


def begin(client: Client, name: str, secret: str, headers: Mapping[str, str] | None = None) -> Reply:
    body = msgspec.json.encode({"name": name, "secret": secret})
    return client.request("POST", PATH, body, {**JSON, **(headers or {})})


def signed(reply: Reply) -> Signed:
    who = reply.expect(201).decode(WhoAmI)
    assert who.csrf is not None
    return Signed(reply.headers["set-cookie"].partition(";")[0], who.csrf)


@pytest.fixture
def ann(client: Client) -> Signed:
    return signed(begin(client, "ann", PASSWORD))


def collect(client: Client, headers: Mapping[str, str]) -> Reply:
    return client.request("POST", "/api/v1/collections", b"{}", headers)


def test_a_password_and_an_access_key_begin_a_session(client: Client, keys: dict[str, Key]) -> None:
    by_key = begin(client, keys["viewer"].access_key, keys["viewer"].secret_key).expect(201)
    cookie = by_key.headers["set-cookie"]

    who = client.get(PATH, signed(by_key).reads).expect(200).decode(WhoAmI)

    assert (who.kind, who.name, who.method, who.access_key) == (
        "user",
        "viewer",
        "access-key",
        keys["viewer"].access_key,
    )
    assert cookie.startswith("scr=scrc_")  # a __Host- name is for TLS
    for word in ("HttpOnly", "SameSite=lax", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie
    assert by_key.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("name", "secret"), [("ann", "wrong"), ("zoe", PASSWORD), ("SCR" + "A" * 17, "scrs_x")])
def test_who_cannot_prove_it_gets_no_session(client: Client, name: str, secret: str) -> None:
    reply = begin(client, name, secret).expect(401)

    assert "set-cookie" not in reply.headers
    assert b"wrong" in reply.body


def test_each_sign_in_is_a_session_of_its_own(client: Client, ann: Signed) -> None:
    again = signed(begin(client, "ann", PASSWORD, ann.reads))  # a cookie that was there is not taken over

    assert again.cookie != ann.cookie
    assert again.csrf != ann.csrf


def test_a_change_needs_the_sessions_token(client: Client, ann: Signed) -> None:
    other = signed(begin(client, "ann", PASSWORD))

    collect(client, {**ann.reads, **JSON}).expect(403)
    for wrong in ("", "x", other.csrf, ann.csrf[:-1], ann.csrf.upper()):
        collect(client, {**ann.reads, **JSON, "Scr-Csrf": wrong}).expect(403)
    collect(client, ann.writes).expect(200, 409)
    client.get("/api/v1/repositories", ann.reads).expect(200)


@pytest.mark.parametrize(
    "browser",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_a_page_of_elsewhere_may_nothing_with_the_cookie(
    server: Server, client: Client, ann: Signed, browser: dict[str, str]
) -> None:
    collect(client, {**ann.writes, **browser}).expect(403)
    client.get("/api/v1/repositories", {**ann.reads, **browser}).expect(403)
    begin(client, "ann", PASSWORD, browser).expect(403)  # nor sign a browser in as somebody else

    collect(client, {**ann.writes, "Sec-Fetch-Site": "same-origin", "Origin": server.url}).expect(200, 409)


def test_a_cookie_opens_the_registry_nowhere(client: Client, ann: Signed) -> None:
    for path in ("/v2/", "/v2/_catalog", "/v2/pay/api/manifests/1"):
        client.get(path, ann.reads).expect(401)


@pytest.mark.parametrize(
    "cookie", ["scr=", "scr=x", "scr=scrc_" + "A" * 43, "scr=scrc_" + "A" * 4000, "scr", "=", ";;"]
)
def test_a_cookie_that_is_none_is_nobody(client: Client, cookie: str) -> None:
    client.get(PATH, {"Cookie": cookie}).expect(401)


def test_two_cookies_of_the_name_are_nobodys(client: Client, ann: Signed) -> None:
    client.get(PATH, {"Cookie": f"{ann.cookie}; scr=other"}).expect(401)


def test_signing_out_ends_the_session_at_once(client: Client, ann: Signed) -> None:
    client.get(PATH, ann.reads).expect(200)
    client.request("DELETE", PATH, None, ann.reads).expect(403)  # without its token nobody is signed out

    reply = client.request("DELETE", PATH, None, ann.writes).expect(204)

    assert "Max-Age=0" in reply.headers["set-cookie"]
    client.get(PATH, ann.reads).expect(401)
    collect(client, ann.writes).expect(401)


def test_the_rights_are_those_of_who_signed_in(client: Client, keys: dict[str, Key]) -> None:
    viewer = signed(begin(client, keys["viewer"].access_key, keys["viewer"].secret_key))

    client.get("/api/v1/repositories", viewer.reads).expect(200)
    collect(client, viewer.writes).expect(403)


def test_without_a_session_one_sees_who_one_is_and_ends_nothing(server: Server, keys: dict[str, Key]) -> None:
    with server.client(user=keys["ann"].access_key, password=keys["ann"].secret_key) as client:
        who = client.get(PATH).expect(200).decode(WhoAmI)
        client.request("DELETE", PATH).expect(409)

    assert (who.name, who.csrf, who.expires_at) == ("ann", None, None)


def test_a_browser_is_not_asked_for_a_password_by_itself(client: Client) -> None:
    program = client.get("/api/v1/repositories").expect(401)
    browser = client.get("/api/v1/repositories", {"Sec-Fetch-Site": "same-origin"}).expect(401)

    assert "Basic" in program.headers["www-authenticate"]
    assert "Basic" not in browser.headers["www-authenticate"]


@pytest.mark.parametrize(
    "browser", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
def test_a_password_that_the_browser_adds_serves_no_page_of_elsewhere(
    server: Server, keys: dict[str, Key], browser: dict[str, str]
) -> None:
    with server.client(user=keys["ann"].access_key, password=keys["ann"].secret_key) as client:
        collect(client, {**JSON, **browser}).expect(403)
        client.get("/v2/", browser).expect(403)
        client.get("/token", browser).expect(403)
        collect(client, {**JSON, "Origin": server.url}).expect(200, 409)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"name": "ann"}', b'{"name": "ann", "secret": "x", "more": 1}', b"[]"])
def test_a_sign_in_of_another_form_is_refused(client: Client, body: bytes) -> None:
    client.request("POST", PATH, body, JSON).expect(400)


def test_no_secret_of_a_session_stands_in_the_log(server: Server, client: Client, ann: Signed) -> None:
    client.get(PATH, ann.reads).expect(200)
    text = "\n".join(server.log)

    assert ann.cookie.partition("=")[2] not in text
    assert ann.csrf not in text
    assert PASSWORD not in text
