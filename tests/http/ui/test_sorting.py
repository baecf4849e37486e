"""Lists in the order of their columns: each entry once, page by page, by the API and on the page."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests import make
from tests.http.ui.asking import ask, send, sign_in
from tests.make.accounts import Key, Member
from tests.make.client import Client
from tests.make.server import Server
from tests.scan.test_vex import document, statement

PASSWORD = "correct horse"  # noqa: S105 - of users that live for these tests
Row = dict[str, Any]
LISTS = {
    "jobs": ("created", "kind", "state", "by", "ended"),
    "activity": ("at", "kind", "principal"),
    "access-keys": ("owner", "name", "expires", "used"),
    "storage/repositories": ("name", "live", "shared", "untagged", "unfinished", "leaving"),
    "refusals": ("at",),
    "traffic": ("at",),
    "deletions": ("deleted", "path", "kind", "by"),
    "accepted-findings": ("vulnerability", "package", "where", "by", "accepted", "expires"),
    "accepted-findings/documents": ("document", "author", "issued", "where", "imported", "by"),
}
FIELDS = {
    ("activity", "at"): "seq",
    ("jobs", "ended"): "endedAt",
    ("jobs", "by"): "createdBy",
    ("access-keys", "expires"): "expiresAt",
    ("access-keys", "used"): "lastUsedAt",
    ("refusals", "at"): "lastAt",
    ("deletions", "deleted"): "deletedAt",
    ("deletions", "by"): "deletedBy",
    ("accepted-findings", "by"): "createdBy",
    ("accepted-findings", "accepted"): "createdAt",
    ("accepted-findings", "expires"): "expiresAt",
    ("accepted-findings/documents", "issued"): "issuedAt",
    ("accepted-findings/documents", "imported"): "importedAt",
    ("accepted-findings/documents", "by"): "importedBy",
}
PAGES = {"storage/repositories": "storage", "refusals": "activity/refusals", "traffic": "activity/traffic"}
EVERY = [(name, sort) for name, sorts in LISTS.items() for sort in sorts]
IN_TURN = {("jobs", "created"), ("traffic", "at")}  # as they were written; each took its time before its turn came
WHOLE = r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}Z"
OF_THE_LOOK = "measuredAt"  # when it was read: another at each look
LAST = {"expiresAt", "endedAt"}  # without one: never, so at the end


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return (
        Member("ann", ("ScrFullAccess",), password=PASSWORD),
        Member("bob", password=PASSWORD),
        Member("eve", ("ScrFullAccess",)),
    )


@pytest.fixture(scope="module")
def ann(server: Server, keys: dict[str, Key]) -> str:
    """The session of the administrator, on a server with several rows in each of the lists."""
    cookie = sign_in(server, "ann", PASSWORD)
    registry = read(server, cookie, "/api/v1/registries?path=local")["items"][0]["id"]
    settings = {"visibility": "private", "endpoint": "private", "log_traffic": "on"}
    assert send(server, f"/registries/{registry}", Cookie=cookie, **settings).status == 303
    for kind in ("gc", "roll-up", "gc", "sweep"):
        place = send(server, "/jobs", Cookie=cookie, kind=kind).headers["location"]
        read(server, cookie, f"/api/v1{place}?wait=30")
    for name, expires in (("b", ""), ("a", "2990-01-02T00:00"), ("c", "2990-01-01T00:00")):
        made = send(server, "/access-keys", Cookie=cookie, owner="user:bob", name=name, expires_at=expires)
        assert "Secret key" in made.text
    with server.client(user=keys["ann"].access_key, password=keys["ann"].secret_key) as client:
        for number, name in enumerate(("middle", "large", "small")):
            client.push(f"{name}/a", make.image([{"a": bytes([number]) * (5000, 9000, 10)[number]}]), "1")
            client.push(f"{name}/b", make.image([{"a": b"shared"}]), "1")
    for path in ("small/a", "large/a", "middle/a"):
        with server.client(user=keys["bob"].access_key, password=keys["bob"].secret_key) as client:
            assert client.get(f"/v2/{path}/manifests/1").status in {403, 404}
    for person in ("ann", "eve"):
        with server.client(user=keys[person].access_key, password=keys[person].secret_key) as client:
            judge(client, person)
    return cookie


def judge(client: Client, person: str) -> None:
    """Accept findings, import documents and delete a tag, an image and a repository, in `person`'s name."""
    repository = f"of-{person}"
    for image in ("a", "b", "c"):
        client.push(f"{repository}/{image}", make.image([{"a": b"1"}]), "1", "2")
    places = {
        "image": id_of(client, "images", f"{repository}/c"),
        "repository": id_of(client, "repositories", repository),
        "registry": id_of(client, "registries", "local"),
    }
    for number, (kind, place) in enumerate(places.items()):
        finding = {"vulnerability": f"CVE-2099-{9999 + number}", "package": "cba"[number], "reason": "-", kind: place}
        order(client, "accepted-findings", {**finding, "expiresAt": f"219{number}-01-01T00:00:00Z" if number else None})
        text = document(statement(), author=f"{2 - number} of {person}", **{"@id": f"https://{number}.{person}"})
        order(client, "accepted-findings/documents", {"document": text.decode(), kind: place})
    client.request("DELETE", f"/v2/{repository}/a/manifests/1").expect(202)
    client.request("DELETE", f"/api/v1/images/{id_of(client, 'images', repository + '/b')}").expect(204)


def order(client: Client, name: str, body: dict[str, object]) -> None:
    headers = {"Content-Type": "application/json"}
    client.request("POST", f"/api/v1/{name}", json.dumps(body).encode(), headers).expect(201)


def id_of(client: Client, kind: str, path: str) -> str:
    found: str = json.loads(client.get(f"/api/v1/{kind}?path={path}").expect(200).body)["items"][0]["id"]
    return found


def read(server: Server, cookie: str, address: str) -> dict[str, Any]:
    answer = ask(server, address, Accept="application/json", Cookie=cookie)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = json.loads(answer.content)
    return found


def walk(server: Server, cookie: str, name: str, sort: str) -> list[Row]:
    """Return every entry of a list of the API, two at a time."""
    found: list[Row] = []
    cursor: str | None = ""
    while cursor is not None:
        page = read(server, cookie, f"/api/v1/{name}?sort={sort}&limit=2&cursor={cursor}")
        found += [{key: value for key, value in one.items() if key != OF_THE_LOOK} for one in page["items"]]
        cursor = page["next"]
    return found


def both_ways(server: Server, cookie: str, name: str, sort: str) -> tuple[list[Row], list[Row]]:
    """Return a list in its order and in the other, of one moment: jobs go on between two readings."""
    for _ in range(20):
        rising, falling, again = (walk(server, cookie, name, f"{sign}{sort}") for sign in ("", "-", ""))
        if rising == again:
            return rising, falling
    raise AssertionError(f"{name} did not stand still")


def values(rows: Sequence[Row], name: str, sort: str) -> list[tuple[bool, object]]:
    """Return what a list is in order of, so that it can be compared: nothing comes first, or last where it is never."""
    field = FIELDS.get((name, sort), sort)
    if (name, sort) in IN_TURN:
        return []
    if field == "where":  # all of the registry is before what is in it
        return [(False, "" if one[field] == "local" else one[field]) for one in rows]
    if field == "vulnerability":  # as people count
        return [(False, int(one[field].rpartition("-")[2])) for one in rows]
    if field == "unfinished":
        return [(False, one["unclaimed"] + one["staged"]) for one in rows]
    return [((one[field] is None) == (field in LAST), _moment(one[field] or "")) for one in rows]


def _moment(value: object) -> object:
    """Return a time so that texts of it are in its order: a whole second is told without a fraction."""
    return value[:-1] + ".000000Z" if isinstance(value, str) and re.fullmatch(WHOLE, value) else value


def same(rows: Sequence[Row]) -> set[str]:
    return {json.dumps(one, sort_keys=True) for one in rows}


@pytest.mark.parametrize(("name", "sort"), EVERY)
def test_each_entry_comes_once_in_the_order_of_the_column(server: Server, ann: str, name: str, sort: str) -> None:
    rising, falling = both_ways(server, ann, name, sort)

    assert len(rising) > 2
    assert len(same(rising)) == len(rising)
    assert values(rising, name, sort) == sorted(values(rising, name, sort))
    assert values(falling, name, sort) == values(rising, name, sort)[::-1]
    if (name, sort) in IN_TURN:
        assert falling == rising[::-1]


@pytest.mark.parametrize(("name", "sort"), EVERY)
def test_the_head_of_a_column_turns_its_order_round(server: Server, ann: str, name: str, sort: str) -> None:
    text = ask(server, f"/{PAGES.get(name, name)}?sort={sort}", Cookie=ann).text

    heads = re.findall(r'<th scope="col"[^>]*aria-sort="ascending"[^>]*><a class="sorts" href="([^"]+)"', text)
    assert len(heads) == 1
    assert heads[0].replace("&amp;", "&").endswith((f"?sort=-{sort}", f"&sort=-{sort}")) or f"sort=-{sort}&" in heads[0]
    assert f'<input type="hidden" name="sort" value="{sort}">' in text


def test_an_order_that_there_is_not_counts_as_not_asked_for(server: Server, ann: str) -> None:
    answer = ask(server, "/jobs?sort=colour", Cookie=ann)

    assert answer.status == 200
    assert 'aria-sort="descending"' in answer.text


@pytest.mark.parametrize("address", ["jobs?sort=kind", "access-keys?sort=used", "activity?sort=kind"])
def test_a_cursor_of_another_list_is_refused(server: Server, ann: str, address: str) -> None:
    answer = ask(server, f"/api/v1/{address}&cursor=eC95", Accept="application/json", Cookie=ann)

    assert answer.status == 400
    assert b"cursor" in answer.content


@pytest.mark.parametrize("sort", ["at", "principal", "kind"])
@pytest.mark.parametrize(("kind", "path"), [("registries", "local"), ("repositories", "large"), ("images", "large/a")])
def test_the_activity_of_a_resource_is_sorted_filtered_and_paged(
    server: Server, ann: str, kind: str, path: str, sort: str
) -> None:
    found = read(server, ann, f"/api/v1/{kind}?path={path}")["items"][0]["id"]
    name = f"{kind}/{found}/activity"

    rising, falling = both_ways(server, ann, name, sort)
    pushed = read(server, ann, f"/api/v1/{name}?kind=image.pushed&principal=user:ann")["items"]
    text = ask(server, f"/{name}?sort={sort}&kind=image.pushed&size=50", Cookie=ann).text

    assert len(rising) >= 2
    assert values(rising, "activity", sort) == sorted(values(rising, "activity", sort))
    assert falling == rising[::-1]
    assert {one["kind"] for one in pushed} == {"image.pushed"}
    assert 'aria-sort="ascending"' in text
    assert '<option value="50" selected>' in text
    assert "image.created" not in text


@pytest.mark.parametrize("page", ["users", "groups", "roles"])
def test_another_order_keeps_the_filter(server: Server, ann: str, page: str) -> None:
    assert send(server, f"/{page}", Cookie=ann, name="kept").status in {303, 409}

    assert f'href="/{page}?name=ke&amp;sort=-name"' in ask(server, f"/{page}?name=ke", Cookie=ann).text


@pytest.mark.parametrize("page", ["storage/leaving", "deletions", "access-keys", "activity/traffic"])
def test_the_size_of_a_page_is_chosen(server: Server, ann: str, page: str) -> None:
    assert '<option value="100" selected>' in ask(server, f"/{page}?size=100", Cookie=ann).text
