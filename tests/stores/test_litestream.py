"""The machine's folder is gone; the bucket is left: Litestream brings the database back, and scr serves from it."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli.main import main
from tests import make
from tests.clients.programs import find
from tests.make.proxy import Proxy
from tests.make.server import Server
from tests.stores.conftest import Start

PATIENCE_S = 60
IMAGES = {f"{number}": make.image([{"etc/number": b"%d" % number}]) for number in range(6)}


class Litestream:
    """The real program, with the configuration that scr prints."""

    def __init__(self, folder: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
        self.program = find("litestream")
        self.config = folder / "litestream.yml"
        self.database = server.data / "scr.sqlite"
        self._log = folder / "litestream.log"
        self._process: subprocess.Popen[bytes] | None = None
        capsys.readouterr()
        assert main(["storage", "litestream", "--config", str(server.config), "--data-dir", str(server.data)]) == 0
        self.config.write_text(capsys.readouterr().out)

    def start(self, socket: Path) -> None:
        """Replicate, and wait until it says so."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, "replicate", "-config", self.config], stdout=log, stderr=log
            )
        ends = time.monotonic() + PATIENCE_S
        while not socket.exists() or self.sync(socket).returncode != 0:
            assert time.monotonic() < ends, self._log.read_text()[-3000:]
            assert self._process.poll() is None, self._log.read_text()[-3000:]

    def sync(self, socket: Path) -> subprocess.CompletedProcess[bytes]:
        """Bring everything that is committed to the replica, and wait for that."""
        command = [self.program, "sync", "-wait", "-socket", str(socket), str(self.database)]
        return subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restore(self) -> None:
        """Write the database anew from the replica."""
        self.database.parent.mkdir(mode=0o700)
        command = [self.program, "restore", "-config", str(self.config), str(self.database)]
        ended = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
        assert ended.returncode == 0, ended.stderr.decode()


class Machine:
    """A server with Litestream beside it, which can be lost as a whole."""

    def __init__(self, server: Server, litestream: Litestream, socket: Path) -> None:
        self.server = server
        self.litestream = litestream
        self.socket = socket

    def push(self, *tags: str) -> None:
        with self.server.client() as client:
            for tag in tags:
                client.push("pay/api", IMAGES[tag], tag)

    def lose(self) -> None:
        """Lose the machine and its folder; begin on a new one with what the bucket holds."""
        self.server.kill()
        self.litestream.kill()
        shutil.rmtree(self.server.data)
        self.litestream.restore()
        self.server.start()

    def assert_serves(self, *tags: str) -> None:
        with self.server.client() as client:
            for tag in tags:
                assert client.get_manifest("pay/api", tag).expect(200).body == IMAGES[tag].body
                for blob in IMAGES[tag].blobs:
                    assert client.get_blob("pay/api", blob.digest).expect(200).body == blob.data


@pytest.fixture
def waits() -> bool:
    return False


@pytest.fixture
def machine(
    start: Start,
    proxy: Proxy,
    tmp_path: Path,
    waits: bool,  # noqa: FBT001 - a fixture
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Machine]:
    socket = tmp_path / "litestream.sock"
    config = f'[database]\nreplicated = true\nwait_for_replica = {str(waits).lower()}\nreplica_socket = "{socket}"\n'
    server = start(config)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)  # a variable of the vendor's that Litestream stumbles over
    litestream = Litestream(tmp_path, server, capsys)
    litestream.start(socket)
    yield Machine(server, litestream, socket)
    if waits and not socket.exists():
        litestream.start(socket)
    proxy.choose = lambda *_: ""
    server.stop()
    litestream.kill()


def test_what_was_synced_before_the_disaster_is_served_after_it(machine: Machine) -> None:
    machine.push("0", "1", "2")
    assert machine.litestream.sync(machine.socket).returncode == 0
    machine.push("3")  # within the window: it may be lost, and must break nothing

    machine.lose()

    machine.assert_serves("0", "1", "2")
    machine.push("3", "4")
    machine.assert_serves("0", "1", "2", "3", "4")


@pytest.mark.parametrize("waits", [True])
def test_with_wait_for_replica_nothing_acknowledged_is_lost(machine: Machine) -> None:
    machine.push("0", "1", "2", "3")

    machine.server.kill()
    machine.litestream.kill()
    shutil.rmtree(machine.server.data)
    machine.litestream.restore()
    machine.litestream.start(machine.socket)  # it is waited for by the first push
    machine.server.start()

    machine.assert_serves("0", "1", "2", "3")
    machine.push("4")
    machine.assert_serves("4")


@pytest.mark.parametrize("waits", [True])
def test_with_wait_for_replica_a_push_without_it_is_told_so_and_can_be_done_again(machine: Machine) -> None:
    machine.litestream.kill()
    machine.socket.unlink(missing_ok=True)
    blob = make.Blob(b"not yet replicated")
    with machine.server.client() as client:
        location = client.start_upload("pay/api")
        client.request("PATCH", location, blob.data).expect(202)
        refused = client.request("PUT", f"{location}?digest={blob.digest}", b"").expect(503)
        assert b"Litestream" in refused.body
        client.get("/health/live").expect(200)

        machine.litestream.start(machine.socket)

        client.put_blob("pay/api", blob).expect(201)


def test_scr_leaves_checkpoints_to_it(machine: Machine) -> None:
    wal = machine.server.data / "scr.sqlite-wal"
    machine.litestream.kill()
    machine.push("0", "1")
    size = wal.stat().st_size

    machine.server.stop()

    assert wal.stat().st_size >= size > 0
    machine.server.start()
    machine.assert_serves("0", "1")


def test_without_a_bucket_or_replication_there_is_nothing_to_print(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none.toml").write_text("")
    (tmp_path / "half.toml").write_text('[storage]\n[storage.s3]\nbucket = "images"\n')

    assert main(["storage", "litestream", "--config", str(tmp_path / "none.toml")]) == 1
    assert "names no bucket" in capsys.readouterr().err
    assert main(["storage", "litestream", "--config", str(tmp_path / "half.toml")]) == 1
    assert "replicated = true" in capsys.readouterr().err
