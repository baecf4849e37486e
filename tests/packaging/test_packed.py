"""The whole program loads and runs without `__file__`, folders and metadata: so it can be packed into one file."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import make
from tests.make.server import ROOT
from tests.packaging.console import look_at_console

PACKED = (sys.executable, "-m", "tests.packaging.packed")


class PackedServer(make.Server):
    """`scr serve` as the packed program runs."""

    program = (*PACKED, "serve")


def run(*words: str, folder: Path = ROOT) -> str:
    """Return what a packed `scr` prints; it must end with 0."""
    ended = subprocess.run(
        [*PACKED, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_module_loads() -> None:
    files = sorted((ROOT / "appliance").rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    names.remove("appliance.__main__")

    assert len(names) > 100
    run("--import", *names)


def test_it_serves_what_is_pushed_and_answers_its_operator(tmp_path: Path) -> None:
    image = make.image([{"app": b"packed"}])
    with PackedServer(tmp_path) as server:
        with server.client() as client:
            client.push("pay/api", image, "1")
            pulled = client.get("/v2/pay/api/manifests/1")
            look_at_console(client)
        assert pulled.body == image.body
        assert '"ready"' in run("status", "--json", "--data-dir", str(server.data), folder=tmp_path)
        assert "pay/api" in run("image", "list", "--data-dir", str(server.data), folder=tmp_path)


@pytest.mark.parametrize(
    "words", [("--help",), ("version", "--json"), ("init",), ("tls", "init"), ("check-config",), ("user", "--help")]
)
def test_a_command_that_works_on_files_works(words: tuple[str, ...], tmp_path: Path) -> None:
    assert run(*words, folder=tmp_path) or words in (("init",), ("tls", "init"))
