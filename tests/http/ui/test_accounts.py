"""The pages of users, groups, roles, access keys and policies, as an administrator and as somebody without rights."""

import json
import re
from collections.abc import Sequence

import pytest

from tests.http.ui.asking import Answer, ask, send, sign_in
from tests.make.accounts import Member
from tests.make.server import Server

PASSWORD = "correct horse"  # noqa: S105 - of users that the tests make
OTHER = "long enough words"
WEAK = "dan"
OPENS = {"sign_in_console": "password"}  # as the form has it at first


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return (
        Member("ann", ("ScrFullAccess",), password=PASSWORD),
        Member("bob", password=PASSWORD),
    )


@pytest.fixture(scope="module")
def ann(server: Server) -> str:
    return sign_in(server, "ann", PASSWORD)


def made(answer: Answer) -> str:
    """Return where a form led after it made something."""
    assert answer.status == 303, answer.text
    return answer.headers["location"]


def field(text: str, name: str) -> str:
    """Return the value of a field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found is not None
    return found[1].replace("&#34;", '"')


def test_a_user_is_made_shown_and_listed_and_its_description_is_text(server: Server, ann: str) -> None:
    words = "<script>alert(1)</script> javascript:alert(1)"
    place = made(send(server, "/users", Cookie=ann, name="cyd", description=words, policy="ScrPullOnlyAccess"))

    shown, listed = ask(server, place, Cookie=ann).text, ask(server, "/users", Cookie=ann).text

    assert "&lt;script&gt;alert(1)" in shown
    assert "ScrPullOnlyAccess" in shown
    assert f'href="{place}"' in listed
    assert "<script>alert" not in shown + listed


def test_a_weak_password_is_said_beside_the_field_and_never_sent_back(server: Server, ann: str) -> None:
    answer = send(server, "/users", Cookie=ann, name=WEAK, password=WEAK)

    assert answer.status >= 400
    assert 'role="alert"' in answer.text
    assert 'value="dan"' in answer.text
    assert not re.search(r'type="password"[^>]*value="dan"', answer.text)


def test_a_user_is_switched_off_and_another_password_counts(server: Server, ann: str) -> None:
    place = made(send(server, "/users", Cookie=ann, name="eve", password=OTHER, **OPENS))
    etag = field(ask(server, place, Cookie=ann).text, "etag")

    assert sign_in(server, "eve", OTHER)
    assert made(send(server, place, Cookie=ann, etag=etag, description="off", **OPENS)) == place
    assert "disabled" in ask(server, place, Cookie=ann).text
    assert send(server, "/sign-in", name="eve", secret=OTHER, next="/").status == 401
    assert send(server, place, Cookie=ann, etag=etag, description="stale", enabled="on").status == 412
    assert made(send(server, f"{place}/password", Cookie=ann, password=PASSWORD)) == place


def test_who_is_in_a_group_has_its_policies(server: Server, ann: str) -> None:
    group = made(send(server, "/groups", Cookie=ann, name="crew", policy="ScrViewOnlyAccess"))
    user = made(send(server, "/users", Cookie=ann, name="fay", password=OTHER, **OPENS))

    assert made(send(server, f"{group}/members", Cookie=ann, user=user.rpartition("/")[2])) == group

    assert "fay" in ask(server, group, Cookie=ann).text
    assert "crew" in ask(server, "/self", Cookie=sign_in(server, "fay", OTHER)).text
    assert made(send(server, f"{group}/members", Cookie=ann, user=user.rpartition("/")[2], act="remove")) == group
    assert "Nobody is in it yet" in ask(server, group, Cookie=ann).text


def test_a_secret_key_is_shown_once_with_what_clients_want(server: Server, ann: str) -> None:
    made(send(server, "/roles", Cookie=ann, name="pipeline", policy="ScrPullPushOnlyAccess"))

    answer = send(server, "/access-keys", Cookie=ann, owner="role:pipeline", name="first")

    key, secret = re.findall(r'<span class="mono">([^<]+)</span>', answer.text)[:2]
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    assert f"docker login {server.address} --username {key}" in answer.text
    assert json.dumps("auths") in answer.text.replace("&#34;", '"')
    assert "kubernetes.io/dockerconfigjson" in answer.text
    assert secret not in ask(server, f"/access-keys/{key}", Cookie=ann).text
    with server.client(user=key, password=secret) as client:
        assert client.get("/v2/").status == 200

    rotated = send(server, f"/access-keys/{key}/rotate", Cookie=ann, overlap="0")
    assert rotated.status == 201
    with server.client(user=key, password=secret) as client:
        assert client.get("/v2/").status == 401


def test_a_policy_is_made_by_the_form_edited_as_text_and_attached(server: Server, ann: str) -> None:
    fields = {
        "by": "form",
        "name": "pay-pull",
        "effect-0": "allow",
        "actions-0": "PullRepositoryImages",
        "resources-0": "registry/local/repository/pay/*",
        "applied-0": "127.0.0.0/8",
        "effect-1": "allow",
    }
    place = made(send(server, "/policies", Cookie=ann, **fields))
    shown = ask(server, place, Cookie=ann).text
    etag = field(shown, "etag")
    text = '{"statements": [{"effect": "deny", "actions": ["Push*"], "resources": ["*"]}]}'

    wrong = send(server, place, Cookie=ann, by="text", etag=etag, text="{not json", enabled="on")
    edited = send(server, place, Cookie=ann, by="text", etag=etag, text=text, enabled="on")

    assert "PullRepositoryImages" in shown
    assert "127.0.0.0/8" in shown
    assert (wrong.status, edited.status) == (400, 303)
    assert "the text is no policy" in wrong.text
    user = made(send(server, "/users", Cookie=ann, name="gus"))
    holder = "user:" + user.rpartition("/")[2]
    told = {"policy": place.rpartition("/")[2], "holder": holder, "back": user}
    assert made(send(server, "/policies/attachments", Cookie=ann, **told)) == user
    assert "pay-pull" in ask(server, user, Cookie=ann).text
    assert (
        made(send(server, "/policies/attachments", Cookie=ann, **{**told, "back": "//evil.test"}, act="detach")) == "/"
    )


def test_a_policy_is_loaded_and_narrowed(server: Server, ann: str) -> None:
    with server.client(user="ann", password=PASSWORD) as client:
        client.request("POST", "/api/v1/repositories", b'{"name": "shop"}', {"Content-Type": "application/json"})
    fields = {"by": "load", "name": "shop-pull", "policy": "ScrPullOnlyAccess", "repositories": "local/shop"}

    place = made(send(server, "/policies", Cookie=ann, **fields))

    assert "repository/shop" in ask(server, place, Cookie=ann).text


@pytest.mark.parametrize("kind", ["users", "groups", "roles", "policies"])
def test_each_goes_only_by_its_name(server: Server, ann: str, kind: str) -> None:
    more = {"by": "load", "policy": "ScrViewOnlyAccess"} if kind == "policies" else {}
    place = made(send(server, f"/{kind}", Cookie=ann, name="shortlived", **more))

    refused = send(server, f"{place}/delete", Cookie=ann, confirm="else")
    gone = send(server, f"{place}/delete", Cookie=ann, confirm="shortlived")

    assert (refused.status, gone.status) == (400, 303)
    assert ask(server, place, Cookie=ann).status == 404


def test_ones_own_password_is_changed_by_the_old_one(server: Server, ann: str) -> None:
    made(send(server, "/users", Cookie=ann, name="hal", password=PASSWORD, **OPENS))
    cookie = sign_in(server, "hal", PASSWORD)
    new = {"password": OTHER, "again": OTHER}

    unlike = send(server, "/self/password", Cookie=cookie, current=PASSWORD, password=OTHER, again="b")
    wrong = send(server, "/self/password", Cookie=cookie, current="guessed words", **new)
    right = send(server, "/self/password", Cookie=cookie, current=PASSWORD, **new)

    assert (unlike.status, wrong.status, right.status) == (422, 403, 303)
    assert ask(server, "/self", Cookie=cookie).status == 303  # its sessions ended
    assert sign_in(server, "hal", OTHER)


def test_who_has_no_rights_sees_nobody_and_changes_nothing(server: Server, ann: str) -> None:
    bob = sign_in(server, "bob", PASSWORD)
    place = made(send(server, "/users", Cookie=ann, name="hidden-user"))

    assert ask(server, place, Cookie=bob).status == 404
    assert "hidden-user" not in ask(server, "/users", Cookie=bob).text
    assert send(server, "/users", Cookie=bob, name="ivy").status == 403
    assert send(server, f"{place}/delete", Cookie=bob, confirm="hidden-user").status == 404
    assert ask(server, "/self", Cookie=bob).status == 200
