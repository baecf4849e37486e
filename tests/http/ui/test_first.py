"""The page of the link for the first administrator: it makes one, signs in, and is good for nothing afterwards."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.http.ui.asking import Answer, ask, token
from tests.make.server import Server

PAGE = "/first-administrator"
SECRET = "a horse of another colour"  # noqa: S105 - of the administrator of one test


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, '[server]\ntrusted_proxies = ["192.0.2.1"]\n') as running:
        yield running


def link_of(server: Server) -> str:
    found = re.search(r"http://[^/]+(/first-administrator\?secret=\S+)", "\n".join(server.log))
    assert found is not None
    return found[1]


def submit(server: Server, link: str, **fields: str) -> Answer:
    page = ask(server, link)
    key = re.search(r'name="key" value="([^"]*)"', page.text)
    assert key is not None
    return ask(server, PAGE, urlencode({"csrf": token(server, link), "key": key[1], **fields}))


def test_it_makes_the_administrator_and_signs_in(server: Server) -> None:
    link = link_of(server)
    assert ask(server, "/registries").headers["location"].startswith("/sign-in")

    made = submit(server, link, name="root", password=SECRET, again=SECRET)

    assert (made.status, made.headers["location"]) == (303, "/")
    inside = ask(server, "/users", Cookie=made.headers["set-cookie"].partition(";")[0])
    assert "root" in inside.text
    again = submit(server, link, name="more", password=SECRET, again=SECRET)
    assert again.status == 403
    assert "good no more" in again.text


def test_a_mistake_is_said_and_the_link_stays_good(server: Server) -> None:
    link = link_of(server)

    other = submit(server, link, name="root", password=SECRET, again=SECRET + "?")
    short = submit(server, link, name="root", password="short", again="short")  # noqa: S106 - that is the mistake

    assert (other.status, short.status) == (422, 400)
    assert "The two are not the same." in other.text
    assert "at least 8 characters" in short.text
    assert SECRET not in other.text
    assert submit(server, link, name="root", password=SECRET, again=SECRET).status == 303
