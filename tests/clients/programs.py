"""Programs the round trips drive: found by name, missed by name, run in a home of their own."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".cache" / "bin"  # where packaging/setup/clients.sh puts them
_RUN_S = 240  # a busy two-core machine takes its time


def find(name: str) -> str:
    """Return the path of the program `name`.

    Where it is missing: the test is skipped on a person's machine and fails on CI, which must not lose it silently.
    """
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        _miss(name)
    return found


def need_file(name: str) -> Path:
    """Return the path of a file that the set-up makes (`name` from the project's root), or tell as `find` does."""
    path = ROOT / name
    if not path.is_file():
        _miss(name)
    return path


def _miss(name: str) -> NoReturn:
    message = f"{name} is not here; `make setup-clients` brings what it can and says what it cannot"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


class Program:
    """A client with the options it always gets, in a folder that is its home."""

    def __init__(
        self, name: str, home: Path, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        """Find the program; raises as `find` does."""
        self.command = [find(name), *options]
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        docker = home / ".docker"
        docker.mkdir(exist_ok=True)
        (docker / "config.json").write_text("{}")
        (home / "auth.json").write_text("{}")
        self.environment = {
            "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]),
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "DOCKER_CONFIG": str(docker),
            "REGISTRY_AUTH_FILE": str(home / "auth.json"),
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
            **(environment or {}),
        }

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run it and return what it printed. Raises AssertionError with all it said unless it ends with 0."""
        ended = self._run(arguments, stdin)
        assert ended.returncode == 0, f"{self._told(arguments, ended)}"
        return ended.stdout.decode()

    def refused(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run it and return what it complained. Raises AssertionError when it succeeds."""
        ended = self._run(arguments, stdin)
        assert ended.returncode != 0, f"{self._told(arguments, ended)}"
        return ended.stderr.decode() + ended.stdout.decode()

    def _run(self, arguments: Sequence[str | Path], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=self.home,
            env=self.environment,
            timeout=_RUN_S,
            check=False,
        )

    def _told(self, arguments: Sequence[str | Path], ended: subprocess.CompletedProcess[bytes]) -> str:
        words = " ".join(map(str, [*self.command, *arguments]))
        return f"{words}\nended with {ended.returncode}\n{ended.stdout.decode()}\n{ended.stderr.decode()}"
