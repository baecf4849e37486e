"""A shell as a reader of the pages has it: the clients by their names, some images, and two registries.

`localhost:5000` in an example is a server without configuration, whose data is in `data` of the working folder.
`registry.example.com` is one with TLS by the authority in `ca.crt` and the user ann, whose password is in
`password.txt`. `/mnt/backup` is an empty folder, `db.tar.gz` a vulnerability database.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

from tests import make
from tests.clients.programs import BIN, Program
from tests.docs.pages import ROOT, Example
from tests.make.server import SCR
from tests.scan.feeds import feed_files

PASSWORD = "correct horse battery"  # noqa: S105 - of a server that lives for one module
_RUN_S = 240


class Shell:
    """Runs examples in one folder; what an example leaves there the next one finds."""

    def __init__(self, folder: Path, plain: make.Server, secure: make.Server) -> None:
        """Lay out the folder."""
        self.folder = folder / "work"
        self._shims = folder / "shims"
        # oras takes plain HTTP for granted on localhost, so the secure one is called by its address
        self._names = {
            re.compile(r"\blocalhost:5000\b"): plain.address.replace("127.0.0.1", "localhost"),
            re.compile(r"(?<!--name )\bregistry\.example\.com\b"): secure.address,
            re.compile(r"/mnt/backup\b"): str(folder / "backup"),
        }
        for path in (self.folder, self._shims):
            path.mkdir(parents=True)
        (self.folder / "data").symlink_to(plain.data)
        (self.folder / "ca.crt").write_text((secure.folder / "tls" / "ca.crt").read_text())
        (self.folder / "password.txt").write_text(PASSWORD + "\n")
        (self.folder / "db.tar.gz").write_bytes(feed_files.dense_archive())
        self._add("scr", f'exec env PYTHONPATH="{ROOT}" {shlex.join(SCR)} "$@"')

    def knows(self, name: str) -> bool:
        """Whether the program `name` was added."""
        return (self._shims / name).exists()

    def add(self, name: str, program: Program) -> None:
        """Make `program` what the shell runs for `name`, in the working folder and with a home of its own."""
        words = " ".join(f"'{word}'" for word in program.command)
        settings = " ".join(f"{key}='{value}'" for key, value in program.environment.items() if key != "PATH")
        self._add(name, f'exec env {settings} {words} "$@"')

    def run(self, example: Example) -> str:
        """Run every line of `example`; return what it printed. Raises AssertionError where a line fails."""
        text = example.text
        for name, real in self._names.items():
            text = name.sub(real, text)
        environment = {
            "PATH": os.pathsep.join([str(self._shims), str(BIN), os.environ.get("PATH", "")]),
            "HOME": str(self.folder),
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
        }
        ended = subprocess.run(
            ["/bin/sh", "-eux", "-c", text],
            input=PASSWORD + "\n",  # what a person types where one is asked for
            capture_output=True,
            cwd=self.folder,
            env=environment,
            timeout=_RUN_S,
            check=False,
            text=True,
        )
        said = f"{example}\n{text}\nended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        assert ended.returncode == 0, said
        assert "Traceback" not in said
        return ended.stdout

    def _add(self, name: str, line: str) -> None:
        path = self._shims / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)


def programs_of(example: Example, known: tuple[str, ...]) -> list[str]:
    """Return which of the programs `known` an example uses."""
    return [name for name in known if re.search(rf"(?m)(?:^|[|&;(] *|sudo ){name} ", example.text)]
