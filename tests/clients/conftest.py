"""What the round trips share: a home folder, a small root file system, a second client to compare with."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make
from tests.clients.programs import Program, find


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the programs of one module."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Path]:
    """A folder with a short name: sockets below it have 107 bytes for their path, podman's run root 50."""
    folder = Path(tempfile.mkdtemp(prefix="scr-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def rootfs(home: Path) -> Path:
    """A tar archive that runs: busybox and a greeting."""
    busybox = Path(find("busybox")).read_bytes()
    archive = home / "rootfs.tar"
    files: dict[str, bytes | make.Entry] = {
        "bin": make.folder(),
        "bin/busybox": make.executable(busybox),
        "bin/cat": make.link("busybox"),
        "bin/sh": make.link("busybox"),
        "greeting": b"hello from busybox\n",
    }
    archive.write_bytes(make.tar(files))
    return archive


@pytest.fixture(scope="module")
def skopeo(home: Path) -> Program:
    """Skopeo, the client that most round trips are compared with."""
    return Program("skopeo", home / "skopeo")
