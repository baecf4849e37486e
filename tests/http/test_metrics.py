"""What is counted, as Prometheus and the API tell it; each test has a registry's worth of counts of its own."""

import re

import pytest

from tests import make
from tests.make.client import Client

IMAGE, OTHER = make.image([{"a": b"1"}]), make.image([{"b": b"2"}])
INDEX = make.index([IMAGE, OTHER])


def counts(client: Client) -> dict[str, float]:
    """Return every series of /metrics with its value."""
    text = client.get("/metrics").expect(200).body.decode()
    return {name: float(value) for name, value in re.findall(r"(?m)^(\w+(?:\{[^\n]*\})?) (\S+)$", text)}


class Change:
    """What the counters grew by since the last look."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._before = counts(client)

    def of(self, *names: str) -> list[int]:
        now = counts(self._client)
        found = [int(now[self.name(one)] - self._before.get(self.name(one), 0)) for one in names]
        self._before = now
        return found

    @staticmethod
    def name(one: str) -> str:
        family, _, outcome = one.partition(" ")
        return f'scr_{family}_total{{registry="local"' + (f',outcome="{outcome}"}}' if outcome else "}")


@pytest.fixture
def change(client: Client) -> Change:
    return Change(client)


def test_an_index_with_a_child_is_one_pull(client: Client, change: Change) -> None:
    client.push("pay/index", INDEX, "1")
    change.of("image_pulls allowed")

    client.get_manifest("pay/index", "1").expect(200)
    client.get_manifest("pay/index", IMAGE.digest).expect(200)

    assert change.of("image_pulls allowed") == [1]


def test_a_pull_is_a_get_that_was_answered_with_the_manifest(client: Client, change: Change) -> None:
    client.push("pay/single", IMAGE, "1")
    change.of("image_pulls allowed")

    client.head("/v2/pay/single/manifests/1").expect(200)
    client.get_manifest("pay/single", "none").expect(404)
    client.get("/v2/pay/single/manifests/1", {"If-None-Match": f'"{IMAGE.digest}"'}).expect(304)
    assert change.of("image_pulls allowed") == [0]
    client.get_manifest("pay/single", "1").expect(200)
    client.get_manifest("pay/single", IMAGE.digest).expect(200)
    assert change.of("image_pulls allowed") == [2]


def test_an_index_with_its_children_is_one_push_and_one_image(client: Client, change: Change) -> None:
    client.push("count/index", INDEX, "1")

    assert change.of("image_pushes allowed", "images_created", "repositories_created") == [1, 1, 1]


def test_what_is_deleted_is_counted(client: Client, change: Change) -> None:
    client.push("gone/api", IMAGE, "1", "2", "3")
    client.push("gone/api", OTHER, "4")
    change.of("tags_deleted")

    client.delete("/v2/gone/api/manifests/4").expect(202)
    client.delete(f"/v2/gone/api/manifests/{IMAGE.digest}").expect(202)
    client.delete(f"/v2/gone/api/manifests/{OTHER.digest}").expect(202)

    assert change.of("tags_deleted") == [1 + 3 + 1]


def test_requests_are_counted_by_route_with_their_times_and_bytes(client: Client) -> None:
    client.push("pay/meter", IMAGE, "1")
    before = counts(client)

    client.get_manifest("pay/meter", "1").expect(200)
    client.get_blob("pay/meter", IMAGE.blobs[0].digest).expect(200)
    client.get("/v2/pay/meter/nothing").expect(404)
    client.request("BREW", "/v2/pay/meter/manifests/1")

    after = counts(client)
    grown = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    assert grown['scr_requests_total{route="manifests",method="GET",status="2xx"}'] == 1
    assert grown['scr_request_seconds_count{route="manifests",method="GET"}'] == 1
    assert grown['scr_request_seconds_bucket{route="manifests",method="GET",le="+Inf"}'] == 1
    assert grown['scr_sent_bytes_total{route="blobs"}'] == len(IMAGE.blobs[0].data)
    assert grown['scr_requests_total{route="other",method="GET",status="4xx"}'] == 1


def test_every_series_is_well_formed_and_belongs_to_a_family(client: Client) -> None:
    text = client.get("/metrics").expect(200).body.decode()

    types = dict(re.findall(r"(?m)^# TYPE (\w+) (counter|gauge|histogram)$", text))
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP \w+ [A-Z1].*\.|TYPE \w+ (counter|gauge|histogram))", line), line
            continue
        found = re.fullmatch(r'(\w+)(?:\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? [0-9.e+-]+', line)
        assert found, line
        family = re.sub(r"_(bucket|sum|count)$", "", found[1]) if found[1] not in types else found[1]
        assert family in types, line
        assert types[family] != "counter" or family.endswith("_total"), line
