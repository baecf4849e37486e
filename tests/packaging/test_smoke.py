"""The program, frozen as the fallback packer freezes it: it serves, and its commands find what they need inside.

The same file is built by `make package-pyinstaller`, there of an older system's Python and into one file. `make
test-package` runs far more against either packaged file; this is what every run of the tests affords.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import __version__
from appliance.cli.main import COMMANDS
from tests import make
from tests.make.server import ROOT
from tests.packaging.console import look_at_console

FACTS = {"version": __version__, "commit": "c0ffee", "tool": "pyinstaller", "id": "", "libraries": {"cpython": "3"}}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frozen program."""
    folder = tmp_path_factory.mktemp("frozen")
    for package in ("appliance", "web"):
        shutil.copytree(ROOT / package, folder / "source" / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "source" / "appliance" / "files" / "build.json").write_text(json.dumps(FACTS))
    words = ["--noconfirm", "--log-level=WARN", f"--distpath={folder / 'out'}", f"--workpath={folder / 'work'}"]
    ended = subprocess.run(
        [sys.executable, "-m", "PyInstaller", *words, str(ROOT / "packaging" / "program" / "scr.spec")],
        env={**os.environ, "PYTHONPATH": str(folder / "source"), "SCR_ONEDIR": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return folder / "out" / "scr" / "scr"


def run(program: Path, *words: str) -> str:
    """Return what the frozen program prints; it must end with 0, without anything of this environment."""
    ended = subprocess.run([program, *words], env={}, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_it_tells_what_it_was_built_of(program: Path) -> None:
    facts = json.loads(run(program, "version", "--json"))

    assert (facts["version"], facts["commit"]) == (__version__, "c0ffee")
    assert facts["build"] == {"tool": "pyinstaller", "id": ""}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_inside(program: Path, name: str) -> None:
    assert run(program, name, "--help").startswith("examples:\n")


def test_it_serves_and_answers_its_operator(program: Path, tmp_path: Path) -> None:
    image = make.image([{"app": b"frozen"}])
    server = make.Server(tmp_path)
    server.program = (str(program), "serve")

    with server, server.client() as client:
        client.push("pay/api", image, "1")
        client.assert_holds("pay/api", "1", image)
        assert json.loads(run(program, "status", "--json", "--data-dir", str(server.data)))["version"] == __version__
        assert "pay/api" in run(program, "image", "list", "--data-dir", str(server.data))
        look_at_console(client)


def test_it_makes_what_is_made_of_files(program: Path, tmp_path: Path) -> None:
    run(program, "init", str(tmp_path / "scr.toml"))
    run(program, "tls", "init", "--data-dir", str(tmp_path / "data"))

    assert (tmp_path / "data" / "tls" / "server.crt").read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert "recycle = " in run(program, "check-config", "--config", str(tmp_path / "scr.toml"))
