"""Images made to harm whoever scans them, pushed to the real server: it goes on, and says what it could not read.

The parsers alone have their tests in tests/scan/test_hostile.py; here is the way through the push, the child and the
database of scans, with the memory that each may take.
"""

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import zstandard

from tests import make
from tests.crash.test_scan import children_of
from tests.http.api.conftest import List
from tests.make.client import Client
from tests.make.images import Manifest
from tests.make.server import Server
from tests.scan import tar_bytes
from tests.scan import test_hostile as hostile
from tests.services.test_scanning import APK, RELEASE, from_layers

DEADLINE_S = 440.0  # far more than any scan takes; the child runs only when nobody else wants the processor
SERVER_MEMORY = 256 << 20  # bytes resident; it takes 95 to 130 MB with all of these
CHILD_MEMORY = (1 << 30) + (256 << 20)  # bytes of address space: [scan] memory, and the program itself
_LOOK_S = 0.05
HONEST = gzip.compress(tar_bytes.entry(b"etc/os-release", RELEASE) + tar_bytes.entry(b"lib/apk/db/installed", APK))


class Watch:
    """Looks at the memory of a server and its scanning children, in a thread. Sizes are bytes, the largest seen."""

    def __init__(self, pid: int) -> None:
        self.server = self.child = self.answers = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            self.server = max(self.server, size_of(self._pid, "VmRSS"))
            self.child = max([self.child, *(size_of(child, "VmPeak") for child in children_of(self._pid))])


def packed(blocks: Callable[[], hostile.Blocks]) -> bytes:
    """Return a layer of `blocks` as gzip."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(block) for block in blocks()), packer.flush()])


def zeros_without_end() -> bytes:
    """Return 4 GiB of padding behind the end of an archive, in four megabytes."""
    start = gzip.compress(tar_bytes.entry(b"f", b"1") + tar_bytes.END)
    return start + gzip.compress(bytes(64 << 20)) * 64


def huge_members() -> bytes:
    """Return a layer of files of 2 GiB each, with the names of what detectors hold in memory."""
    body = gzip.compress(bytes(64 << 20)) * 32
    names = (b"lib/apk/db/installed", b"var/lib/rpm/rpmdb.sqlite", b"app/app.jar", b"srv/.env")
    return b"".join(gzip.compress(tar_bytes.header(name, 2 << 30)) + body for name in names)


def broken(layer: bytes) -> bytes:
    """Return `layer` with a few bytes of its middle turned round."""
    middle = len(layer) // 2
    return layer[:middle] + bytes(byte ^ 0xFF for byte in layer[middle : middle + 8]) + layer[middle + 8 :]


def text() -> bytes:
    """Return a plain layer that does not compress to nothing."""
    lines = b"".join(b"%d is not %d\n" % (number, number * number) for number in range(200_000))
    return tar_bytes.entry(b"srv/text", lines) + tar_bytes.END


def linked(count: int) -> bytes:
    """Return a chain of that many folders of symbolic links, the last one to the first, with a package behind it."""
    links = [tar_bytes.entry(b"l%d" % number, b"", b"2", b"l%d" % ((number + 1) % count)) for number in range(count)]
    behind = tar_bytes.entry(b"l0/lib/apk/db/installed", APK)
    return gzip.compress(b"".join([*links, behind, tar_bytes.END]), 1)


PARTIAL: dict[str, Callable[[], bytes]] = {
    "a gzip bomb": lambda: b"".join(hostile.a_gzip_bomb()),
    "a zstd bomb": lambda: b"".join(hostile.a_zstd_bomb()),
    "a zstd window": lambda: b"".join(hostile.a_zstd_window()),
    "huge members": huge_members,
    "zeros without end": zeros_without_end,
    "archives within archives": lambda: packed(hostile.nested_bombs),
    "JSON without end": lambda: packed(hostile.json_without_end),
    "sparse files": lambda: packed(hostile.sparse_bombs),
    "names of a mebibyte": lambda: packed(hostile.names_of_a_mebibyte),
    "sizes past the end": lambda: packed(hostile.sizes_past_the_end),
    "negative sizes": lambda: packed(hostile.negative_sizes),
    "databases that repeat themselves": lambda: packed(hostile.databases_that_repeat_themselves),
    "loops of symbolic links": lambda: packed(hostile.symlink_loops),
    "broken gzip": lambda: broken(gzip.compress(text())),
    "cut gzip": lambda: gzip.compress(text())[:-5000],
    "broken zstd": lambda: broken(zstandard.compress(text())),
    "cut zstd": lambda: zstandard.compress(text())[:-5000],
    "gzip of nothing": lambda: b"\x1f\x8b\x08" + bytes(7),
    "no archive": lambda: b"what is this?" * 1000,
}
WHOLE: dict[str, Callable[[], bytes]] = {
    "names that climb": lambda: packed(hostile.path_escape),
    "links behind links": lambda: linked(500),
    "devices": lambda: packed(hostile.devices),
}


def size_of(pid: int, field: str) -> int:
    """Return a size that the system tells of a process, in bytes; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:")), 0)


def scan(server: Server, client: Client, name: str, image: Manifest) -> tuple[Any, Watch]:
    """Push `image` and ask the server for other things until its scan has ended; return what it came to."""
    client.push("calm/app", CALM, "1")
    with Watch(server.pid) as watched:
        client.push(name, image, "1")
        found = client.get(f"/api/v1/images?path={name}").expect(200).decode(List).items[0].id
        address = f"/api/v1/images/{found}/manifests/{image.digest}/scan"
        return {**_until_ended(client, address, watched), "address": address}, watched


def _until_ended(client: Client, address: str, watched: Watch) -> Any:  # noqa: ANN401 - JSON
    begun = time.monotonic()
    while True:
        told = json.loads(client.get(address).expect(200).body)
        if told["job"] is None and told["state"] != "queued":
            return told
        assert time.monotonic() - begun < DEADLINE_S, told
        client.get_manifest("calm/app", "1").expect(200)
        client.get("/health/ready").expect(200)
        watched.answers += 1
        if told["job"] is not None:  # the child gets no processor while we ask and ask
            client.get(f"/api/v1/jobs/{told['job']}?wait=1").expect(200)


CALM = make.image([{"etc/motd": b"hello\n"}])


@pytest.fixture
def door(server: Server) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.mark.parametrize("name", PARTIAL)
def test_the_server_goes_on_and_says_what_it_could_not_read(server: Server, door: Client, name: str) -> None:
    path = f"hostile/{name.lower().replace(' ', '-')}"

    told, watched = scan(server, door, path, from_layers(PARTIAL[name](), HONEST))

    assert told["state"] == "partial", told
    assert told["limits"]
    assert all(0 < len(sentence) < 5000 for sentence in told["limits"])
    assert told["packages"] >= 2  # of the honest layer
    assert 0 < watched.server < SERVER_MEMORY
    assert watched.child < CHILD_MEMORY


@pytest.mark.parametrize("name", WHOLE)
def test_what_only_looks_dangerous_is_read_and_stays_in_its_place(server: Server, door: Client, name: str) -> None:
    path = f"hostile/{name.lower().replace(' ', '-')}"

    told, _ = scan(server, door, path, from_layers(WHOLE[name](), HONEST))
    root = json.loads(door.get(f"{told['address']}/files").expect(200).body)["items"]

    assert (told["state"], told["limits"], told["packages"]) == ("no data", [], 2)
    assert root
    assert not any(".." in one["path"] or one["path"].startswith("/") for one in root)


def test_a_million_members_are_read_within_the_same_memory(server: Server, door: Client) -> None:
    layer = packed(hostile.a_million_empty_entries)

    told, watched = scan(server, door, "hostile/million", from_layers(layer, HONEST))

    assert (told["state"], told["packages"]) == ("no data", 2)
    assert watched.answers > 0
    assert 0 < watched.server < SERVER_MEMORY
    assert 0 < watched.child < CHILD_MEMORY
