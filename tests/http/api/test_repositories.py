"""Repositories by the API: made, found, edited, deleted, given back."""

import msgspec
import pytest

from appliance.domain.image_policy import ImagePolicy
from tests.http.api.conftest import List, find, problem
from tests.http.api.test_registries import make as make_registry
from tests.http.api.test_registries import send
from tests.make import images
from tests.make.client import Client

IMAGE = images.image([{"etc/motd": b"welcome"}])
PATH = "/api/v1/repositories"


class Repository(msgspec.Struct, frozen=True, rename="camel"):
    """What the tests look at in a repository."""

    id: str
    srn: str
    registry: str
    name: str
    state: str
    description: str
    images: int
    locked: bool
    policy: ImagePolicy
    by_push: bool
    resource_tags: dict[str, str]
    created_by: str
    restorable_until: str | None


class Repositories(msgspec.Struct, frozen=True):
    """A page of them."""

    items: list[Repository]
    next: str | None


def make(client: Client, name: str, **settings: object) -> Repository:
    return send(client, "POST", PATH, {"name": name, **settings}).expect(201).decode(Repository)


def show(client: Client, name: str) -> Repository:
    return client.get(f"{PATH}/{find(client, 'repositories', name)}").expect(200).decode(Repository)


def names(client: Client, query: str) -> list[str]:
    return [one.name for one in client.get(f"{PATH}?{query}").expect(200).decode(Repositories).items]


def test_a_repository_is_made_with_all_that_was_asked_for(admin: Client) -> None:
    order = {
        "name": "made",
        "description": "of the till",
        "policy": {"pullLimit": {"refuseCritical": True, "critical": 3}, "tagDeletion": {"untaggedDays": 7}},
        "resourceTags": {"team": "pay"},
    }
    reply = send(admin, "POST", PATH, order).expect(201)
    made = reply.decode(Repository)

    assert reply.headers["location"] == f"{PATH}/{made.id}"
    assert reply.headers["etag"] == '"1"'
    assert made.srn.endswith(":registry/local/repository/made")
    assert (made.registry, made.state, made.by_push, made.created_by) == ("local", "Active", False, "user:admin")
    assert (made.policy.pull_limit.critical, made.policy.tag_deletion.untagged_days) == (3, 7)
    assert made.policy.scan == ImagePolicy().scan
    assert made.resource_tags == {"team": "pay"}
    assert show(admin, "made") == made


def test_making_it_again_names_the_one_that_is_there(admin: Client) -> None:
    made = make(admin, "twice")

    reply = send(admin, "POST", PATH, {"name": "twice"}).expect(409)

    assert made.id in problem(reply.body).detail


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"name": "Pay"}, "lower-case"),
        ({"name": "a/b"}, "repository name"),
        ({"name": ""}, "repository name"),
        ({"name": "wrong", "policy": {"pullLimit": {"critical": 0}}}, "from 1 to 9,999,999"),
        ({"name": "wrong", "policy": {"pullLimit": {"high": 10_000_000}}}, "from 1 to 9,999,999"),
        ({"name": "wrong", "policy": {"tagDeletion": {"oldDays": 3651}}}, "from 1 to 3,650"),
        ({"name": "wrong", "policy": {"scan": {"excludeSeverity": "harmless"}}}, "choose one of none"),
        ({"name": "wrong", "policy": {"scan": {"onPull": True}}}, "onPull"),
        ({"name": "wrong", "description": "x" * 2001}, "2000"),
        ({"name": "wrong", "resourceTags": {"": "x"}}, "1 to 128"),
    ],
)
def test_what_cannot_be_made_is_a_400_that_says_why(admin: Client, order: dict[str, object], told: str) -> None:
    reply = send(admin, "POST", PATH, order).expect(400)

    assert told in problem(reply.body).detail
    assert admin.get(f"{PATH}?path=wrong").decode(List).items == []


def test_a_repository_of_another_registry_is_its_own(admin: Client) -> None:
    make_registry(admin, "annex")
    make(admin, "here")

    made = make(admin, "there", registry="annex")
    again = make(admin, "here", registry="annex")

    assert made.srn.endswith(":registry/annex/repository/there")
    assert again.registry == "annex"
    assert names(admin, "registry=annex") == ["here", "there"]
    assert admin.get(f"{PATH}?path=there").decode(List).items == []
    assert admin.get(f"{PATH}/{made.id}").expect(200).decode(Repository) == made
    send(admin, "POST", PATH, {"name": "x", "registry": "nowhere"}).expect(404)


def test_a_lock_holds_what_is_there(admin: Client) -> None:
    admin.push("held/api", IMAGE, "1")
    path = f"{PATH}/{find(admin, 'repositories', 'held')}"

    send(admin, "PATCH", path, {"locked": True}).expect(200)

    refused = admin.delete(f"/api/v1/images/{find(admin, 'images', 'held/api')}").expect(409)
    assert "repository held is locked" in problem(refused.body).detail
    admin.delete(f"{path}?confirm=held").expect(409)


def test_of_two_edits_of_one_reading_the_second_is_stale(admin: Client) -> None:
    made = make(admin, "raced")
    read = admin.get(f"{PATH}/{made.id}").headers["etag"]

    send(admin, "PATCH", f"{PATH}/{made.id}", {"description": "first"}, **{"If-Match": read}).expect(200)
    send(admin, "PATCH", f"{PATH}/{made.id}", {"description": "second"}, **{"If-Match": read}).expect(412)

    assert show(admin, "raced").description == "first"


def test_a_wrong_edit_changes_nothing(admin: Client) -> None:
    made = make(admin, "unharmed")

    for order in ({"policy": {"pullLimit": {"critical": 0}}}, {"name": "other"}, {"resourceTags": {"a": "v" * 257}}):
        send(admin, "PATCH", f"{PATH}/{made.id}", order).expect(400)

    assert show(admin, "unharmed") == made


def test_lists_are_sorted_filtered_and_paged(admin: Client) -> None:
    for name in ("lista", "listb", "listc"):
        make(admin, name, resourceTags={"of": "lists", "is": name})
    send(admin, "PATCH", f"{PATH}/{find(admin, 'repositories', 'lista')}", {"description": "new"}).expect(200)

    assert names(admin, "name=list") == ["lista", "listb", "listc"]
    assert names(admin, "resourceTag=of%3Dlists&sort=-created") == ["listc", "listb", "lista"]
    assert names(admin, "resourceTag=of&sort=modified") == ["listb", "listc", "lista"]
    assert names(admin, "resourceTag=is%3Dlistb") == ["listb"]
    for sort in ("name", "-name", "created", "-created", "modified", "-modified"):
        whole = names(admin, f"sort={sort}")
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = admin.get(f"{PATH}?sort={sort}&limit=2&cursor={cursor}").expect(200).decode(Repositories)
            found += [one.name for one in page.items]
            cursor = page.next
        assert found == whole


def test_a_deleted_repository_frees_its_name_and_comes_back(admin: Client) -> None:
    admin.push("gone/api", IMAGE, "1")
    old = find(admin, "repositories", "gone")
    admin.delete(f"{PATH}/{old}?confirm=gone").expect(204)

    removed = admin.get(f"{PATH}/{old}").expect(200).decode(Repository)
    assert removed.state == "Deleting"
    assert removed.restorable_until is not None
    assert "gone" in names(admin, "removed=true")
    made = make(admin, "gone")
    refused = admin.request("POST", f"{PATH}/{old}/restoration").expect(409)
    assert "gone" in problem(refused.body).detail
    admin.delete(f"{PATH}/{made.id}?confirm=gone").expect(204)
    back = admin.request("POST", f"{PATH}/{old}/restoration").expect(200).decode(Repository)

    assert (back.id, back.state, back.images) == (old, "Active", 1)
    admin.assert_holds("gone/api", "1", IMAGE)


def test_what_was_purged_does_not_come_back(admin: Client) -> None:
    made = make(admin, "purged")
    admin.delete(f"{PATH}/{made.id}?confirm=purged&purge=true").expect(204)

    reply = admin.request("POST", f"{PATH}/{made.id}/restoration")

    assert reply.status in (404, 409)  # 404: collection was quicker


def test_a_push_makes_a_repository_and_says_so(admin: Client) -> None:
    admin.push("bypush/api", IMAGE, "1")

    made = show(admin, "bypush")

    assert made.by_push
    assert made.policy == ImagePolicy()


def test_whoever_makes_a_repository_can_ask_what_policy_it_starts_with(viewer: Client) -> None:
    told = msgspec.json.decode(viewer.get("/api/v1/defaults").expect(200).body, type=dict[str, msgspec.Raw])

    assert msgspec.json.decode(told["repository"], type=ImagePolicy) == ImagePolicy()
    assert viewer.get("/api/v1/defaults", {"Authorization": "Basic bm86bm8="}).status == 401
