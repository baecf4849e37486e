"""The command line as a user with a password: from the environment or a file, never from a flag."""

from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.services.keys import hash_password
from tests.make.server import Server


@pytest.fixture(scope="module")
def server_config() -> str:
    users = {"admin": '"ScrFullAccess"', "pusher": '"ScrPullPushOnlyAccess"'}
    return "".join(
        f'[[user]]\nname = "{name}"\npassword_hash = "{hash_password("s3cret:x")}"\npolicies = [{policies}]\n'
        for name, policies in users.items()
    )


def test_user_and_password_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCR_USER", "admin")
    monkeypatch.setenv("SCR_PASSWORD", "s3cret:x")

    assert main(["image", "list", "--server", server.url]) == 0


def test_user_and_password_come_from_a_file(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("admin:s3cret:x\n")

    assert main(["image", "list", "--server", server.url, "--credentials", str(file)]) == 0


def test_wrong_or_missing_credentials_are_told(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "credentials"
    file.write_text("admin:wrong")

    assert main(["status", "--server", server.url]) == 1
    assert main(["status", "--server", server.url, "--credentials", str(file)]) == 1
    file.write_text("no colon")
    assert main(["status", "--server", server.url, "--credentials", str(file)]) == 1

    talk = capsys.readouterr().err.splitlines()
    assert "sign in" in talk[0]
    assert "wrong" in talk[1]
    assert "one line: user:password" in talk[2]


def test_a_refusal_names_the_action_that_is_missing(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCR_USER", "pusher")
    monkeypatch.setenv("SCR_PASSWORD", "s3cret:x")

    assert main(["status", "--server", server.url]) == 1
    assert "ViewRegistry" in capsys.readouterr().err


def test_the_control_socket_needs_no_password(server: Server) -> None:
    assert main(["status", "--data-dir", str(server.data)]) == 0
