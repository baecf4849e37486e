"""Tags by the API: orders, history, as of a moment, put back, lock."""

import msgspec
import pytest

from tests import make
from tests.http.api.conftest import List, find, problem
from tests.http.api.test_images import change
from tests.make import images
from tests.make.client import Client, Reply

ONE, TWO = images.image([{"a": b"1"}]), images.image([{"b": b"2"}])


class Tag(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    digest: str
    media_type: str
    locked: bool
    own_lock: bool
    pushed_at: str
    size: int


class Tags(msgspec.Struct, frozen=True):
    items: list[Tag]


class Named(msgspec.Struct, frozen=True, rename="camel"):
    digest: str
    since: str
    pushed_from: str
    until: str | None
    ended_by: str | None
    reason: str | None
    is_there: bool


class History(msgspec.Struct, frozen=True):
    items: list[Named]
    next: str | None


def point(client: Client, where: str, body: dict[str, str], etag: str = "") -> Reply:
    headers = {"Content-Type": "application/json"} | ({"If-Match": etag} if etag else {})
    return client.request("PUT", where, msgspec.json.encode(body), headers)


def tags_of(client: Client, path: str) -> str:
    return f"/api/v1/images/{find(client, 'images', path)}/tags"


def test_tags_come_in_every_order(admin: Client) -> None:
    for name in ("1.10", "1.9", "latest", "1.2"):
        admin.push("orders/api", ONE, name)
    where = tags_of(admin, "orders/api")

    def ordered(sort: str) -> list[str]:
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = admin.get(f"{where}?sort={sort}&limit=2&cursor={cursor}").expect(200).decode(List)
            found += [item.name for item in page.items]
            cursor = page.next
        return found

    assert ordered("name") == ["1.10", "1.2", "1.9", "latest"]
    assert ordered("-name") == ["latest", "1.9", "1.2", "1.10"]
    assert ordered("natural") == ["1.2", "1.9", "1.10", "latest"]
    assert ordered("-natural") == ["latest", "1.10", "1.9", "1.2"]
    assert ordered("pushed") == ["1.10", "1.9", "latest", "1.2"]
    assert ordered("-pushed") == ["1.2", "latest", "1.9", "1.10"]


def test_the_history_tells_what_a_tag_named_and_it_can_be_put_back(admin: Client) -> None:
    admin.push("story/api", ONE, "latest")
    admin.push("story/api", TWO, "latest")
    where = tags_of(admin, "story/api") + "/latest"

    past = admin.get(f"{where}/history").expect(200).decode(History).items
    assert [(one.digest, one.reason, one.is_there) for one in past] == [
        (TWO.digest, None, True),
        (ONE.digest, "moved", True),
    ]
    assert [one.pushed_from for one in past] == ["127.0.0.1", "127.0.0.1"]
    then = past[1].since
    assert [one.digest for one in admin.get(f"{where}/history?at={then}").decode(History).items] == [ONE.digest]
    put_back = point(admin, where, {"asOf": then}).expect(200).decode(Tag)

    assert put_back.digest == ONE.digest
    assert admin.get_manifest("story/api", "latest").headers["docker-content-digest"] == ONE.digest
    assert len(admin.get(f"{where}/history").decode(History).items) == 3


def test_a_path_with_a_moment_finds_what_the_tag_named_then(admin: Client) -> None:
    admin.push("then/api", ONE, "1")
    before = admin.get("/api/v1/tags?path=then/api:1").decode(Tags).items[0].pushed_at
    admin.push("then/api", TWO, "1")
    moment = before.replace("Z", "")

    found = admin.get(f"/api/v1/tags?path=then/api:1@%7B{moment}%7D").expect(200).decode(Tags).items
    now = admin.get("/api/v1/tags?path=then/api:1@%7Bnow%7D").expect(200).decode(Tags).items
    earlier = admin.get("/api/v1/tags?path=then/api:1@%7B2%20years%20ago%7D").expect(200).decode(Tags).items

    assert [one.digest for one in found] == [ONE.digest]
    assert [one.digest for one in now] == [TWO.digest]
    assert earlier == []
    admin.get("/api/v1/tags?path=then/api:1@%7Bsoon%7D").expect(400)


def test_an_index_of_then_is_as_large_as_in_the_list_of_now(admin: Client) -> None:
    children = [make.image([{"a": b"%d" % n}], platform=name) for n, name in enumerate(("linux/amd64", "linux/arm64"))]
    admin.push("then/many", make.index(children), "1")

    then = admin.get("/api/v1/tags?path=then/many:1@%7Bnow%7D").expect(200).decode(Tags).items
    now = admin.get("/api/v1/tags?path=then/many:1").expect(200).decode(Tags).items

    assert then[0].size == now[0].size > 0


def test_the_history_comes_in_pages(admin: Client) -> None:
    for number in range(7):
        admin.push("pages/api", (ONE, TWO)[number % 2], "1")
    where, found = tags_of(admin, "pages/api") + "/1/history", []
    cursor: str | None = ""

    while cursor is not None:
        page = admin.get(f"{where}?limit=3&cursor={cursor}").expect(200).decode(History)
        found += [one.digest for one in page.items]
        cursor = page.next

    assert found == [(ONE, TWO)[number % 2].digest for number in reversed(range(7))]


def test_a_tag_is_made_and_moved_and_a_stale_move_refused(admin: Client) -> None:
    admin.push("made/api", ONE, "1")
    admin.push("made/api", TWO)
    where = tags_of(admin, "made/api")
    etag = admin.get(f"{where}/1").headers["etag"]

    point(admin, f"{where}/new", {"digest": ONE.digest}).expect(200)
    point(admin, f"{where}/1", {"digest": TWO.digest}, etag).expect(200)
    point(admin, f"{where}/1", {"digest": ONE.digest}, etag).expect(412)

    assert admin.get(f"{where}/1").decode(Tag).digest == TWO.digest
    assert admin.list_tags("made/api") == ["1", "new"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"digest": "sha256:x"}, 400),
        ({"digest": "sha256:" + "0" * 64}, 404),
        ({"asOf": "3 years ago"}, 404),
        ({"asOf": "soon"}, 400),
        ({"digest": "sha256:" + "0" * 64, "asOf": "now"}, 400),
        ({"tag": "x"}, 400),
    ],
)
def test_a_tag_cannot_name_nothing(admin: Client, body: dict[str, str], status: int) -> None:
    admin.push("nothing/api", ONE, "1")

    point(admin, tags_of(admin, "nothing/api") + "/1", body).expect(status)


def test_a_locked_tag_stays_and_says_why(admin: Client, viewer: Client) -> None:
    admin.push("locked/api", ONE, "1")
    admin.push("locked/api", TWO)
    where = tags_of(admin, "locked/api") + "/1"

    change(viewer, where, {"locked": True}).expect(403)
    locked = change(admin, where, {"locked": True}).expect(200).decode(Tag)
    refused = admin.put_manifest("locked/api", "1", TWO).expect(403)
    moved = point(admin, where, {"digest": TWO.digest}).expect(409)

    assert (locked.locked, locked.own_lock) == (True, True)
    assert b"tag 1 cannot be moved: it is locked; unlock it, or push another tag" in refused.body
    assert "it is locked" in problem(moved.body).detail
    assert not change(admin, where, {"locked": False}).expect(200).decode(Tag).locked
