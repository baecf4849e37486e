"""Activity, refusals, traffic and counts by the API: who sees what, and what is told."""

import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import pytest

from tests import make
from tests.http.api.conftest import JSON, PASSWORD, find, problem
from tests.make.client import Client, Reply, why
from tests.make.server import Server

Shape = TypeVar("Shape")
_PATIENCE_S = 30
IMAGE, OTHER = make.image([{"a": b"1"}]), make.image([{"b": b"2"}])
DENIED = "/v2/secret/app/manifests/1"


class Entry(msgspec.Struct, rename="camel"):
    """What the tests look at in an entry of activity or traffic."""

    seq: int
    at: str
    kind: str
    principal: str
    address: str
    client: str
    registry: str | None
    image: str | None = None
    repository: str | None = None
    path: str = ""
    tag: str = ""
    digest: str = ""
    size: int = 0
    detail: dict[str, object] = {}


class Step(msgspec.Struct):
    stage: str
    allowed: bool
    reason: str


class Refused(msgspec.Struct, rename="camel"):
    id: str
    says: str
    times: int
    registry: str | None = None
    principal: str | None = None
    method: str | None = None
    path: str | None = None
    rule: str | None = None
    client: str | None = None
    steps: list[Step] | None = None


class Point(msgspec.Struct):
    at: str
    value: float


class Series(msgspec.Struct):
    name: str
    title: str
    unit: str
    registry: str | None
    step: str
    points: list[Point]


class Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next: str | None


def items(reply: Reply, shape: type[Shape]) -> list[Shape]:
    return [msgspec.json.decode(one, type=shape) for one in reply.expect(200).decode(Page).items]


def walk(client: Client, path: str) -> list[Entry]:
    found: list[Entry] = []
    cursor = ""
    while True:
        page = client.get(f"{path}{cursor}").expect(200).decode(Page)
        found += [msgspec.json.decode(one, type=Entry) for one in page.items]
        if page.next is None:
            return found
        cursor = f"&cursor={page.next}"


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it never came true"


@pytest.fixture(scope="module")
def pusher(server: Server) -> Iterator[Client]:
    with server.client(user="pusher", password=PASSWORD) as client:
        yield client


def switch_traffic(admin: Client, *, on: bool) -> None:
    """Switch the traffic log of the registry, and wait until it is so: a pull of nobody's is seen, or not."""
    registry = find(admin, "registries", "local")
    body = msgspec.json.encode({"logTraffic": on})
    assert (
        b'"logTraffic":%s' % (b"true" if on else b"false")
        in admin.request("PATCH", f"/api/v1/registries/{registry}", body, JSON).expect(200).body
    )
    admin.push("probe/it", OTHER, "1")

    def is_switched() -> bool:
        before = len(items(admin.get("/api/v1/traffic?path=probe/it&limit=1000"), Entry))
        admin.get_manifest("probe/it", "1").expect(200)
        return (len(items(admin.get("/api/v1/traffic?path=probe/it&limit=1000"), Entry)) > before) is on

    until(is_switched)


# activity


def test_a_change_tells_who_from_where_with_which_program(pusher: Client, viewer: Client) -> None:
    headers = {"Content-Type": IMAGE.media_type, "User-Agent": "docker/27.0 (linux)"}
    pusher.push("told/app", IMAGE)
    pusher.request("PUT", "/v2/told/app/manifests/1", IMAGE.body, headers).expect(201)

    newest = items(viewer.get("/api/v1/activity?limit=1"), Entry)[0]

    assert (newest.kind, newest.principal, newest.address) == ("image.pushed", "user:pusher", "127.0.0.1")
    assert (newest.client, newest.registry, newest.image) == ("docker/27.0 (linux)", "local", "told/app")
    assert newest.detail == {"v": 1, "digest": IMAGE.digest, "tags": ["1"], "path": "told/app"}


def test_an_edit_tells_before_and_after(admin: Client, viewer: Client) -> None:
    registry = find(admin, "registries", "local")
    for text in ("first", "second"):
        body = msgspec.json.encode({"description": text})
        admin.request("PATCH", f"/api/v1/registries/{registry}", body, JSON).expect(200)

    newest = items(viewer.get(f"/api/v1/registries/{registry}/activity?limit=1"), Entry)[0]

    assert newest.kind == "registry.edited"
    assert (newest.detail["before"], newest.detail["after"]) == ({"description": "first"}, {"description": "second"})


def test_a_resource_has_its_own_log_of_itself_and_what_is_in_it(admin: Client, pusher: Client) -> None:
    pusher.push("own/app", IMAGE, "1")
    pusher.push("own/web", OTHER, "1")

    by_image = walk(admin, f"/api/v1/images/{find(admin, 'images', 'own/app')}/activity?limit=2")
    by_repository = walk(admin, f"/api/v1/repositories/{find(admin, 'repositories', 'own')}/activity?limit=2")

    assert [(one.kind, one.image) for one in by_image] == [("image.pushed", "own/app"), ("image.created", "own/app")]
    assert {one.kind for one in by_repository} == {"repository.created", "image.created", "image.pushed"}
    assert len(by_repository) == 5
    assert walk(admin, "/api/v1/activity?path=own/app&limit=2") == by_image
    assert walk(admin, "/api/v1/activity?path=own&limit=2") == by_repository


def test_the_log_of_a_resource_is_asked_for_by_who_may_view_it(admin: Client, nobody: Client) -> None:
    admin.push("hidden/app", IMAGE, "1")

    nobody.get("/api/v1/activity?path=hidden/app").expect(403)
    nobody.get("/api/v1/activity?path=hidden").expect(403)
    nobody.get("/api/v1/activity?path=absent").expect(403)
    admin.get("/api/v1/activity?path=absent").expect(404)


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("kind=tag.deleted", {"tag.deleted"}),
        ("principal=user:pusher&kind=image.created", {"image.created"}),
        ("principal=user:nobody-at-all", set()),
        ("about=user:nobody-at-all", set()),
        ("until=2020-01-01T00:00:00Z", set()),
        ("since=2100-01-01T00:00:00Z", set()),
    ],
)
def test_a_list_is_narrowed_by_what_is_asked(admin: Client, pusher: Client, query: str, kinds: set[str]) -> None:
    pusher.push("narrow/app", IMAGE, "1")
    admin.delete("/v2/narrow/app/manifests/1").expect(202)

    assert {one.kind for one in walk(admin, f"/api/v1/activity?limit=50&{query}")} == kinds


def test_what_follows_is_told_from_where_somebody_was(admin: Client, pusher: Client) -> None:
    pusher.push("follow/app", IMAGE, "1")
    newest = items(admin.get("/api/v1/activity?limit=1"), Entry)[0]

    for tag in ("2", "3"):
        pusher.put_manifest("follow/app", tag, IMAGE).expect(201)
    page = admin.get(f"/api/v1/activity?after={newest.seq}").expect(200).decode(Page)
    end = admin.get(f"/api/v1/activity?after={page.next}").expect(200).decode(Page)

    found = [msgspec.json.decode(one, type=Entry).detail["tags"] for one in page.items]
    assert found == [["2"], ["3"]]
    assert (end.items, end.next) == ([], page.next)


@pytest.mark.parametrize(
    "query", ["cursor=bm9uZQ", "cursor=!", "since=yesterday", "after=-1", "limit=0", "kinds=tag.deleted"]
)
def test_a_question_that_makes_no_sense_is_refused(admin: Client, query: str) -> None:
    assert admin.get(f"/api/v1/activity?{query}").status == 400
    assert admin.get(f"/api/v1/traffic?{query}").status == 400


def test_who_may_not_view_a_registry_sees_nothing_of_it(admin: Client, nobody: Client, pusher: Client) -> None:
    pusher.push("unseen/app", IMAGE, "1")
    image, registry = find(admin, "images", "unseen/app"), find(admin, "registries", "local")

    for path in ("activity", "refusals", "traffic", "metrics"):
        nobody.get(f"/api/v1/{path}").expect(403)
        nobody.get(f"/api/v1/{path}?registry=local").expect(403)
    nobody.get("/metrics").expect(403)
    nobody.get(f"/api/v1/images/{image}/activity").expect(404)
    nobody.get(f"/api/v1/registries/{registry}/activity").expect(404)


# refusals


def test_a_refusal_names_rule_fact_and_remedy_and_ends_with_its_address(nobody: Client, server: Server) -> None:
    message = nobody.get(DENIED).expect(403).body.decode()

    assert "no policy allows" in message
    assert "ask the administrator for a policy with" in message
    assert re.search(rf'; why: {re.escape(server.url)}/why/[0-9a-f]{{32}}","detail"', message)
    assert "\n" not in message


def test_who_may_view_sees_every_step_the_refused_one_what_was_said_and_others_nothing(
    admin: Client, viewer: Client, nobody: Client, pusher: Client
) -> None:
    reply = nobody.get(DENIED, {"User-Agent": "crane/0.20"}).expect(403)
    address = f"/api/v1/refusals/{why(reply.body)}"

    whole = viewer.get(address).expect(200).decode(Refused)
    own = nobody.get(address).expect(200).decode(Refused)
    other = pusher.get(address).expect(404)
    absent = pusher.get(f"/api/v1/refusals/{'0' * 32}").expect(404)

    assert (whole.principal, whole.method, whole.path, whole.rule) == ("user:nobody", "GET", DENIED, "access-denied")
    assert (whole.registry, whole.client) == ("local", "crane/0.20")
    assert [step.stage for step in whole.steps or []] == [
        *("listener", "registry", "endpoint type", "allowlist", "authentication", "access policy")
    ]
    assert [step.allowed for step in whole.steps or []] == [True] * 5 + [False]
    assert own == Refused(whole.id, whole.says, whole.times)
    assert whole.says in reply.body.decode()
    assert problem(other.body).detail.replace(whole.id, "0" * 32) == problem(absent.body).detail
    assert admin.get(address).expect(200).decode(Refused) == whole


def test_the_address_in_the_message_tells_a_person_the_same(viewer: Client, nobody: Client, pusher: Client) -> None:
    refusal = why(nobody.get(DENIED).expect(403).body)

    whole, own = viewer.get(f"/why/{refusal}").expect(200), nobody.get(f"/why/{refusal}").expect(200)

    assert own.headers["content-type"].startswith("text/plain")
    assert b"user:nobody from 127.0.0.1" in whole.body
    assert b"refused  access policy" in whole.body
    assert b"access policy" not in own.body.partition(b"\n\n")[2]
    pusher.get(f"/why/{refusal}").expect(404)


def test_a_refusal_that_repeats_is_counted_under_its_id(viewer: Client, nobody: Client) -> None:
    ids = {why(nobody.get("/v2/again/app/manifests/1").expect(403).body) for _ in range(3)}

    (listed,) = (
        one for one in items(viewer.get("/api/v1/refusals?principal=user:nobody"), Refused) if "again" in str(one.path)
    )
    assert ids == {listed.id}
    assert listed.times == 3


def test_refusals_are_listed_page_by_page_the_newest_first(viewer: Client, nobody: Client) -> None:
    for number in range(5):
        nobody.get(f"/v2/listed/app{number}/manifests/1").expect(403)

    found: list[str] = []
    cursor = ""
    while len(found) < 5:
        page = viewer.get(f"/api/v1/refusals?limit=2{cursor}").expect(200).decode(Page)
        found += [str(msgspec.json.decode(one, type=Refused).path) for one in page.items]
        cursor = f"&cursor={page.next}"

    assert sorted(found[:5]) == [f"/v2/listed/app{number}/manifests/1" for number in range(5)]
    viewer.get("/api/v1/refusals?cursor=bm9uZQ").expect(400)


def test_a_challenge_and_what_reads_as_absent_are_no_refusals(
    server: Server, viewer: Client, nobody: Client, admin: Client
) -> None:
    before = [one.id for one in items(viewer.get("/api/v1/refusals"), Refused)]
    admin.push("absent/app", IMAGE, "1")

    with server.client() as client:
        challenge = client.get("/v2/absent/app/manifests/1").expect(401)
        client.get("/api/v1/images").expect(401)
    hidden = nobody.get(f"/api/v1/images/{find(admin, 'images', 'absent/app')}").expect(404)
    admin.get_manifest("absent/app", "none").expect(404)

    assert b"why:" not in challenge.body + hidden.body
    assert [one.id for one in items(viewer.get("/api/v1/refusals"), Refused)] == before


# traffic


def test_who_pulled_a_digest_has_an_answer(admin: Client, pusher: Client, viewer: Client) -> None:
    switch_traffic(admin, on=True)
    image = make.image([{"who": b"pulled it"}])
    pusher.push("pulled/app", image, "1")
    admin.get("/v2/pulled/app/manifests/1", {"User-Agent": "containerd/2.0"}).expect(200)
    layer = image.blobs[-1]
    admin.get_blob("pulled/app", layer.digest, {"Range": "bytes=0-9"}).expect(206)
    admin.head(f"/v2/pulled/app/blobs/{layer.digest}").expect(200)

    by_manifest = items(viewer.get(f"/api/v1/traffic?digest={image.digest}"), Entry)
    by_layer = items(viewer.get(f"/api/v1/traffic?digest={layer.digest}"), Entry)

    told = [(one.kind, one.principal, one.tag, one.size) for one in by_manifest]
    assert told == [
        ("manifest.pulled", "user:admin", "1", len(image.body)),
        ("manifest.pushed", "user:pusher", "1", len(image.body)),
        ("manifest.pushed", "user:pusher", "", len(image.body)),
    ]
    assert (by_manifest[0].client, by_manifest[0].address, by_manifest[0].path) == (
        *("containerd/2.0", "127.0.0.1", "pulled/app"),
    )
    assert [(one.kind, one.size) for one in by_layer] == [("blob.pulled", 10), ("blob.pushed", len(layer.data))]


def test_a_mount_is_told_and_what_is_switched_off_is_not(admin: Client, pusher: Client) -> None:
    switch_traffic(admin, on=True)
    image = make.image([{"mount": b"me"}])
    pusher.push("mounted/from", image, "1")
    layer = image.blobs[-1].digest
    pusher.request("POST", f"/v2/mounted/to/blobs/uploads/?mount={layer}&from=mounted/from", b"").expect(201)
    assert [one.kind for one in items(admin.get("/api/v1/traffic?path=mounted/to"), Entry)] == ["blob.mounted"]

    switch_traffic(admin, on=False)
    pusher.get_manifest("mounted/from", "1").expect(200)

    kinds = [one.kind for one in items(admin.get("/api/v1/traffic?path=mounted/from&kind=manifest.pulled"), Entry)]
    assert kinds == []
    admin.get("/api/v1/traffic?kind=manifest.eaten").expect(400)


# counts


def test_the_manuals_names_have_a_history_in_total_and_for_each_registry(admin: Client, viewer: Client) -> None:
    admin.push("count/app", IMAGE, "1")
    admin.get_manifest("count/app", "1").expect(200)

    total = items(viewer.get("/api/v1/metrics?step=minute"), Series)
    local = items(viewer.get("/api/v1/metrics?registry=local&name=containerregistry.statics.image.pull.count"), Series)

    assert len(total) == 14
    assert total[0].name == "container.registry.status.alive"
    assert {one.step for one in total} == {"minute"}
    assert [len(one.points) for one in total] == [61] * 14
    pulls = next(one for one in total if one.name.endswith("image.pull.count"))
    assert (pulls.title, pulls.unit, pulls.registry) == ("Image Pull Count [Allowed]", "cnt", None)
    assert sum(point.value for point in pulls.points) >= 1
    assert [(one.registry, sum(point.value for point in one.points)) for one in local] == [
        ("local", sum(point.value for point in pulls.points))
    ]


@pytest.mark.parametrize(
    ("query", "step", "count"),
    [
        ("since=2026-01-01T00:00:00Z&until=2026-01-01T06:00:00Z", "minute", 360),
        ("since=2026-01-01T00:00:00Z&until=2026-01-08T00:00:00Z", "hour", 168),
        ("since=2026-01-01T00:00:00Z&until=2026-12-31T00:00:00Z", "day", 364),
        ("since=2026-01-01T00:00:00&until=2026-01-02T00:00:00&step=day", "day", 1),
    ],
)
def test_the_step_is_what_fits_or_what_is_asked(viewer: Client, query: str, step: str, count: int) -> None:
    (series,) = items(viewer.get(f"/api/v1/metrics?name=containerregistry.statics.login.count&{query}"), Series)

    assert (series.step, len(series.points)) == (step, count)
    assert {point.value for point in series.points} == {0.0}


@pytest.mark.parametrize(
    "query",
    [
        "name=containerregistry.statics.none",
        "step=week",
        "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
        "since=2000-01-01T00:00:00Z&step=minute",
        "until=0001-01-01T00:00:00Z",
    ],
)
def test_a_span_that_makes_no_sense_is_refused(viewer: Client, query: str) -> None:
    viewer.get(f"/api/v1/metrics?{query}").expect(400)
