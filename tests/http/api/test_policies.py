"""Access policies by the API: written, begun from a copy, attached, in force for running tokens, bounded."""

from collections.abc import Iterator

import pytest

from tests.http.api.accounts import Body, attach, detail, find, make, names, send, show
from tests.make import images
from tests.make.accounts import ask_token, bearer
from tests.make.client import Client
from tests.make.server import Server

IMAGE = images.image([{"etc/motd": b"hello"}])
PULL, LOGIN = "PullRepositoryImages", "LoginContainerRegistry"


def allow(*resources: str, actions: tuple[str, ...] = (PULL,)) -> Body:
    return {"statements": [{"effect": "allow", "actions": actions, "resources": resources}]}


@pytest.fixture
def pushed(admin: Client) -> None:
    admin.push("pay/api", IMAGE, "1")
    admin.push("web/api", IMAGE, "1")


@pytest.fixture
def robot(server: Server, admin: Client) -> Iterator[Client]:
    """A role without any policy, signed in with its key."""
    role = make(admin, "roles", name="robot")
    key = make(admin, "access-keys", owner="role:robot", name="only")
    with server.client(user=key["accessKey"], password=key["secretKey"]) as client:
        yield client
    send(admin, "DELETE", f"roles/{role['id']}").expect(204)


def test_a_policy_is_written_shown_edited_and_deleted(admin: Client) -> None:
    made = make(admin, "policies", name="reads", description="of pay", document=allow("registry/local/repository/pay"))
    path = f"policies/{made['id']}"

    assert made["srn"].endswith(":policy/reads")
    (statement,) = made["document"]["statements"]
    assert statement["resources"] == [made["srn"].rpartition("policy/")[0] + "registry/local/repository/pay"]
    assert (made["builtIn"], made["version"], made["attachments"], made["enabled"]) == (False, 1, 0, True)
    edited = send(admin, "PATCH", path, {"document": allow("registry/local/*")}, If_Match='"1"').expect(200)
    assert edited.decode(Body)["version"] == 2
    send(admin, "PATCH", path, {"description": "x"}, If_Match='"1"').expect(412)
    send(admin, "DELETE", path).expect(204)
    send(admin, "GET", path).expect(404)


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"document": {"statements": []}}, "1 to 200 statements"),
        ({"document": allow("registry/local", actions=("PullRepositoryImage",))}, "did you mean PullRepositoryImages?"),
        ({"document": allow("srn:scr:other:registry/local")}, "no resource of this appliance"),
        ({}, "one of the two"),
        ({"document": allow("*"), "load": {"policy": "ScrFullAccess"}}, "one of the two"),
        ({"load": {"policy": "none-such"}}, "no policy 'none-such'"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(admin: Client, order: Body, told: str) -> None:
    reply = send(admin, "POST", "policies", {"name": "wrong", **order})

    assert reply.status in (400, 404)
    assert told in detail(reply)


def test_built_in_policies_are_shown_and_stay(admin: Client) -> None:
    full = find(admin, "policies", "ScrFullAccess")

    assert full["builtIn"]
    assert full["document"]["statements"] == [{"effect": "allow", "actions": ["*"], "resources": ["*"]}]
    assert "built in" in detail(send(admin, "PATCH", f"policies/{full['id']}", {"description": "x"}).expect(409))
    send(admin, "DELETE", f"policies/{full['id']}").expect(409)
    assert {"ScrPullOnlyAccess", "ScrPullPushOnlyAccess", "ScrViewOnlyAccess"} <= set(names(admin, "policies"))


@pytest.mark.usefixtures("pushed")
def test_a_loaded_policy_is_a_copy_narrowed_to_what_was_chosen(admin: Client, robot: Client) -> None:
    place = {"registry": "local", "repository": "pay"}
    load = {"policy": "ScrPullOnlyAccess", "registries": ["local"], "repositories": [place]}
    made = make(admin, "policies", name="pays", load=load)
    attach(admin, "pays", "role", find(admin, "roles", "robot")).expect(204)

    said = [(one["actions"], one["resources"][0].partition("registry/")[2]) for one in made["document"]["statements"]]
    assert said == [([LOGIN], "local"), ([PULL], "local/repository/pay")]
    robot.get_manifest("pay/api", "1").expect(200)
    refused = robot.get_manifest("web/api", "1").expect(403)
    assert PULL.encode() in refused.body
    assert find(admin, "policies", "ScrPullOnlyAccess")["document"] != made["document"]


@pytest.mark.usefixtures("pushed")
def test_a_change_counts_for_the_next_request_of_a_running_token(server: Server, admin: Client, robot: Client) -> None:
    role = find(admin, "roles", "robot")
    policy = make(admin, "policies", name="runs", document=allow("registry/local*", actions=(LOGIN, PULL)))
    attach(admin, "runs", "role", role).expect(204)
    token = bearer(ask_token(robot, "repository:pay/api:pull").token)
    path = f"policies/{policy['id']}"

    with server.client() as client:

        def pull() -> int:
            return client.get("/v2/pay/api/manifests/1", token).status

        assert pull() == 200
        send(admin, "PATCH", path, {"enabled": False}).expect(200)
        assert pull() == 403
        send(admin, "PATCH", path, {"enabled": True}).expect(200)
        assert pull() == 200
        send(admin, "PATCH", path, {"document": allow("registry/local", actions=(LOGIN,))}).expect(200)
        assert pull() == 403
        send(admin, "PATCH", path, {"document": allow("registry/local*", actions=(LOGIN, PULL))}).expect(200)
        assert pull() == 200
        send(admin, "DELETE", f"{path}/attachments/role/{role['id']}").expect(204)
        assert pull() == 403


def test_who_has_a_policy_is_listed_and_it_is_deleted_with_that_only(admin: Client) -> None:
    policy = make(admin, "policies", name="held", document=allow("*"))
    group, user = make(admin, "groups", name="holders"), make(admin, "users", name="holder")
    attach(admin, "held", "group", group).expect(204)
    attach(admin, "held", "user", user).expect(204)
    path = f"policies/{policy['id']}"

    first = show(admin, f"{path}/attachments?limit=1")
    assert [(one["kind"], one["name"], one["id"]) for one in first["items"]] == [("group", "holders", group["id"])]
    assert names(admin, f"{path}/attachments?cursor={first['next']}") == ["holder"]
    assert [one["name"] for one in find(admin, "groups", "holders")["policies"]] == ["held"]
    assert "group holders" in detail(send(admin, "DELETE", path).expect(409))
    send(admin, "DELETE", f"{path}?detach=true").expect(204)
    assert find(admin, "users", "holder")["policies"] == []


@pytest.mark.parametrize("kind", ["policy", "registry", "x"])
def test_a_policy_is_attached_to_nobody_else(admin: Client, kind: str) -> None:
    full = find(admin, "policies", "ScrFullAccess")

    reply = send(admin, "PUT", f"policies/{full['id']}/attachments/{kind}/{full['id']}").expect(404)

    assert "user, role or group" in detail(reply)


def test_nobody_gives_more_than_he_has(server: Server, admin: Client) -> None:
    manage = {
        "effect": "allow",
        "actions": ["Manage*", "View*"],
        "resources": ["user/*", "group/*", "role/*", "policy/*"],
    }
    make(
        admin,
        "policies",
        name="manages",
        document={"statements": [manage, *allow("registry/local/repository/pay")["statements"]]},
    )
    secret = "of mallory, who manages"  # noqa: S105 - lives for this test
    mallory = make(admin, "users", name="mallory", password=secret)
    strong = make(admin, "groups", name="strong")
    attach(admin, "manages", "user", mallory).expect(204)
    attach(admin, "ScrFullAccess", "group", strong).expect(204)
    boss = make(admin, "users", name="boss")
    attach(admin, "ScrFullAccess", "user", boss).expect(204)

    with server.client(user="mallory", password=secret) as client:
        for reply in (
            attach(client, "ScrFullAccess", "user", mallory),
            attach(client, "ScrPullOnlyAccess", "user", mallory),
            send(client, "POST", "policies", {"name": "mine", "document": allow("*", actions=("*",))}),
            send(client, "POST", "policies", {"name": "mine", "load": {"policy": "ScrPullOnlyAccess"}}),
            send(client, "PUT", f"groups/{strong['id']}/members/{mallory['id']}"),
            send(client, "PUT", f"users/{boss['id']}/password", {"password": secret}),
            send(client, "POST", "access-keys", {"owner": "user:boss", "name": "mine"}),
        ):
            assert "nobody gives more than they have" in detail(reply.expect(403))
        made = make(client, "policies", name="less", document=allow("registry/local/repository/pay/image/api"))
        assert made["createdBy"] == "user:mallory"
