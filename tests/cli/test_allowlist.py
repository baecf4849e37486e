"""`scr allowlist`: the files, through the running server."""

import json
import stat
from pathlib import Path

import pytest

from appliance.cli.main import main
from tests.cli.conftest import Scr
from tests.make.server import Server


@pytest.fixture(scope="module")
def server_config() -> str:
    return '[[resource_group]]\nname = "build"\naddresses = ["10.9.0.0/16"]\n'


@pytest.fixture
def file(server: Server) -> Path:
    """The file of the default registry's public endpoint, gone at first."""
    path = server.data / "allowlists" / "local.public.txt"
    path.unlink(missing_ok=True)
    return path


def test_lines_come_and_go(scr: Scr, file: Path) -> None:
    added = scr("allowlist", "add", "local.public", "192.0.2.0/24", "@build", "--comment", "until March").expect(0)
    again = scr("allowlist", "add", "local.public", "192.0.2.7").expect(0)
    removed = scr("allowlist", "remove", "local.public", "@build").expect(0)

    assert file.read_text() == "192.0.2.0/24  # until March\n"
    assert "192.0.2.0/24 was added to local.public" in added.talk
    assert "access control is off" in added.talk
    assert "192.0.2.7 is in local.public already" in again.talk
    assert "@build was taken out" in removed.talk


def test_what_gets_in_by_another_line_is_said(scr: Scr, file: Path) -> None:
    file.write_text("192.0.2.0/24\n192.0.2.7\n")

    removed = scr("allowlist", "remove", "local.public", "192.0.2.7").expect(0)

    assert file.read_text() == "192.0.2.0/24\n"
    assert "it still gets in by 192.0.2.0/24 in line 1" in removed.talk


def test_a_list_is_shown_as_it_is(scr: Scr, file: Path) -> None:
    file.write_text("# the office\n192.0.2.0/24\n")

    shown = scr("allowlist", "show", "local.public").expect(0)
    told = json.loads(scr("allowlist", "show", "local.public", "--json").expect(0).out)
    listed = scr("allowlist", "show").expect(0)

    assert shown.out == "# the office\n192.0.2.0/24\n"
    assert (told["name"], told["entries"], told["callerAddress"]) == ("local.public", 1, None)
    assert ["local.public", "not", "used"] in [line.split() for line in listed.out.splitlines()]


def test_mistakes_are_told_line_by_line(scr: Scr, file: Path, tmp_path: Path) -> None:
    file.write_text("192.0.2.7\n192.0.2.7\n10.0.0.7/24\n")
    (tmp_path / "new.txt").write_text("192.0.2.7\n@bild\n")

    there = scr("allowlist", "check", "local.public").expect(1)
    new = scr("allowlist", "check", "local.public", "--file", str(tmp_path / "new.txt")).expect(1)
    refused = scr("allowlist", "add", "local.public", "192.0.2.8").expect(1)

    assert "line 3: 10.0.0.7/24 has bits set behind its mask; write 10.0.0.0/24" in there.out
    assert "line 2: 192.0.2.7 stands in line 1 already" in there.out
    assert "line 2: there is no [[resource_group]] bild in scr.toml; did you mean build?" in new.out
    assert "mend them first" in refused.talk


def test_a_file_is_checked_without_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scr.toml").write_text('[[resource_group]]\nname = "build"\n')
    Path("list.txt").write_text("@build\n::1\n")

    assert main(["allowlist", "check", "--file", "list.txt"]) == 0
    assert "2 entries, no mistake" in capsys.readouterr().err
    Path("list.txt").write_text("@other\n")
    assert main(["allowlist", "check", "--file", "list.txt", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["mistakes"][0]["line"] == 1


def _editor(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let $EDITOR be a shell script that gets the file as $1."""
    program = folder / "editor"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("EDITOR", str(program))
    monkeypatch.delenv("VISUAL", raising=False)


def test_a_list_is_edited_in_the_persons_own_editor(
    scr: Scr, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("192.0.2.7\n")
    _editor(tmp_path, 'echo "192.0.2.8 # more" >> "$1"', monkeypatch)

    edited = scr("allowlist", "edit", "local.public").expect(0)
    _editor(tmp_path, "true", monkeypatch)
    same = scr("allowlist", "edit", "local.public").expect(0)

    assert file.read_text() == "192.0.2.7\n192.0.2.8 # more\n"
    assert "local.public has 2 entries now" in edited.talk
    assert "nothing was changed" in same.talk


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('echo rubbish >> "$1"', "the list has mistakes, so nothing was changed"),
        ("exit 3", "ended with 3, so nothing was changed"),
        ('echo 192.0.2.8 >> "$1"; echo 192.0.2.9 > "$FILE"', "was changed since you read it"),
    ],
)
def test_what_was_edited_is_kept_where_it_cannot_be_saved(
    scr: Scr, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    file.write_text("192.0.2.7\n")
    monkeypatch.setenv("FILE", str(file))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _editor(tmp_path, script, monkeypatch)

    ended = scr("allowlist", "edit", "local.public").expect(1)

    assert said in ended.talk
    kept = Path(ended.talk.partition("your text is kept in ")[2].splitlines()[0])
    assert kept.read_text().startswith("192.0.2.7\n")
    assert file.read_text() in ("192.0.2.7\n", "192.0.2.9\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "local"), "'local' is no allowlist; write REGISTRY.private"),
        (("show", "nonesuch.public"), "there is no registry nonesuch"),
        (("add", "local.public", "10.0.0.7/24"), "write 10.0.0.0/24"),
        (("remove", "local.public", "203.0.113.7"), "has no line '203.0.113.7'"),
        (("check",), "name a list"),
        (("check", "--file", "/nonesuch"), "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(scr: Scr, file: Path, words: tuple[str, ...], said: str) -> None:
    assert said in scr("allowlist", *words).expect(1).talk
    assert not file.exists()


def test_the_list_of_management_is_changed_by_the_operator(scr: Scr, server: Server) -> None:
    scr("allowlist", "add", "management", "::1").expect(0)

    assert (server.data / "allowlists" / "management.txt").read_text() == "::1\n"
    told = scr("allowlist", "show", "management").expect(0)
    assert "[endpoint.management] access_control is off" in told.talk
