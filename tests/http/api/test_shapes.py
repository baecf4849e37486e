"""Requests of a wrong shape: every mistake is a 400 in words of the API."""

from typing import Any

import msgspec
import pytest

from appliance.http.api.app import describe_api, no_parts, provide
from tests.http.api.conftest import problem
from tests.make.client import Client


def test_no_field_of_a_body_is_called_like_a_part_that_handlers_ask_for() -> None:
    """Litestar takes a mistake in such a field for one of the part, and answers 500."""
    document = msgspec.json.decode(describe_api(), type=dict[str, Any])
    parts = {*provide(no_parts()), "data"}
    fields = {name for shape in document["components"]["schemas"].values() for name in shape.get("properties", {})}

    assert parts & fields == set()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"name": "\xff"}', "no text in UTF-8"),
        (b"", "needs a body of JSON"),
        (b"[", "truncated"),
        (b'{"name": "pay", "port": 70000}', "port"),
        (b'{"name": "pay", "description": "' + b"x" * 2001 + b'"}', "2000"),
    ],
)
def test_a_body_of_a_wrong_shape_is_a_400_that_says_what_is_wrong(admin: Client, body: bytes, told: str) -> None:
    reply = admin.request("POST", "/api/v1/registries", body, {"Content-Type": "application/json"}).expect(400)

    assert told in problem(reply.body).detail


def test_a_mistake_in_a_parameter_is_told_by_the_name_the_api_has_for_it(admin: Client) -> None:
    reply = admin.get("/api/v1/registries?resourceTag=" + "x" * 401).expect(400)

    assert problem(reply.body).detail.startswith("resourceTag: ")
