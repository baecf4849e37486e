"""A real object store on the loopback: SeaweedFS, one process, data in a folder of the test's own."""

import contextlib
import datetime as dt
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import obstore
import urllib3
from obstore.store import S3Store as Client

from appliance.blobstore.bucket import Bucket, Login
from appliance.blobstore.signature import EMPTY, Credentials, sign
from tests.clients.programs import find

KEY, SECRET, BUCKET = "testkey", "testsecret", "images"
_START_S = 60
_LISTENERS = ("master", "volume", "filer", "s3")


class ObjectStore:
    """`weed server -s3` with one access key; buckets are made by whoever asks for one."""

    def __init__(self, folder: Path, volumes: int = 60, volume_mib: int = 128) -> None:
        """Find the program; nothing runs yet. Skips or fails the test where it is missing.

        It has room for so many volumes of that size; what is deleted in one takes room until it is cleaned up.
        """
        self._volumes = (volumes, volume_mib)
        self._program = find("weed")
        self.folder = folder
        self.endpoint = ""
        self._process: subprocess.Popen[bytes] | None = None
        identity = {
            "name": "test",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "s3.json").write_bytes(msgspec.json.encode({"identities": [identity]}))
        self._ports = _free_ports(2 * len(_LISTENERS))

    def start(self) -> Self:
        """Start it and wait until it answers."""
        command = [self._program, "server", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        for number, name in enumerate(_LISTENERS):
            command += [f"-{name}.port={self._ports[2 * number]}", f"-{name}.port.grpc={self._ports[2 * number + 1]}"]
        command += ["-filer", "-s3", f"-s3.config={self.folder / 's3.json'}", "-master.telemetry=false"]
        volumes, size = self._volumes
        command += [f"-master.volumeSizeLimitMB={size}", f"-volume.max={volumes}"]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.endpoint = f"http://127.0.0.1:{self._ports[6]}"
        self._wait()
        self.make(BUCKET)
        obstore.put(self.client(), "warm", b"the first object makes the store lay out its volumes")
        return self

    def stop(self) -> None:
        """End it at once; its data stays, and a later start has the same address."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def bucket(self, prefix: str, *, endpoint: str = "", deadline_s: float = 20.0) -> Bucket:
        """Return the bucket, seen below `prefix`; `endpoint` may be a proxy's."""
        return Bucket(
            endpoint=endpoint or self.endpoint,
            name=BUCKET,
            prefix=prefix,
            region="us-east-1",
            path_style=True,
            login=Login("environment"),
            authority=None,
            encryption="",
            kms_key="",
            deadline_s=deadline_s,
        )

    def make(self, name: str) -> None:
        """Make the bucket `name`; each takes some of the volumes that the store can have."""
        headers = {"host": self.endpoint.partition("://")[2]}
        now = dt.datetime.now(dt.UTC)
        signed = sign("PUT", f"/{name}", [], headers, EMPTY, Credentials(KEY, SECRET), "us-east-1", now)
        answer = urllib3.PoolManager(retries=False).request("PUT", f"{self.endpoint}/{name}", headers=signed)
        assert answer.status in (200, 409), answer.data

    def client(self, prefix: str = "") -> Client:
        """Return a client of the object store's library, for whoever looks behind scr's back."""
        return client_of(self.endpoint, prefix)

    def _wait(self) -> None:
        ends = time.monotonic() + _START_S
        pool = urllib3.PoolManager(retries=False)
        while time.monotonic() < ends:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if pool.request("GET", f"{self.endpoint}/healthz").status == 200:
                    return
        raise AssertionError("the object store did not start:\n" + (self.folder / "log").read_text()[-2000:])


def client_of(endpoint: str, prefix: str = "") -> Client:
    """Return a client of the bucket at `endpoint`."""
    return Client(
        BUCKET,
        prefix=prefix or None,
        access_key_id=KEY,
        secret_access_key=SECRET,
        endpoint=endpoint,
        region="us-east-1",
        client_options={"allow_http": True},
    )


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
