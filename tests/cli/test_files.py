"""Commands that work on files alone: init, check-config, version, user hash; and the contract of every command."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import __version__
from appliance.cli import main as command_line
from appliance.cli.main import COMMANDS, load, main, make_parser
from appliance.config import Sources
from appliance.config import load as load_config
from appliance.services.keys import is_password


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def helped(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what `--help` prints."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_begins_with_examples_that_parse(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = load(name)

    text = helped(capsys, name)

    assert text.startswith("examples:\n  scr ")
    assert len(command.EXAMPLES) == 2
    for example in command.EXAMPLES:
        assert example in text
        words = shlex.split(re.sub(r"[<>|].*", "", example))
        options = make_parser(name, command).parse_args(words[1:])
        assert options.command == name
    assert COMMANDS[name][0].upper() + COMMANDS[name][1:] in re.sub(r"\s+", " ", text)


def test_help_lists_every_command_and_loads_none_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = helped(capsys)

    assert text.startswith("examples:\n  scr serve\n")
    for name in COMMANDS:
        assert re.search(rf"(?m)^ +{name}\b", text), name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["srve"], "invalid choice: 'srve'"),
        (["serve", "--confg", "x"], "unrecognized arguments: --confg"),
        (["check-config", "--dat", "x"], "unrecognized arguments: --dat"),
        (["tls"], "the following arguments are required: <verb>"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    talk = capsys.readouterr().err
    assert said in talk
    assert talk.count("\n") == 1


def test_no_command_shows_the_help_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2

    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith("examples:")


def test_a_failure_of_the_program_is_one_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("appliance.cli.version.run", fail)
    monkeypatch.delenv("SCR_DEBUG", raising=False)

    assert main(["version"]) == 1

    assert capsys.readouterr().err == (
        "scr: version failed: ZeroDivisionError: a mistake of ours; run it again with SCR_DEBUG=1 to see where\n"
    )
    monkeypatch.setenv("SCR_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["version"])


def test_version_is_what_the_package_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"scr {__version__}\n"
    assert main(["version", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["version"] == __version__
    assert facts["build"] == {"tool": "source", "id": ""}
    assert facts["libraries"]["msgspec"]


def test_the_short_commands_load_nothing_of_the_server() -> None:
    code = "import sys; from appliance.cli.main import main; main(['version']); print(sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())

    for heavy in ("asyncio", "litestar", "uvicorn", "cryptography", "msgspec", "argon2", "apsw"):
        assert f"'{heavy}'" not in ended.stdout


def test_output_that_nobody_reads_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "appliance", "check-config"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment() | {"PYTHONUNBUFFERED": "1"},
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()

        assert "Traceback" not in running.stderr.read()
        assert "Exception" not in running.stderr.read()


def test_init_writes_the_reference_and_keeps_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert load_config(Sources(Path("scr.toml"))).config == load_config(Sources()).config
    Path("scr.toml").write_text("[log]\n")

    assert main(["init"]) == 1
    assert "scr.toml is there already; write elsewhere, or over it with --force" in capsys.readouterr().err
    assert Path("scr.toml").read_text() == "[log]\n"

    assert main(["init", "--force"]) == 0
    assert "# scr.toml: every setting" in Path("scr.toml").read_text()


def test_init_says_where_it_cannot_write(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "nowhere/scr.toml"]) == 1

    assert "scr: nowhere/scr.toml cannot be written: No such file or directory" in capsys.readouterr().err


def test_check_config_says_where_each_value_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Path("scr.toml").write_text('[storage]\nrecycle = "1h"\n[[listener]]\naddress = "127.0.0.1:0"\n')
    monkeypatch.setenv("SCR_LOG__LEVEL", "warn")

    assert main(["check-config", "--data-dir", "elsewhere"]) == 0

    caught = capsys.readouterr()
    lines = {line.split("  ")[0]: line.rpartition("# ")[2] for line in caught.out.split("\n") if "# " in line}
    assert lines['recycle = "1h"'] == "file scr.toml:2"
    assert lines['level = "warn"'] == "environment SCR_LOG__LEVEL"
    assert lines[f'data_dir = "{tmp_path}/elsewhere"'] == "option --data-dir"
    assert lines['grace = "1h"'] == "default"
    assert "[storage]\n" in caught.out
    assert "[[listener]]\n" in caught.out
    assert "\x1b" not in caught.out  # no colours where nobody looks
    assert caught.err == "scr.toml: nothing is wrong\n"


def test_check_config_prints_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.toml").write_text('[storage]\nrecycle = "1h"\n')

    assert main(["check-config", "--config", "other.toml", "--json", "--changed"]) == 0

    assert json.loads(capsys.readouterr().out) == {
        "file": "other.toml",
        "settings": [
            {"key": "storage.recycle", "value": '"1h"', "origin": {"kind": "file", "where": "other.toml:2"}},
        ],
    }


def test_check_config_fails_with_every_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    Path("scr.toml").write_text("[storage]\nrecycel = 1\n[server]\nlisten = [1]\n")

    assert main(["check-config"]) == 1

    talk = capsys.readouterr().err
    assert "scr: scr.toml:2: [storage] has no key recycel; did you mean recycle?\n" in talk
    assert "scr.toml:4: [server] listen: expected an address and port" in talk


def test_user_hash_makes_what_scr_toml_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret \nsecond line\n"))

    assert main(["user", "hash"]) == 0

    made = capsys.readouterr().out.strip()
    assert is_password(made, "s3cret ")
    assert not is_password(made, "s3cret")
    Path("ci.hash").write_text(made + "\n")
    Path("scr.toml").write_text('[[user]]\nname = "ci"\npassword_file = "ci.hash"\n')
    assert load_config(Sources(Path("scr.toml"))).config.user[0].password_hash == made


def test_an_empty_password_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))

    assert main(["user", "hash"]) == 1

    assert "there is no password on stdin" in capsys.readouterr().err


def test_nobody_signs_in_as_a_user_that_does_not_exist() -> None:
    assert not is_password(None, "anything")


def _environment() -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("SCR_")}
    return known | {"PYTHONPATH": str(Path(str(command_line.__spec__.origin)).parents[2])}
