"""The first page: how to begin, then the state of things, each part as far as the viewer may see it."""

import re
from collections.abc import Sequence

import pytest

from tests import make
from tests.http.ui.asking import ask, send, sign_in
from tests.make.accounts import Member
from tests.make.server import Server

PASSWORD = "correct horse"  # noqa: S105 - of users that the test makes


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    only_pay = {
        "effect": "allow",
        "actions": ["LoginContainerRegistry", "ViewRepository"],
        "resources": ["registry/local", "registry/local/repository/pay/*", "registry/local/repository/pay"],
    }
    return (
        Member("ann", ("ScrFullAccess",), password=PASSWORD),
        Member("bob", statements=(only_pay,), password=PASSWORD),
    )


@pytest.fixture(scope="module")
def ann(server: Server) -> str:
    return sign_in(server, "ann", PASSWORD)


def test_it_tells_how_to_push_until_something_is_there(server: Server, ann: str) -> None:
    before = ask(server, "/", Cookie=ann).text
    key = _key(server, ann)
    with server.client(user=key[0], password=key[1]) as client:
        client.push("pay/api", make.image([{"a": b"1"}]), "1")
        client.push("hidden/api", make.image([{"b": b"1"}]), "1")

    after = ask(server, "/", Cookie=ann).text

    assert f"docker push {server.address}/hello/busybox:1" in before
    assert "docker push" not in after
    assert "pay/api" in after
    assert len(re.findall("<polyline", after)) == 13


def test_who_may_see_one_repository_sees_its_pushes_and_nothing_else(server: Server, ann: str) -> None:
    del ann
    bob = sign_in(server, "bob", PASSWORD)

    text = ask(server, "/", Cookie=bob).text

    assert "pay/api" in text
    assert "hidden/api" not in text
    assert "Running now" not in text


def _key(server: Server, cookie: str) -> tuple[str, str]:
    """Return a new access key of ann, as its page shows it."""
    text = send(server, "/access-keys", Cookie=cookie, owner="user:ann", name="home").text
    key, secret = re.findall(r'<span class="mono">([^<]+)</span>', text)[:2]
    return key, secret
