"""The clients, each with a home of its own, and the small root file system that they pack."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import make
from tests.clients.programs import Program, find

_START_S = 120
_STOP_S = 60


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


@pytest.fixture(scope="module")
def buildah(home: Path) -> Program:
    """Buildah with a store of its own; vfs, because it needs nothing of the kernel."""
    store = home / "buildah"
    options = [f"--root={store / 'root'}", f"--runroot={store / 'run'}", "--storage-driver=vfs"]
    return Program("buildah", store, options)


@pytest.fixture(scope="module")
def podman(home: Path, runtime: Path) -> Program:
    """Podman with a store of its own; vfs, because it needs nothing of the kernel."""
    store = home / "podman"
    options = [f"--root={store / 'root'}", f"--runroot={runtime / 'run'}", f"--tmpdir={runtime / 'tmp'}"]
    options += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "--runtime=runc"]
    return Program("podman", store, options)


@pytest.fixture(scope="module")
def daemon_environment() -> dict[str, str]:
    """Variables that the docker daemon gets; a module that needs some has a fixture of this name."""
    return {}


@pytest.fixture(scope="module")
def docker(home: Path, runtime: Path, daemon_environment: dict[str, str]) -> Iterator[Program]:
    """The docker command, connected to a daemon that is started here and ended afterwards."""
    daemon, client = find("dockerd"), find("docker")
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    socket, settings = runtime / "docker.sock", runtime / "daemon.json"
    settings.write_text("{}")  # not the machine's own
    command = [daemon, "--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]
    command += [f"--data-root={home / 'docker-data'}", f"--exec-root={runtime}", f"--host=unix://{socket}"]
    command += [f"--pidfile={runtime / 'docker.pid'}", f"--config-file={settings}"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])  # runc and containerd lie there
    environment = {"PATH": path, "HOME": str(home), **daemon_environment}
    log = home / "dockerd.log"  # no pipe: who reads none of it stops the daemon once it is full
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stderr=file)
    try:
        _wait_until_ready(process, log)
        yield Program(client, home / "docker", [f"--host=unix://{socket}"], {"DOCKER_BUILDKIT": "0"})
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"SIGTERM did not end dockerd:\n{log.read_text()[-3000:]}")


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + _START_S
    while b"API listen on" not in log.read_bytes():
        is_on = process.poll() is None and time.monotonic() < ends
        assert is_on, f"dockerd did not start:\n{log.read_text()[-3000:]}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def helm(home: Path) -> Program:
    """Helm with a home of its own."""
    return Program("helm", home / "helm")


@pytest.fixture(scope="module")
def oras(home: Path) -> Program:
    """Oras with a home of its own."""
    return Program("oras", home / "oras")


@pytest.fixture(scope="module")
def crane(home: Path) -> Program:
    """Crane with a home of its own; a loopback address is plain HTTP to it."""
    return Program("crane", home / "crane")


@pytest.fixture(scope="module")
def regctl(home: Path, server: make.Server) -> Program:
    """Regctl with a home of its own, which knows the server as plain HTTP."""
    return Program("regctl", home / "regctl", [f"--host=reg={server.address},tls=disabled"])
