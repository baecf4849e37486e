"""Who has not signed in sees the form for that, and nothing else."""

import re

import argon2
import pytest

from tests.http.ui.asking import ask, send, token
from tests.make.server import Server

PASSWORD = "correct horse"  # noqa: S105 - of a user that the test makes


@pytest.fixture(scope="module")
def server_config() -> str:
    known = argon2.PasswordHasher(memory_cost=1024).hash(PASSWORD)
    return f'[[user]]\nname = "ann"\npassword_hash = "{known}"\npolicies = ["ScrFullAccess"]\n'


def sign_in(server: Server) -> str:
    answer = send(server, "/sign-in", name="ann", secret=PASSWORD, next="/registries")
    assert (answer.status, answer.headers.get("location")) == (303, "/registries"), answer.text
    return answer.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize("path", ["/", "/registries", "/registries/new"])
def test_a_stranger_is_sent_to_the_form_and_back(server: Server, path: str) -> None:
    answer = ask(server, path)

    assert answer.status == 303
    assert answer.headers["location"].startswith("/sign-in?next=")
    assert answer.text == ""


def test_the_right_password_opens_the_console_and_signing_out_closes_it(server: Server) -> None:
    cookie = sign_in(server)

    inside = ask(server, "/registries", Cookie=cookie)
    out = ask(server, "/sign-out", f"csrf={token(server, '/', Cookie=cookie)}", Cookie=cookie)

    assert "local" in inside.text
    assert out.status == 303
    assert ask(server, "/registries", Cookie=cookie).status == 303


def test_a_wrong_password_is_said_in_the_form_without_the_password(server: Server) -> None:
    answer = ask(server, "/sign-in", f"csrf={token(server, '/sign-in')}&name=ann&secret=wr0ng-secret&next=%2F")

    assert answer.status == 401
    assert 'role="alert"' in answer.text
    assert "wr0ng-secret" not in answer.text
    assert "set-cookie" not in answer.headers


def test_the_form_of_one_session_does_not_serve_another(server: Server) -> None:
    one, other = sign_in(server), sign_in(server)

    answer = ask(server, "/sign-out", f"csrf={token(server, '/', Cookie=one)}", Cookie=other)

    assert answer.status == 403


def test_signing_in_makes_a_new_session_whatever_cookie_came_along(server: Server) -> None:
    fixed = "scr=0123456789abcdef0123456789abcdef"

    answer = ask(server, "/sign-in", f"csrf={token(server, '/sign-in')}&name=ann&secret=correct+horse", Cookie=fixed)

    assert answer.status == 303
    assert not answer.headers["set-cookie"].startswith(fixed)


def test_the_page_to_go_on_to_is_one_of_ours(server: Server) -> None:
    answer = ask(server, "/sign-in?next=https%3A%2F%2Fevil.test%2F")

    assert re.findall(r'name="next" value="([^"]*)"', answer.text) == ["/"]
