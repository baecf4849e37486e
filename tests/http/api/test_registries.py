"""Registries by the API: made, found, edited, deleted, given back."""

import socket
from pathlib import Path

import msgspec
import pytest

from tests.http.api.conftest import List, problem
from tests.make import images
from tests.make.client import Client, Reply, without_why
from tests.make.server import Server

IMAGE = images.image([{"etc/motd": b"welcome"}])


class Registry(msgspec.Struct, frozen=True, rename="camel"):
    """What the tests look at in a registry."""

    id: str
    srn: str
    name: str
    state: str
    description: str
    visibility: str
    endpoint: str
    private_access_control: bool
    port: int | None
    quota_bytes: int | None
    repositories: int
    resource_tags: dict[str, str]
    created_by: str
    modified_by: str
    removed_at: str | None
    restorable_until: str | None


class Registries(msgspec.Struct, frozen=True):
    """A page of them."""

    items: list[Registry]
    next: str | None


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a field of a draft."""

    field: str
    text: str


class Checked(msgspec.Struct, frozen=True):
    """All that is."""

    faults: list[Fault]


def send(client: Client, method: str, path: str, body: object, **headers: str) -> Reply:
    return client.request(method, path, msgspec.json.encode(body), {"Content-Type": "application/json", **headers})


def make(client: Client, name: str, **settings: object) -> Registry:
    return send(client, "POST", "/api/v1/registries", {"name": name, **settings}).expect(201).decode(Registry)


def show(client: Client, registry: Registry) -> Registry:
    return client.get(f"/api/v1/registries/{registry.id}").expect(200).decode(Registry)


def names(client: Client, query: str) -> list[str]:
    return [one.name for one in client.get(f"/api/v1/registries?{query}").expect(200).decode(Registries).items]


def test_a_registry_is_made_with_all_that_was_asked_for(admin: Client) -> None:
    order = {
        "name": "made",
        "description": "of the till",
        "visibility": "public",
        "endpoint": "private+public",
        "privateAccessControl": True,
        "quotaBytes": 1000,
        "resourceTags": {"team": "pay", "cost centre": "4711"},
    }
    reply = send(admin, "POST", "/api/v1/registries", order).expect(201)
    made = reply.decode(Registry)

    assert reply.headers["location"] == f"/api/v1/registries/{made.id}"
    assert reply.headers["etag"] == '"1"'
    assert made.srn.endswith(":registry/made")
    assert (made.state, made.visibility, made.endpoint) == ("Running", "public", "private+public")
    assert (made.private_access_control, made.quota_bytes, made.port) == (True, 1000, None)
    assert made.resource_tags == {"team": "pay", "cost centre": "4711"}
    assert (made.created_by, made.modified_by) == ("user:admin", "user:admin")
    assert show(admin, made) == made
    assert [one.name for one in admin.get("/api/v1/registries?path=made").decode(List).items] == ["made"]


def test_making_it_again_names_the_one_that_is_there(admin: Client) -> None:
    made = make(admin, "twice")

    reply = send(admin, "POST", "/api/v1/registries", {"name": "twice"}).expect(409)

    assert made.id in problem(reply.body).detail


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"name": "Pay"}, "3 to 25 of a-z and 0-9"),
        ({"name": "1pay"}, "a letter first"),
        ({"name": "pa"}, "3 to 25"),
        ({"name": "pay-till"}, "3 to 25"),
        ({"name": "p" * 26}, "3 to 25"),
        ({}, "name"),
        ({"name": "wrong", "quota": 3}, "quota"),
        ({"name": "wrong", "port": 0}, "port"),
        ({"name": "wrong", "visibility": "open"}, "visibility"),
        ({"name": "wrong", "resourceTags": {str(number): "" for number in range(51)}}, "up to 50"),
        ({"name": "wrong", "resourceTags": {"k" * 129: ""}}, "1 to 128"),
        ({"name": "wrong", "resourceTags": {"a=b": ""}}, "without '='"),
        ({"name": "wrong", "resourceTags": {"key": "v" * 257}}, "256"),
    ],
)
def test_what_cannot_be_made_is_a_400_that_says_why(admin: Client, order: dict[str, object], told: str) -> None:
    reply = send(admin, "POST", "/api/v1/registries", order).expect(400)

    assert told in problem(reply.body).detail
    assert admin.get("/api/v1/registries?path=wrong").decode(List).items == []


def test_an_edit_changes_what_was_sent_and_nothing_else(admin: Client) -> None:
    made = make(admin, "edited", description="before", quotaBytes=5, resourceTags={"a": "1"})

    reply = send(admin, "PATCH", f"/api/v1/registries/{made.id}", {"description": "after", "quotaBytes": None})

    edited = reply.expect(200).decode(Registry)
    assert (edited.description, edited.quota_bytes, edited.resource_tags) == ("after", None, {"a": "1"})
    assert reply.headers["etag"] == '"2"'


def test_an_edit_that_changes_nothing_is_none(admin: Client) -> None:
    made = make(admin, "same", description="x")

    reply = send(admin, "PATCH", f"/api/v1/registries/{made.id}", {"description": "x", "resourceTags": {}}).expect(200)

    assert reply.headers["etag"] == '"1"'


def test_of_two_edits_of_one_reading_the_second_is_stale(admin: Client) -> None:
    made = make(admin, "raced")
    path = f"/api/v1/registries/{made.id}"
    read = admin.get(path).headers["etag"]

    send(admin, "PATCH", path, {"description": "first"}, **{"If-Match": read}).expect(200)
    reply = send(admin, "PATCH", path, {"description": "second"}, **{"If-Match": read}).expect(412)

    assert problem(reply.body).type == "urn:scr:problem:stale"
    assert show(admin, made).description == "first"


def test_visibility_can_only_be_taken_away(admin: Client) -> None:
    made = make(admin, "shown", visibility="public")
    path = f"/api/v1/registries/{made.id}"

    assert send(admin, "PATCH", path, {"visibility": "private"}).expect(200).decode(Registry).visibility == "private"
    reply = send(admin, "PATCH", path, {"visibility": "public"}).expect(409)

    assert "at its creation only" in problem(reply.body).detail


def test_two_registries_cannot_have_one_port(admin: Client) -> None:
    make(admin, "porta", port=5999)
    other = make(admin, "portb")

    made = send(admin, "POST", "/api/v1/registries", {"name": "portc", "port": 5999}).expect(409)
    edited = send(admin, "PATCH", f"/api/v1/registries/{other.id}", {"port": 5999}).expect(409)

    assert "registry porta has port 5999" in problem(made.body).detail
    assert "registry porta has port 5999" in problem(edited.body).detail


def test_a_registry_with_a_port_listens_there_and_a_port_in_use_is_refused(admin: Client) -> None:
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        used, port = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        refused = send(admin, "POST", "/api/v1/registries", {"name": "inuse", "port": used}).expect(409)
        made = make(admin, "hearing", port=port)
        edited = send(admin, "PATCH", f"/api/v1/registries/{made.id}", {"port": used}).expect(409)

    assert str(used) in problem(refused.body).detail
    assert str(used) in problem(edited.body).detail
    assert admin.get("/api/v1/registries?path=inuse").decode(List).items == []
    assert show(admin, made).port == port
    with Client(f"http://127.0.0.1:{port}") as own:
        own.get("/v2/").expect(401)


def test_lists_are_sorted_filtered_and_paged(admin: Client) -> None:
    for name in ("lista", "listb", "listc"):
        make(admin, name, resourceTags={"of": "lists", "is": name})
    edited = admin.get("/api/v1/registries?path=lista").decode(List).items[0]
    send(admin, "PATCH", f"/api/v1/registries/{edited.id}", {"description": "new"}).expect(200)

    assert names(admin, "name=list") == ["lista", "listb", "listc"]
    assert names(admin, "name=list&sort=-name") == ["listc", "listb", "lista"]
    assert names(admin, "resourceTag=of%3Dlists&sort=-created") == ["listc", "listb", "lista"]
    assert names(admin, "resourceTag=of&sort=modified") == ["listb", "listc", "lista"]
    assert names(admin, "resourceTag=is%3Dlistb") == ["listb"]
    assert names(admin, "resourceTag=of%3Dothers") == []
    for sort in ("name", "-name", "created", "-created", "modified", "-modified"):
        whole = names(admin, f"sort={sort}")
        found, cursor = [], ""
        while True:
            page = admin.get(f"/api/v1/registries?sort={sort}&limit=2&cursor={cursor}").expect(200).decode(Registries)
            found += [one.name for one in page.items]
            if page.next is None:
                break
            cursor = page.next
        assert found == whole


def test_a_cursor_of_another_order_is_refused(admin: Client) -> None:
    make(admin, "cursora")
    make(admin, "cursorb")
    cursor = admin.get("/api/v1/registries?limit=1").decode(List).next

    admin.get(f"/api/v1/registries?limit=1&sort=created&cursor={cursor}").expect(400)


def test_a_registry_goes_only_when_its_name_is_repeated(admin: Client) -> None:
    made = make(admin, "precious")

    for query in ("", "?confirm=", "?confirm=Precious"):
        refused = admin.delete(f"/api/v1/registries/{made.id}{query}").expect(400)
        assert "confirm=precious" in problem(refused.body).detail
    admin.delete(f"/api/v1/registries/{made.id}?confirm=precious").expect(204)

    assert admin.get("/api/v1/registries?path=precious").decode(List).items == []


def test_a_deleted_registry_is_terminating_frees_its_name_and_comes_back(admin: Client) -> None:
    made = make(admin, "gone", resourceTags={"a": "1"})
    admin.delete(f"/api/v1/registries/{made.id}?confirm=gone").expect(204)

    removed = show(admin, made)
    assert (removed.state, removed.name) == ("Terminating", "gone")
    assert removed.removed_at is not None
    assert removed.restorable_until is not None
    assert "gone" in names(admin, "removed=true")
    again = make(admin, "gone")
    refused = admin.request("POST", f"/api/v1/registries/{made.id}/restoration").expect(409)
    assert again.id in problem(refused.body).detail
    admin.delete(f"/api/v1/registries/{again.id}?confirm=gone&purge=true").expect(204)
    back = admin.request("POST", f"/api/v1/registries/{made.id}/restoration").expect(200).decode(Registry)

    assert (back.id, back.state, back.resource_tags) == (made.id, "Running", {"a": "1"})


def test_what_was_purged_does_not_come_back(admin: Client) -> None:
    made = make(admin, "purged")
    admin.delete(f"/api/v1/registries/{made.id}?confirm=purged&purge=true").expect(204)

    reply = admin.request("POST", f"/api/v1/registries/{made.id}/restoration")

    assert reply.status in (404, 409)  # 404: its job and a collection were quicker


def test_the_default_registry_stays(admin: Client) -> None:
    local = admin.get("/api/v1/registries?path=local").decode(List).items[0]

    reply = admin.delete(f"/api/v1/registries/{local.id}?confirm=local&force=true").expect(409)

    assert "default registry" in problem(reply.body).detail


def test_the_use_of_a_registry_is_shown_both_ways(admin: Client) -> None:
    admin.push("usage/api", IMAGE, "1")
    admin.push("usage/web", IMAGE, "1")
    local = admin.get("/api/v1/registries?path=local").decode(List).items[0]

    class Usage(msgspec.Struct, rename="camel"):
        blob_bytes: int
        sole_bytes: int
        apparent_bytes: int
        manifest_bytes: int

    class Shown(msgspec.Struct):
        usage: Usage
        repositories: int
        images: int

    shown = admin.get(f"/api/v1/registries/{local.id}").expect(200).decode(Shown)
    size = sum(len(blob.data) for blob in IMAGE.blobs)
    assert (shown.usage.blob_bytes, shown.usage.sole_bytes) == (size, size)
    assert shown.usage.apparent_bytes == 2 * size
    assert shown.usage.manifest_bytes == 2 * len(IMAGE.body)
    assert (shown.repositories, shown.images) == (1, 2)


def test_lists_of_another_registry_are_its_own(admin: Client) -> None:
    admin.push("here/api", IMAGE, "1")
    make(admin, "elsewhere")

    assert admin.get("/api/v1/repositories?registry=elsewhere").expect(200).decode(List).items == []
    assert admin.get("/api/v1/images?registry=elsewhere").expect(200).decode(List).items == []
    assert admin.get("/api/v1/images?registry=local&path=here/api").expect(200).decode(List).items != []
    admin.get("/api/v1/tags?registry=elsewhere&path=here/api").expect(404)
    admin.get("/api/v1/images?registry=nowhere").expect(404)


def test_a_registry_that_is_not_there_looks_like_one_that_may_not_be_seen(admin: Client, nobody: Client) -> None:
    make(admin, "secret")

    for path in ("/api/v1/repositories?registry=", "/api/v1/images?registry="):
        assert nobody.get(path + "secret").expect(200).body == nobody.get(path + "absent").expect(200).body
    hidden = nobody.get("/api/v1/registries?path=secret").expect(403)
    absent = nobody.get("/api/v1/registries?path=absent").expect(403)
    assert without_why(hidden.body).replace(b"secret", b"absent") == without_why(absent.body)


def test_a_store_that_fails_shows_in_the_state_of_registries(tmp_path: Path) -> None:
    with Server(tmp_path) as server, server.client() as client:
        made = make(client, "pay")
        aside = server.data / "aside"
        (server.data / "blobs").rename(aside)
        failed = show(client, made).state
        aside.rename(server.data / "blobs")

        assert (failed, show(client, made).state) == ("Error", "Running")


def test_a_registry_begins_with_its_allowlists(admin: Client, server: Server) -> None:
    lists = {"privateAllowlist": "10.0.0.0/8 # office\n", "publicAllowlist": "192.0.2.7\n"}
    made = make(admin, "withlists", privateAccessControl=True, **lists)

    assert (server.data / "allowlists" / "withlists.private.txt").read_text() == "10.0.0.0/8 # office\n"
    shown = admin.get(f"/api/v1/registries/{made.id}/allowlists/public").expect(200)
    assert b'"text":"192.0.2.7\\n"' in shown.body
    assert b'"state":"good"' in admin.get(f"/api/v1/registries/{made.id}/allowlists/private").expect(200).body


def test_a_registry_is_not_made_with_a_list_that_has_a_mistake(admin: Client) -> None:
    reply = send(admin, "POST", "/api/v1/registries", {"name": "mistaken", "publicAllowlist": "10.0.0.0/8\nx\n"})

    assert "publicAllowlist: line 2" in problem(reply.expect(400).body).detail
    assert names(admin, "name=mistaken") == []


def test_a_draft_is_judged_field_by_field_and_nothing_is_made(admin: Client) -> None:
    draft = {"name": "local", "port": 0, "privateAllowlist": "@nobody\n", "publicAllowlist": "192.0.2.7\n"}

    wrong = send(admin, "POST", "/api/v1/registries/checks", draft).expect(200).decode(Checked)
    well = send(admin, "POST", "/api/v1/registries/checks", {"name": "drafted"}).expect(200).decode(Checked)
    empty = send(admin, "POST", "/api/v1/registries/checks", {}).expect(200).decode(Checked)

    assert [one.field for one in wrong.faults] == ["name", "port", "privateAllowlist"]
    assert well.faults == empty.faults == []
    assert names(admin, "name=drafted") == []
