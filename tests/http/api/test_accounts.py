"""Users, roles and groups by the API: made, found, edited, in force at once, deleted."""

from collections.abc import Iterator

import bcrypt
import pytest

from tests.http.api.accounts import Body, attach, detail, find, make, names, send, show
from tests.http.api.conftest import PASSWORD
from tests.make.client import Client
from tests.make.server import Server

SECRET = "a horse of another colour"  # noqa: S105 - of users that live for one test


@pytest.fixture
def open_door(server: Server) -> Iterator[Client]:
    with server.client(user="nobody", password=PASSWORD) as client:
        yield client


def status_of(server: Server, name: str, secret: str, path: str = "/api/v1/self") -> int:
    with server.client(user=name, password=secret) as client:
        return client.get(path).status


def test_a_user_is_made_shown_and_found(admin: Client) -> None:
    reply = send(admin, "POST", "users", {"name": "made", "description": "of the till", "password": SECRET})
    made = reply.expect(201).decode(Body)

    assert reply.headers["location"] == f"/api/v1/users/{made['id']}"
    assert reply.headers["etag"] == '"1"'
    assert made["srn"].endswith(":user/made")
    assert (made["enabled"], made["hasPassword"], made["managed"]) == (True, True, False)
    assert made["signIn"] == {
        "registry": ["access-key"],
        "api": ["access-key", "password"],
        "console": ["access-key", "password"],
    }
    assert (made["guidance"], made["groups"], made["policies"], made["accessKeys"]) == ("", [], [], 0)
    assert made["createdBy"] == "user:admin"
    assert show(admin, f"users/{made['id']}") == made == find(admin, "users", "made")
    again = send(admin, "POST", "users", {"name": "made"}).expect(409)
    assert made["id"] in detail(again)


def test_who_is_made_may_have_policies_from_the_beginning_or_is_not_made(admin: Client) -> None:
    policies = ["ScrPullOnlyAccess", "ScrViewOnlyAccess", "ScrPullOnlyAccess"]

    for kind in ("users", "roles", "groups"):
        made = make(admin, kind, name="equipped", policies=policies)
        assert [one["name"] for one in made["policies"]] == policies[:2]
        send(admin, "POST", kind, {"name": "lost", "policies": ["ScrPullOnlyAccess", "none-such"]}).expect(404)
        assert names(admin, f"{kind}?path=lost") == []


HTPASSWD = bcrypt.hashpw(SECRET.encode(), b"$2b$04$abcdefghijklmnopqrstuu").decode()  # the same each time


def test_users_of_another_registry_keep_their_logins(server: Server, admin: Client) -> None:
    make(admin, "users", name="there")
    text = f"# of the old registry\nmoved:{HTPASSWD}\n\nthere:{HTPASSWD}\n"
    order = {"htpasswd": text, "policies": ["ScrPullOnlyAccess"]}

    assert send(admin, "POST", "users/imports", {**order, "dryRun": True}).expect(200).decode(Body) == {
        "created": ["moved"],
        "skipped": ["there"],
    }
    assert names(admin, "users?path=moved") == []
    send(admin, "POST", "users/imports", order).expect(200)
    again = send(admin, "POST", "users/imports", order).expect(200).decode(Body)

    assert again == {"created": [], "skipped": ["moved", "there"]}
    assert status_of(server, "moved", SECRET, "/v2/") == 200
    assert status_of(server, "moved", SECRET, "/v2/") == 200  # now as argon2id
    assert find(admin, "users", "there")["hasPassword"] is False


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"one:{HTPASSWD}\ntwo:$apr1$x$y\n", "line 2: the hash of two is none of bcrypt"),
        (f"one:{HTPASSWD}\none:{HTPASSWD}\n", "line 2: one stands there a second time"),
        ("no colon\n", "line 1: 'no colon' is no name"),
        (f"a/b:{HTPASSWD}\n", "line 1: 'a/b' is no name"),
    ],
)
def test_a_file_with_a_mistake_makes_nobody(admin: Client, text: str, told: str) -> None:
    reply = send(admin, "POST", "users/imports", {"htpasswd": text}).expect(400)

    assert told in detail(reply)
    assert names(admin, "users?path=one") == []


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"name": "a:b"}, "no name of a user"),
        ({"name": "short", "password": "seven77"}, "at least 8 characters"),
        ({"name": "samesame", "password": "SameSame"}, "the password is the name"),
        ({"name": "x", "passwordHash": "y"}, "passwordHash"),
        ({"name": "x", "signIn": {"registry": ["smoke"]}}, "smoke"),
        ({}, "name"),
    ],
)
def test_a_user_that_cannot_be_is_refused(admin: Client, order: Body, told: str) -> None:
    assert told in detail(send(admin, "POST", "users", order).expect(400))


def test_lists_go_by_pages_and_have_what_was_asked_for(admin: Client) -> None:
    for number in (2, 10, 1):
        make(admin, "users", name=f"listed{number}")
    disabled = find(admin, "users", "listed2")
    send(admin, "PATCH", f"users/{disabled['id']}", {"enabled": False}).expect(200)
    attach(admin, "ScrViewOnlyAccess", "user", disabled).expect(204)

    assert names(admin, "users?name=listed") == ["listed1", "listed2", "listed10"]
    assert names(admin, "users?name=listed&sort=-created") == ["listed1", "listed10", "listed2"]
    assert names(admin, "users?name=listed&enabled=false") == ["listed2"]
    assert names(admin, "users?name=listed&policy=ScrViewOnlyAccess") == ["listed2"]
    assert names(admin, "users?name=listed&policy=of-nobody") == names(admin, "users?group=of-nobody") == []
    assert "admin" in names(admin, "users?managed=true")
    first = show(admin, "users?name=listed&limit=2")
    assert names(admin, f"users?name=listed&limit=2&cursor={first['next']}") == ["listed10"]
    assert names(admin, "users?path=listed1") == ["listed1"]
    assert names(admin, "users?path=listed") == []


def test_an_edit_of_what_changed_meanwhile_is_refused(admin: Client) -> None:
    made = make(admin, "users", name="edited")
    path = f"users/{made['id']}"

    reply = send(admin, "PATCH", path, {"description": "first"}, If_Match='"1"').expect(200)

    assert reply.headers["etag"] == '"2"'
    send(admin, "PATCH", path, {"description": "second"}, If_Match='"1"').expect(412)
    send(admin, "DELETE", path, If_Match='"1"').expect(412)
    assert show(admin, path)["description"] == "first"
    send(admin, "DELETE", path, If_Match='"2"').expect(204)
    send(admin, "GET", path).expect(404)


def test_a_new_password_ends_what_the_earlier_one_opened(server: Server, admin: Client) -> None:
    made = make(admin, "users", name="changing", password=SECRET)
    assert status_of(server, "changing", SECRET) == 200

    send(admin, "PUT", f"users/{made['id']}/password", {"password": SECRET + "!"}).expect(200)

    assert status_of(server, "changing", SECRET) == 401
    assert status_of(server, "changing", SECRET + "!") == 200
    taken = send(admin, "PUT", f"users/{made['id']}/password", {"password": None}).expect(200)
    assert taken.decode(Body)["hasPassword"] is False
    assert status_of(server, "changing", SECRET + "!") == 401


def test_security_settings_say_where_a_password_opens(server: Server, admin: Client) -> None:
    made = make(admin, "users", name="settled", password=SECRET)
    attach(admin, "ScrPullOnlyAccess", "user", made).expect(204)
    assert status_of(server, "settled", SECRET, "/v2/") == 401

    wide = {"registry": ["access-key", "password"], "api": ["access-key"], "console": []}
    edited = send(admin, "PATCH", f"users/{made['id']}", {"signIn": wide}).expect(200).decode(Body)

    assert edited["signIn"] == wide
    assert "access key" in edited["guidance"]
    assert status_of(server, "settled", SECRET, "/v2/") == 200
    assert status_of(server, "settled", SECRET) == 401


def test_one_changes_ones_own_password_by_showing_the_earlier_one(server: Server, admin: Client) -> None:
    make(admin, "users", name="own", password=SECRET)

    with server.client(user="own", password=SECRET) as own:
        wrong = send(own, "PUT", "self/password", {"current": "not this one", "password": SECRET + "?"})
        assert "current password is wrong" in detail(wrong.expect(403))
        send(own, "PUT", "self/password", {"current": SECRET, "password": "short"}).expect(400)
        send(own, "PUT", "self/password", {"current": SECRET, "password": SECRET + "?"}).expect(204)

    assert status_of(server, "own", SECRET) == 401
    assert status_of(server, "own", SECRET + "?") == 200


def test_what_the_file_declares_is_changed_there_only(admin: Client, open_door: Client) -> None:
    declared = find(admin, "users", "nobody")

    for method, path, body in (
        ("PATCH", f"users/{declared['id']}", {"description": "x"}),
        ("PUT", f"users/{declared['id']}/password", {"password": SECRET}),
        ("DELETE", f"users/{declared['id']}", None),
    ):
        assert "scr.toml" in detail(send(admin, method, path, body).expect(409))
    own = send(open_door, "PUT", "self/password", {"current": PASSWORD, "password": SECRET})
    assert "scr.toml" in detail(own.expect(409))


def test_oneself_is_shown_with_groups_and_policies_in_force(server: Server, admin: Client) -> None:
    made = make(admin, "users", name="shown", password=SECRET)
    group = make(admin, "groups", name="showing")
    send(admin, "PUT", f"groups/{group['id']}/members/{made['id']}").expect(204)
    attach(admin, "ScrPullOnlyAccess", "group", group).expect(204)
    attach(admin, "ScrViewOnlyAccess", "user", made).expect(204)

    with server.client(user="shown", password=SECRET) as client:
        found = show(client, "self")

    assert (found["kind"], found["name"], found["method"], found["hasPassword"]) == ("user", "shown", "password", True)
    assert [one["name"] for one in found["groups"]] == ["showing"]
    assert found["policies"] == [
        {"name": "ScrPullOnlyAccess", "group": "showing"},
        {"name": "ScrViewOnlyAccess", "group": ""},
    ]


def test_nobody_saws_off_the_branch(server: Server, admin: Client) -> None:
    made = make(admin, "users", name="second-admin", password=SECRET)
    attach(admin, "ScrFullAccess", "user", made).expect(204)

    with server.client(user="second-admin", password=SECRET) as second:
        for reply in (
            send(second, "PATCH", f"users/{made['id']}", {"enabled": False}),
            send(second, "DELETE", f"users/{made['id']}"),
        ):
            assert "you yourself" in detail(reply.expect(409))


def test_who_is_disabled_is_out_at_once_and_stays_out(server: Server, admin: Client) -> None:
    made = make(admin, "users", name="leaver", password=SECRET)

    with server.client(user="leaver", password=SECRET) as leaver:
        leaver.get("/api/v1/self").expect(200)
        send(admin, "PATCH", f"users/{made['id']}", {"enabled": False}).expect(200)
        leaver.get("/api/v1/self").expect(401)


def test_a_role_is_made_edited_and_deleted(admin: Client) -> None:
    made = make(admin, "roles", name="ci", description="the builders")

    assert made["srn"].endswith(":role/ci")
    assert names(admin, "roles?name=c") == ["ci"]
    edited = send(admin, "PATCH", f"roles/{made['id']}", {"enabled": False}, If_Match='"1"').expect(200)
    assert edited.decode(Body)["enabled"] is False
    send(admin, "GET", f"users/{made['id']}").expect(404)  # a role is no user
    send(admin, "DELETE", f"roles/{made['id']}").expect(204)
    assert names(admin, "roles?path=ci") == []


def test_a_group_has_members_by_pages(admin: Client) -> None:
    group = make(admin, "groups", name="many")
    for number in (1, 2, 10):
        member = make(admin, "users", name=f"member{number}")
        send(admin, "PUT", f"groups/{group['id']}/members/{member['id']}").expect(204)
        send(admin, "PUT", f"groups/{group['id']}/members/{member['id']}").expect(204)  # again is the same
    path = f"groups/{group['id']}"

    assert show(admin, path)["members"] == 3
    first = show(admin, f"{path}/members?limit=2")
    assert [one["name"] for one in first["items"]] == ["member1", "member2"]
    assert names(admin, f"{path}/members?limit=2&cursor={first['next']}") == ["member10"]
    assert names(admin, "users?group=many&name=0") == ["member10"]
    send(admin, "DELETE", f"{path}/members/{find(admin, 'users', 'member2')['id']}").expect(204)
    assert names(admin, f"{path}/members") == ["member1", "member10"]
    assert [one["name"] for one in find(admin, "users", "member1")["groups"]] == ["many"]
    send(admin, "PATCH", path, {"description": "of all"}, If_Match='"1"').expect(200)
    send(admin, "DELETE", path).expect(204)
    assert find(admin, "users", "member1")["groups"] == []


def test_what_may_not_be_seen_answers_like_what_is_not_there(admin: Client, nobody: Client) -> None:
    made = make(admin, "users", name="hidden-one")

    hidden, absent = send(nobody, "GET", f"users/{made['id']}"), send(nobody, "GET", "users/aaaaaaaaaa")

    assert (hidden.status, absent.status) == (404, 404)
    assert detail(hidden).replace(made["id"], "") == detail(absent).replace("aaaaaaaaaa", "")
    assert names(nobody, "users") == names(nobody, "users?path=hidden-one") == []
