"""Images: lists in every order, what is shown, edits of description, policy and lock."""

from collections.abc import Mapping

import msgspec
import pytest

from tests.http.api.conftest import List, find, problem
from tests.http.api.test_registries import send
from tests.make import images
from tests.make.client import Client, Reply

IMAGE, OTHER = images.image([{"a": b"1"}]), images.image([{"b": b"2"}])


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    scan: dict[str, object]
    pull_limit: dict[str, object]
    tag_deletion: dict[str, object]


class Shown(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    srn: str
    path: str
    state: str
    description: str
    locked: bool
    own_lock: bool
    created_by: str
    modified_by: str
    policy: Policy
    template: Policy
    retention_due_at: str | None
    resource_tags: dict[str, str]


def change(client: Client, path: str, body: Mapping[str, object], etag: str = "") -> Reply:
    headers = {"Content-Type": "application/json"} | ({"If-Match": etag} if etag else {})
    return client.request("PATCH", path, msgspec.json.encode(body), headers)


def address(client: Client, path: str) -> str:
    return f"/api/v1/images/{find(client, 'images', path)}"


def test_an_image_is_shown_with_its_policy_and_the_template(admin: Client) -> None:
    admin.push("whole/api", IMAGE, "1")

    shown = admin.get(address(admin, "whole/api")).expect(200).decode(Shown)

    assert shown.srn.endswith(":registry/local/repository/whole/image/api")
    assert (shown.path, shown.state, shown.created_by) == ("whole/api", "Active", "user:admin")
    assert shown.policy == shown.template
    assert shown.policy.pull_limit["critical"] == 1
    assert shown.retention_due_at is None


def test_an_edit_changes_what_it_names(admin: Client, viewer: Client) -> None:
    admin.push("edit/api", IMAGE, "1")
    where = address(admin, "edit/api")

    order = {"description": "the till", "policy": {"pullLimit": {"refuseHigh": True, "high": 3}}}
    edited = change(admin, where, order).expect(200).decode(Shown)
    refused = change(viewer, where, {"description": "mine"}).expect(403)

    assert edited.description == "the till"
    assert (edited.policy.pull_limit["refuseHigh"], edited.policy.pull_limit["high"]) == (True, 3)
    assert edited.template.pull_limit["high"] == 1
    assert edited.modified_by == "user:admin"
    assert admin.get(where).decode(Shown) == edited
    assert "ManageRepository" in problem(refused.body).detail


def test_an_edit_of_what_changed_meanwhile_is_a_412(admin: Client) -> None:
    admin.push("stale/api", IMAGE, "1")
    where = address(admin, "stale/api")
    etag = admin.get(where).headers["etag"]
    change(admin, where, {"description": "first"}, etag).expect(200)

    change(admin, where, {"description": "second"}, etag).expect(412)

    assert admin.get(where).decode(Shown).description == "first"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"policy": {"pullLimit": {"critical": 0}}}, "pullLimit.critical is 0; it must be a whole number from 1 to"),
        ({"policy": {"tagDeletion": {"oldDays": 4000}}}, "tagDeletion.oldDays is 4000"),
        ({"policy": {"tagDeletion": {"keepPatterns": ["a b"]}}}, "no pattern of tags"),
        ({"policy": {"scan": {"excludeSeverity": "worst"}}}, "choose one of none"),
        ({"policy": {"scan": {"onPush": "yes"}}}, "bool"),
        ({"polcy": {}}, "polcy"),
        ({"description": "x" * 2001}, "2000"),
    ],
)
def test_a_wrong_edit_is_a_400_that_says_what(admin: Client, body: dict[str, object], said: str) -> None:
    admin.push("wrong/api", IMAGE, "1")

    reply = change(admin, address(admin, "wrong/api"), body).expect(400)

    assert said in problem(reply.body).detail


def test_resource_tags_are_kept_replaced_and_looked_for(admin: Client) -> None:
    for name in ("labelled/a", "labelled/b"):
        admin.push(name, IMAGE, "1")
    where = address(admin, "labelled/a")

    change(admin, where, {"resourceTags": {"team": "till", "tier": "1"}}).expect(200)
    edited = change(admin, where, {"resourceTags": {"team": "shop"}}).expect(200).decode(Shown)
    change(admin, where, {"resourceTags": {"": "x"}}).expect(400)

    def labelled(query: str) -> list[str]:
        found = admin.get(f"/api/v1/images?repository=labelled&{query}").expect(200).decode(List)
        return [one.path for one in found.items]

    assert edited.resource_tags == {"team": "shop"}
    assert labelled("resourceTag=team=shop") == labelled("resourceTag=team") == ["labelled/a"]
    assert labelled("resourceTag=team=till") == labelled("resourceTag=tier") == []


def test_a_locked_image_says_so_through_every_door(admin: Client) -> None:
    admin.push("held/api", IMAGE, "1")
    admin.push("held/api", OTHER)
    where = address(admin, "held/api")
    assert change(admin, where, {"locked": True}).expect(200).decode(Shown).locked

    pushed = admin.put_manifest("held/api", "1", OTHER).expect(403)
    assert pushed.codes == ["DENIED"]
    assert b"image held/api is locked" in pushed.body
    for path in ("/v2/held/api/manifests/1", f"/v2/held/api/manifests/{IMAGE.digest}"):
        assert admin.delete(path).expect(403).codes == ["DENIED"]
    for path in (where, f"{where}/tags/1", f"{where}/manifests/{IMAGE.digest}"):
        assert "is locked" in problem(admin.delete(path).expect(409).body).detail

    change(admin, where, {"locked": False}).expect(200)
    admin.delete(f"{where}/tags/1").expect(204)


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("sort", ["path", "-path", "pushed", "-pushed", "pulls", "-pulls", "created", "-created"])
def test_a_list_in_any_order_is_whole_page_by_page(admin: Client, sort: str, limit: int) -> None:
    names = ["sorted/c", "sorted/a", "sorted/b", "sorted/d"]
    for name in names:
        admin.push(name, IMAGE, "1")
    found: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        query = f"repository=sorted&sort={sort}&limit={limit}&cursor={cursor}"
        page = admin.get(f"/api/v1/images?{query}").expect(200).decode(List)
        found += [item.path for item in page.items]
        cursor = page.next

    assert sorted(found) == sorted(names)
    if sort.endswith("path"):
        assert found == sorted(names, reverse=sort.startswith("-"))
    if sort.endswith("created"):
        assert found == (names if sort == "created" else names[::-1])


def test_a_cursor_of_another_order_is_refused(admin: Client) -> None:
    for name in ("cursor/a", "cursor/b"):
        admin.push(name, IMAGE, "1")
    cursor = admin.get("/api/v1/images?repository=cursor&limit=1").decode(List).next

    admin.get(f"/api/v1/images?repository=cursor&sort=-pushed&limit=1&cursor={cursor}").expect(400)


def test_images_of_all_registries_follow_each_other_registry_by_registry(admin: Client, nobody: Client) -> None:
    send(admin, "POST", "/api/v1/registries", {"name": "zulu"}).expect(201)
    admin.push("every/api", IMAGE, "1")
    seen: list[str] = []
    cursor = ""
    while True:
        page = admin.get(f"/api/v1/images?registry=*&name=api&limit=2&sort=-pushed&cursor={cursor}").expect(200)
        found = page.decode(List)
        seen += [one.path for one in found.items]
        if found.next is None:
            break
        cursor = found.next

    alone = admin.get("/api/v1/images?registry=local&name=api&sort=-pushed").expect(200).decode(List)
    assert seen == [one.path for one in alone.items]
    assert nobody.get("/api/v1/images?registry=*").expect(200).decode(List).items == []
