"""Completion and manual pages, generated from the command line: what bash offers, what man is given."""

import re
import subprocess

import pytest

from appliance import assets
from appliance.cli.main import COMMANDS, main


@pytest.fixture
def bash(capsys: pytest.CaptureFixture[str]) -> str:
    """The script for bash."""
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


def offered(script: str, *words: str) -> list[str]:
    """Return what bash offers after `words`, of which the last is being typed."""
    typed = " ".join(f"'{word}'" for word in words)
    asked = f'{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _scr; printf "%s\\n" "${{COMPREPLY[@]}}"'
    ended = subprocess.run(["bash", "-u", "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("scr", "check"), ["check-config"]),
        (("scr", "image", "exp"), ["export"]),
        (("scr", "tag", "delete", "--dry"), ["--dry-run"]),
        (("scr", "--json", "tag", "li"), ["list"]),
        (("scr", "completion", ""), ["bash", "fish", "zsh", "--help"]),
        (("scr", "serve", "--config", "s"), []),  # a file: bash's own completion takes over
    ],
)
def test_bash_offers_what_can_follow(bash: str, words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(bash, *words) == expected


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_every_command_is_known_to_every_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    script = capsys.readouterr().out
    assert [name for name in COMMANDS if not re.search(rf"(?m)\b{name}\b", script)] == []
    assert "--data-dir" in script or "-l data-dir" in script


def test_the_manual_has_every_command_and_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual"]) == 0
    commands = capsys.readouterr().out.replace("\\-", "-")
    assert main(["manual", "scr.toml"]) == 0
    settings = capsys.readouterr().out.replace("\\-", "-")

    assert [name for name in COMMANDS if f"\n.SS scr {name}" not in commands] == []
    assert [
        line for line in assets.read("appliance", "files/scr.toml").decode().splitlines() if line not in settings
    ] == []


@pytest.mark.parametrize("page", ["scr", "scr.toml"])
def test_man_finds_no_command_in_the_text(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manual", page]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f".TH {page.upper()} ")
    assert {line.split()[0] for line in lines if line.startswith((".", "'"))} <= {
        ".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".I", ".nf", ".fi",
    }  # fmt: skip
