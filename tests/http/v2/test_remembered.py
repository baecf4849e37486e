"""What was found is remembered until a commit changes its image: nobody hears what was changed before they asked."""

import msgspec
import pytest

from appliance.http.v2 import remembered
from tests import make
from tests.make.client import Client

FIRST, SECOND = make.image([{"a": b"1"}]), make.image([{"a": b"2"}])


class Item(msgspec.Struct, frozen=True):
    id: str


class Items(msgspec.Struct, frozen=True):
    items: list[Item]


@pytest.mark.parametrize("times", [1, 3])
def test_a_tag_that_moved_names_the_new_manifest_at_once(client: Client, times: int) -> None:
    name = f"moved/{times}"
    for number in range(20):
        pushed = (FIRST, SECOND)[number % 2]
        client.push(name, pushed, "latest")
        for _ in range(times):
            assert client.get_manifest(name, "latest").expect(200).body == pushed.body


def test_a_tag_that_is_deleted_is_gone_at_once(client: Client) -> None:
    for _ in range(10):
        client.push("gone/it", FIRST, "1")
        client.get_manifest("gone/it", "1").expect(200)
        client.request("DELETE", "/v2/gone/it/manifests/1").expect(202)
        client.get_manifest("gone/it", "1").expect(404)


def test_the_same_words_in_another_image_are_another_manifest(client: Client) -> None:
    client.push("one/it", FIRST, "1")
    client.push("two/it", SECOND, "1")

    for _ in range(2):
        assert client.get_manifest("one/it", "1").expect(200).body == FIRST.body
        assert client.get_manifest("two/it", "1").expect(200).body == SECOND.body


def test_a_large_manifest_is_served_though_it_is_not_remembered(client: Client) -> None:
    large = make.image([{"a": b"1"}], annotations={"filler": "x" * (remembered.LARGEST + 1)})
    client.push("large/it", large, "1")

    for _ in range(2):
        assert client.get_manifest("large/it", "1").expect(200).body == large.body


def find_id(client: Client, noun: str, query: str) -> str:
    return client.get(f"/api/v1/{noun}?{query}").expect(200).decode(Items).items[0].id


def test_an_image_that_is_deleted_is_gone_at_once_and_there_again_at_once(client: Client) -> None:
    client.push("undone/it", FIRST, "1")
    image = find_id(client, "images", "path=undone/it")
    client.get_manifest("undone/it", "1").expect(200)
    client.get_manifest("undone/it", FIRST.digest).expect(200)

    client.request("DELETE", f"/api/v1/images/{image}").expect(204)
    gone = [client.get_manifest("undone/it", name).status for name in ("1", FIRST.digest)]
    client.push("undone/it", SECOND, "1")

    assert gone == [404, 404]
    assert client.get_manifest("undone/it", "1").expect(200).body == SECOND.body
    client.get_manifest("undone/it", FIRST.digest).expect(404)


def test_a_repository_that_is_deleted_is_gone_at_once(client: Client) -> None:
    client.push("whole/it", FIRST, "1")
    client.get_manifest("whole/it", "1").expect(200)

    client.request(
        "DELETE", f"/api/v1/repositories/{find_id(client, 'repositories', 'name=whole')}?confirm=whole"
    ).expect(202, 204)

    client.get_manifest("whole/it", "1").expect(404)


def test_a_pull_limit_holds_for_what_was_just_pulled(client: Client) -> None:
    client.push("held/it", FIRST, "1")
    client.get_manifest("held/it", "1").expect(200)
    policy = b'{"policy": {"pullLimit": {"refuseUnscanned": true}}}'

    image = find_id(client, "images", "path=held/it")
    client.request("PATCH", f"/api/v1/images/{image}", policy, {"Content-Type": "application/json"}).expect(200)

    client.get_manifest("held/it", "1").expect(403)
