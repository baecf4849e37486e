"""What a fresh clone relies on: the locks, the set-up scripts, the targets of the Makefile, the CI's one line."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

LOCKS = Path("packaging/locks")
_PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)", re.MULTILINE)


def pinned(lock: str) -> set[str]:
    """Return the names that a lock pins."""
    return {pin["name"] for pin in _PIN.finditer((LOCKS / f"{lock}.txt").read_text())}


def asked_for(requirements: list[str]) -> set[str]:
    """Return the names of requirements, as a lock spells them."""
    return {re.split(r"[\s<>=!~;\[]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


@pytest.mark.parametrize("lock", ["run", "dev", "build", "package", "lock"])
def test_a_lock_pins_by_hash_and_names_no_host(lock: str) -> None:
    text = (LOCKS / f"{lock}.txt").read_text()

    entries = [entry for entry in re.split(r"\n(?! )", text) if entry.strip()]
    assert entries
    assert all(_PIN.match(entry) and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    groups = project["dependency-groups"]

    assert asked_for(project["project"]["dependencies"]) <= pinned("run")
    assert asked_for(groups["dev"]) <= pinned("dev")
    assert pinned("run") <= pinned("dev")
    assert asked_for(groups["build"]) <= pinned("build")
    assert asked_for(groups["package"]) <= pinned("package")
    assert asked_for(groups["lock"]) <= pinned("lock")


def test_the_fastest_interpreter_is_chosen_and_named() -> None:
    ended = subprocess.run(["packaging/setup/python.sh"], capture_output=True, text=True, timeout=60, check=True)

    microseconds, version, path = ended.stdout.split()
    assert int(microseconds) > 0
    assert (3, 11) <= tuple(map(int, version.split(".")[:2])) <= (3, 14)
    assert Path(path).is_file()


@pytest.mark.parametrize(
    "script", sorted((*Path("packaging").glob("*/*.sh"), *Path("packaging/deb").glob("p*"))), ids=lambda path: path.name
)
def test_a_set_up_script_is_a_shell_script(script: Path) -> None:
    subprocess.run(["sh", "-n", script], timeout=60, check=True)

    assert script.stat().st_mode & 0o111


def test_make_help_lists_every_target_a_person_needs() -> None:
    told = subprocess.run(["make", "help"], capture_output=True, text=True, timeout=60, check=True).stdout

    listed = {" ".join(line.split()[:2]) for line in told.splitlines()}
    wanted = "serve test check clients conformance crash fuzz bench golden lock clean help"
    wanted += " package package-pyinstaller deb image test-package"
    assert {f"make {target}" for target in wanted.split()} <= listed


def test_the_ci_runs_the_tests_and_nothing_else() -> None:
    lines = Path(".ci/run").read_text().splitlines()

    assert lines == ["#!/usr/bin/env bash", "set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make test"]
