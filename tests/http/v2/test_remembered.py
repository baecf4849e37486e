"""What was found is remembered until the next commit: no client hears what another one has changed before it asked."""

import pytest

from appliance.http.v2 import remembered
from tests import make
from tests.make.client import Client

FIRST, SECOND = make.image([{"a": b"1"}]), make.image([{"a": b"2"}])


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
