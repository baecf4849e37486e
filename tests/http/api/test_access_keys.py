"""Access keys by the API: made, told once, rotated with an overlap, of one's own and of others."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.http.api.accounts import Body, attach, detail, find, make, names, send, show
from tests.make.accounts import ask_token, bearer
from tests.make.client import Client
from tests.make.server import Server

SECRET = "a key to nothing yet"  # noqa: S105 - of users that live for one test


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def key_of(admin: Client, owner: str, name: str = "laptop", **order: object) -> Body:
    return make(admin, "access-keys", owner=owner, name=name, **order)


def opens(server: Server, key: Body, secret: str = "") -> bool:
    with server.client(user=key["accessKey"], password=secret or key["secretKey"]) as client:
        return client.get("/api/v1/self").status == 200


def test_a_key_is_told_once_and_opens(server: Server, admin: Client) -> None:
    make(admin, "users", name="keyed")
    reply = send(admin, "POST", "access-keys", {"owner": "user:keyed", "name": "laptop", "expiresAt": in_days(1)})
    made = reply.expect(201).decode(Body)

    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["location"] == f"/api/v1/access-keys/{made['accessKey']}"
    assert opens(server, made)
    found = show(admin, f"access-keys/{made['accessKey']}")
    assert "secretKey" not in found
    assert (found["owner"], found["name"], found["state"], found["enabled"]) == ("user:keyed", "laptop", "active", True)
    assert find(admin, "users", "keyed")["accessKeys"] == 1
    assert made["accessKey"] in detail(
        send(admin, "POST", "access-keys", {"owner": "user:keyed", "name": "laptop"}).expect(409)
    )


def test_rotation_leaves_the_earlier_secret_good_for_the_overlap(server: Server, admin: Client) -> None:
    make(admin, "roles", name="rotating")
    made = key_of(admin, "role:rotating")
    path = f"access-keys/{made['accessKey']}/rotation"

    first = send(admin, "POST", path, {"overlapSeconds": 3600}).expect(200).decode(Body)
    assert first["earlierUntil"] is not None
    assert opens(server, made)
    assert opens(server, first)
    second = send(admin, "POST", path, {"overlapSeconds": 0}).expect(200).decode(Body)

    assert second["earlierUntil"] is None
    assert opens(server, second)
    assert not opens(server, first)
    assert not opens(server, made)
    send(admin, "POST", path, {"overlapSeconds": 91 * 24 * 3600}).expect(400)


def test_a_key_is_edited_and_deleted(server: Server, admin: Client) -> None:
    make(admin, "users", name="editing")
    made = key_of(admin, "user:editing", expiresAt=in_days(1))
    path = f"access-keys/{made['accessKey']}"

    edited = send(admin, "PATCH", path, {"name": "desk", "expiresAt": None}, If_Match='"1"').expect(200).decode(Body)
    assert (edited["name"], edited["expiresAt"]) == ("desk", None)
    send(admin, "PATCH", path, {"enabled": False}, If_Match='"1"').expect(412)
    disabled = send(admin, "PATCH", path, {"enabled": False}, If_Match='"2"').expect(200).decode(Body)
    assert disabled["state"] == "disabled"
    assert not opens(server, made)
    assert "in the past" in detail(send(admin, "PATCH", path, {"expiresAt": in_days(-1)}).expect(400))
    send(admin, "DELETE", path).expect(204)
    send(admin, "GET", path).expect(404)


def test_keys_are_listed_by_owner(admin: Client) -> None:
    for owner in ("first", "second"):
        make(admin, "users", name=f"owner-{owner}")
        for name in ("b", "a"):
            key_of(admin, f"user:owner-{owner}", f"{owner}-{name}")

    assert names(admin, "access-keys?owner=user:owner-first") == ["first-a", "first-b"]
    assert names(admin, "access-keys?owner=user:owner-nobody") == []
    assert names(admin, "access-keys?name=second-") == ["second-a", "second-b"]
    page = show(admin, "access-keys?owner=user:owner-first&limit=1")
    assert names(admin, f"access-keys?owner=user:owner-first&limit=1&cursor={page['next']}") == ["first-b"]
    assert "user:ann or role:ci" in detail(send(admin, "GET", "access-keys?owner=first").expect(400))


def test_one_has_keys_of_ones_own_by_password(server: Server, admin: Client) -> None:
    make(admin, "users", name="self", password=SECRET)
    make(admin, "users", name="other")
    key_of(admin, "user:other", "hidden")

    with server.client(user="self", password=SECRET) as client:
        made = key_of(client, "user:self", "own")
        assert names(client, "access-keys") == ["own"]
        send(client, "PATCH", f"access-keys/{made['accessKey']}", {"description": "x"}).expect(200)
        send(client, "POST", "access-keys", {"owner": "user:other", "name": "x"}).expect(403)
        hidden = show(admin, "access-keys?owner=user:other")["items"][0]["accessKey"]
        send(client, "GET", f"access-keys/{hidden}").expect(404)
        send(client, "DELETE", f"access-keys/{made['accessKey']}").expect(204)


def test_a_key_that_was_found_changes_itself_only(server: Server, admin: Client) -> None:
    make(admin, "users", name="loser", password=SECRET)
    found, other = key_of(admin, "user:loser", "found"), key_of(admin, "user:loser", "other")

    with server.client(user=found["accessKey"], password=found["secretKey"]) as client:
        assert names(client, "access-keys") == ["found", "other"]
        send(client, "POST", "access-keys", {"owner": "user:loser", "name": "more"}).expect(403)
        send(client, "DELETE", f"access-keys/{other['accessKey']}").expect(403)
        rotated = send(client, "POST", f"access-keys/{found['accessKey']}/rotation", {}).expect(200).decode(Body)
    assert opens(server, rotated)


@pytest.mark.parametrize("days", [None, 5])
def test_a_key_that_ends_makes_none_that_lives_longer(server: Server, admin: Client, days: int | None) -> None:
    owner = make(admin, "users", name=f"ending-{days}")
    attach(admin, "ScrFullAccess", "user", owner).expect(204)
    ending = key_of(admin, f"user:ending-{days}", expiresAt=in_days(2))
    expiry = None if days is None else in_days(days)

    with server.client(user=ending["accessKey"], password=ending["secretKey"]) as client:
        order = {"owner": f"user:ending-{days}", "name": "longer", "expiresAt": expiry}
        assert "lives longer" in detail(send(client, "POST", "access-keys", order).expect(403))
        path = f"access-keys/{ending['accessKey']}"
        assert "lives longer" in detail(send(client, "PATCH", path, {"expiresAt": expiry}).expect(403))
        send(client, "POST", "access-keys", {**order, "expiresAt": in_days(1)}).expect(201)


def test_a_token_that_was_fetched_for_images_shows_and_changes_no_key(server: Server, admin: Client) -> None:
    owner = make(admin, "users", name="scoped")
    attach(admin, "ScrPullOnlyAccess", "user", owner).expect(204)
    key = key_of(admin, "user:scoped")
    path = f"access-keys/{key['accessKey']}"

    with server.client(user=key["accessKey"], password=key["secretKey"]) as basic, server.client() as client:
        narrow = bearer(ask_token(basic, "repository:pay/api:pull").token)
        looking = bearer(ask_token(basic, "registry:management:view").token)
        whole = bearer(ask_token(basic, "registry:management:*").token)

        assert client.get("/api/v1/access-keys", narrow).expect(200).decode(Body)["items"] == []
        client.get(f"/api/v1/{path}", narrow).expect(404)
        assert "insufficient_scope" in client.get("/api/v1/self", narrow).expect(401).headers["www-authenticate"]
        client.get(f"/api/v1/{path}", looking).expect(200)
        send(client, "POST", f"{path}/rotation", {}, **looking).expect(401)
        send(client, "POST", f"{path}/rotation", {}, **whole).expect(200)


def test_a_policy_may_deny_even_ones_own_keys(server: Server, admin: Client) -> None:
    owner = make(admin, "users", name="bound", password=SECRET)
    deny = {"effect": "deny", "actions": ["ManageAccessKey"], "resources": ["user/bound"]}
    make(admin, "policies", name="binds", document={"statements": [deny]})
    attach(admin, "binds", "user", owner).expect(204)

    with server.client(user="bound", password=SECRET) as client:
        refused = send(client, "POST", "access-keys", {"owner": "user:bound", "name": "x"}).expect(403)

    assert "policy binds denies ManageAccessKey" in detail(refused)
