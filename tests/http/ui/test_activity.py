"""The pages of what happened: filters, refusals, traffic, files to take away; foreign words are only shown."""

import csv
import io
import json
import re
from urllib.parse import urlencode

import pytest

from tests import make
from tests.http.ui.asking import ask, send, token, until
from tests.make.server import Server

HOSTILE = "<img src=x onerror=alert(1)> javascript:alert(1) <svg/onload=alert(1)>"


@pytest.fixture(scope="module")
def busy(server: Server) -> Server:
    """A server where a registry was made by a client with a hostile name."""
    fields = {"csrf": token(server), "name": "busy", "visibility": "private", "endpoint": "private"}
    body = urlencode({**fields, "description": HOSTILE})
    assert ask(server, "/registries", body, User_Agent=HOSTILE).status == 303
    return server


def test_what_was_changed_is_listed_by_who_what_and_when(busy: Server) -> None:
    shown = ask(busy, "/activity?kind=registry.created&registry=busy").text
    later = ask(busy, "/activity?kind=registry.created&since=2990-01-01T00:00").text

    assert "registry.created" in shown
    assert "<td>registry.created" not in later
    assert "Nothing has happened yet" in later


@pytest.mark.parametrize("address", ["/activity", "/activity?registry=busy", "/registries"])
def test_foreign_words_are_shown_as_text(busy: Server, address: str) -> None:
    text = ask(busy, address).text.replace('<img src="/static/', "")
    assert "&lt;img src=x onerror" in text
    assert "<img" not in text
    assert "<svg/" not in text
    assert 'href="javascript' not in text


def test_a_time_that_is_none_is_left_out_and_the_rest_holds(busy: Server) -> None:
    answer = ask(busy, "/activity?since=yesterday&kind=registry.created")

    assert answer.status == 200
    assert "registry.created" in answer.text


def test_all_of_it_goes_into_a_file(busy: Server) -> None:
    lines = ask(busy, "/activity/export?format=jsonl&kind=registry.created")
    table = ask(busy, "/activity/export?format=csv&kind=registry.created")

    told = [json.loads(line) for line in lines.text.splitlines()]
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert "attachment" in lines.headers["content-disposition"]
    assert [one["kind"] for one in told] == [one["kind"] for one in rows]
    assert "busy" in [one["registry"] for one in told]


def test_no_cell_of_a_table_is_a_formula(busy: Server) -> None:
    ask(busy, "/registries", f"csrf={token(busy)}&name=formula&visibility=private&endpoint=private", User_Agent="=1+1")

    rows = list(csv.DictReader(io.StringIO(ask(busy, "/activity/export?format=csv&registry=formula").text)))

    assert [row["client"] for row in rows] == ["'=1+1"]


def test_pulls_and_pushes_are_listed_where_they_are_kept(busy: Server) -> None:
    before = ask(busy, "/activity/traffic").text
    place = re.search(r'href="(/registries/[^"]+)">local<', ask(busy, "/registries").text)
    assert place is not None
    etag = re.search(r'name="etag" value="([^"]*)"', ask(busy, place[1]).text)
    assert etag is not None
    fields = {"visibility": "private", "endpoint": "private", "log_traffic": "on"}
    assert send(busy, place[1], etag=etag[1].replace("&#34;", '"'), **fields).status == 303
    assert "scr logs --registry local --on" in before
    assert until(lambda: "pay/api:1" in _pushed(busy))


def _pushed(server: Server) -> str:
    """Push, and return the page of pushes: the log begins a moment after it was turned on."""
    with server.client() as client:
        client.push("pay/api", make.image([{"a": b"1"}]), "1")
    return ask(server, "/activity/traffic?kind=manifest.pushed").text
