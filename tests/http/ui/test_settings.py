"""The page of settings: what is in force, where it comes from, what waits for a restart."""

import pytest

from tests.http.ui.asking import ask, until
from tests.make.server import Server

CONFIG = '[storage]\nrecycle = "2h"\n[log]\nlevel = "info"\n'


@pytest.fixture(scope="module")
def server_config() -> str:
    return CONFIG


def test_a_key_of_the_file_is_named_with_its_line(server: Server) -> None:
    text = ask(server, "/settings?source=file").text

    assert f"{server.config}:2" in text
    assert "recycle" in text
    assert "uploads" not in text


def test_an_option_and_a_default_are_told_apart(server: Server) -> None:
    text = ask(server, "/settings?name=server.listen").text

    assert "--listen" in text
    assert "at the next start" in text


def test_what_waits_for_a_restart_is_not_shown_as_in_force(server: Server) -> None:
    server.config.write_text(CONFIG + '[endpoint.public]\nlisten = ["127.0.0.1:7"]\n')

    assert until(lambda: "These wait for a restart" in ask(server, "/settings").text)


def test_a_file_that_is_refused_is_said_loudly(server: Server) -> None:
    server.config.write_text(CONFIG + "[storage\n")

    assert until(lambda: "The newest scr.toml is not in force" in ask(server, "/settings").text)


def test_a_filter_that_nothing_matches_leads_back(server: Server) -> None:
    assert "No setting matches" in ask(server, "/settings?name=nothing").text
