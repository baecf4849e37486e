"""The pages of allowlists: the editor says what is wrong with each line, and who would be shut out, before it saves."""

import re

import pytest

from tests.http.ui.asking import Answer, ask, send, until
from tests.make.server import Server

LIST = "/allowlists/local.private"


def save(server: Server, text: str, **fields: str) -> Answer:
    """Send the editor's form, as the page that was last loaded has it."""
    found = re.search(r'name="etag" value="([^"]*)"', ask(server, LIST).text)
    assert found is not None
    return send(server, LIST, text=text, etag=found[1].replace("&#34;", '"'), **fields)


def test_a_list_is_written_and_shown(server: Server) -> None:
    saved = save(server, "127.0.0.1 # this machine\r\n10.0.0.0/8\r\n")

    assert saved.status == 303
    assert "10.0.0.0/8" in ask(server, LIST).text
    assert LIST in ask(server, "/allowlists").text
    assert (server.data / "allowlists" / "local.private.txt").read_text() == "127.0.0.1 # this machine\n10.0.0.0/8\n"


def test_each_wrong_line_is_told_before_anything_is_saved(server: Server) -> None:
    before = ask(server, LIST).text

    checked = save(server, "10.0.0.0/8\n<b>nonsense</b>\n@nogroup\n", act="check")

    assert checked.status == 200
    assert "<strong>line 2</strong>" in checked.text
    assert "<strong>line 3</strong>" in checked.text
    assert "<b>nonsense" not in checked.text
    assert "shut your own address out" in checked.text
    assert ask(server, LIST).text == before


def test_a_list_with_a_mistake_is_not_saved_and_stays_in_the_editor(server: Server) -> None:
    answer = save(server, "nonsense-kept\n")

    assert answer.status >= 400
    assert 'role="alert"' in answer.text
    assert "nonsense-kept" in answer.text


def test_a_stale_editor_overwrites_nothing(server: Server) -> None:
    assert send(server, LIST, text="10.0.0.0/8\n", etag='"stale"').status == 412


def test_a_file_that_was_broken_by_hand_is_said_with_the_list_in_force(server: Server) -> None:
    save(server, "192.0.2.0/25\n192.0.2.128/25\n")
    (server.data / "allowlists" / "local.private.txt").write_text("broken\n")

    assert until(lambda: "the last good list" in ask(server, LIST).text and "192.0.2.0/24" in ask(server, LIST).text)


@pytest.mark.parametrize("name", ["nothing.private", "local.else", "..%2fetc", "local"])
def test_no_such_list_is_a_page_that_says_so(server: Server, name: str) -> None:
    assert ask(server, f"/allowlists/{name}").status == 404


def test_the_list_is_judged_while_it_is_typed_by_the_form_that_checks_it(server: Server) -> None:
    text = ask(server, LIST).text

    assert f'hx-post="{LIST}" hx-vals=\'{{"act": "check"}}\'' in text
    assert '<div id="h-text" data-judges="f-text" aria-live="polite">' in text
