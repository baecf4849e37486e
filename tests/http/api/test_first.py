"""The link that a start prints where nobody can sign in yet, redeemed over the API."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.api.accounts import Body, detail, send
from tests.make.client import Client
from tests.make.server import Server

SECRET = "a horse of another colour"  # noqa: S105 - of the administrator of one test
CONFIG = '[server]\ntrusted_proxies = ["192.0.2.1"]\npublic_url = "https://registry.example.com"\n'
_LINK = re.compile(r"once and within a day: (?P<base>\S+)/first-administrator\?secret=(?P<secret>[\w-]{43})$")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, CONFIG) as running:
        yield running


def link_of(server: Server) -> re.Match[str]:
    (found,) = filter(None, (_LINK.search(line) for line in server.log))
    return found


def redeem(client: Client, secret: str, name: str = "root", password: str = SECRET) -> int:
    return send(client, "POST", "first-administrator", {"secret": secret, "name": name, "password": password}).status


def test_it_makes_the_first_administrator_once_and_is_printed_no_more(server: Server, tmp_path: Path) -> None:
    link = link_of(server)

    with server.client() as client:
        client.get("/api/v1/users").expect(401)
        assert redeem(client, link["secret"][:-1] + "!") == 403
        assert redeem(client, link["secret"], password="short") == 400  # noqa: S106 - that is the mistake
        made = send(
            client, "POST", "first-administrator", {"secret": link["secret"], "name": "root", "password": SECRET}
        ).expect(201)
        assert made.headers["cache-control"] == "no-store"
        again = send(
            client, "POST", "first-administrator", {"secret": link["secret"], "name": "more", "password": SECRET}
        )
        assert "good no more" in detail(again.expect(403))
    with server.client(user="root", password=SECRET) as root:
        users = send(root, "GET", "users").expect(200).decode(Body)["items"]
    assert [(one["name"], one["policies"][0]["name"]) for one in users] == [("root", "ScrFullAccess")]
    server.stop()
    with Server(tmp_path, CONFIG) as second:
        assert [line for line in second.log if "first-administrator" in line] == []


def test_the_secret_is_in_no_line_of_the_log_and_a_page_of_elsewhere_cannot_use_it(server: Server) -> None:
    link = link_of(server)

    with server.client() as client:
        stolen = send(
            client,
            "POST",
            "first-administrator",
            {"secret": link["secret"], "name": "root", "password": SECRET},
            Origin="https://evil.example.com",
            Sec_Fetch_Site="cross-site",
        )
        assert stolen.status == 403
        assert redeem(client, link["secret"]) == 201
    assert link["base"] == "https://registry.example.com"
    assert [line for line in server.log if link["secret"] in line] == [link.string]
    assert SECRET not in "\n".join(server.log)


def test_where_this_machine_alone_is_served_there_is_none(tmp_path: Path) -> None:
    with Server(tmp_path) as server, server.client() as client:
        assert [line for line in server.log if "first-administrator" in line] == []
        assert redeem(client, "x" * 43) == 403
