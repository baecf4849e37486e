"""`python -m tests.bench.stores`: encryption against none, and the S3 driver against its bare client, in turns.

Each turn does the same transfer both ways, one after the other, and the next turn the other way round; before each, the
disk has taken what the last one left to it. The first turn only warms up. A row tells the median of the turns' ratios
and, through the server, the processor time it took: on a busy machine that tells more than the clock does.
"""

import argparse
import asyncio
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import obstore

from appliance.blobstore.files import Files
from appliance.blobstore.forms import Forms
from appliance.blobstore.keyring import Keyring
from appliance.blobstore.patience import Budget
from appliance.blobstore.s3 import S3Store
from appliance.blobstore.staging import stage
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import BlobId, StoredBlob
from tests.bench.generator import ROOT, Generator
from tests.bench.jobs import Ask, Push
from tests.bench.processes import Peak, cpu_seconds
from tests.bench.registries import Scr
from tests.make.object_store import KEY, SECRET, ObjectStore
from tests.make.stores import MASTER, bucket_variables

MIB = 1 << 20
Side = TypeVar("Side")
_NAME = "bench/stores"
_SIZE = 64 * MIB
_OBJECT = 256 * MIB
_PART = 8 * MIB


class Plan(msgspec.Struct, frozen=True):
    """How much: turns of a row, and bytes of each of the sixteen blobs that move at once."""

    turns: int
    moved: int


class Pace(msgspec.Struct, frozen=True):
    """How one transfer went: bytes, seconds, and the server's processor time."""

    size: float
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.size / self.seconds


class Store(Scr):
    """scr with a store that its variables choose."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        super().__init__(folder)
        self._variables = variables

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), **self._variables}


ENCRYPTED = {"SCR_STORAGE__ENCRYPT": "on", "SCR_STORAGE__KEY__VARIABLE": "TEST_MASTER_KEY", "TEST_MASTER_KEY": MASTER}


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stores", description=__doc__)
    parser.add_argument("--turns", type=int, default=7, help="turns of each row")
    parser.add_argument(
        "--moved", type=int, default=64, metavar="MIB", help="MiB of each of sixteen blobs (full: 1024)"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache/bench", help="where data goes meanwhile")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(options.turns, options.moved * MIB)
    with tempfile.TemporaryDirectory(prefix="stores-", dir=options.folder) as folder:
        _folder_rows(plan, Path(folder))
        os.environ.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
        with ObjectStore(Path(folder) / "object-store", volume_mib=1024) as store:
            for encrypts in (False, True):
                asyncio.run(_driver_rows(plan, Path(folder), store, encrypts=encrypts))
            _memory_row(plan, Path(folder), store)
    return 0


def _folder_rows(plan: Plan, folder: Path) -> None:
    """Encrypted against plain, through the server, on a folder."""
    encrypted, plain = Store(folder / "encrypted", ENCRYPTED), Store(folder / "plain", {})
    with Generator(folder) as generator, _running(encrypted, plain):
        paths = {}
        for registry in (encrypted, plain):
            (digest,) = generator.do(Push(registry.plain, _NAME, "monolithic", _SIZE, "read")).digests
            paths[registry] = f"/v2/{_NAME}/blobs/{digest}"

        def get(registry: Store, clients: int, _turn: int) -> float:
            return generator.do_own(Ask(registry.plain, [paths[registry]], connections=clients, seconds=1.0)).bytes

        for clients in (1, 4):
            one, other = (partial(_timed, each, partial(get, each, clients)) for each in (encrypted, plain))
            _row(f"GET of 64 MiB, {clients} at once: encrypted against plain", plan.turns, one, other, 0.7)

        def push(registry: Store, count: int, turn: int) -> float:
            job = Push(registry.plain, _NAME, "monolithic", _SIZE, f"{count}-{turn}", count, count)
            return generator.do(job).bytes

        for count in (1, 4):
            one, other = (partial(_timed, each, partial(push, each, count)) for each in (encrypted, plain))
            _row(f"push of 64 MiB, {count} at once: encrypted against plain", plan.turns, one, other, 0.8)


async def _driver_rows(plan: Plan, folder: Path, store: ObjectStore, *, encrypts: bool) -> None:
    """The driver against its bare client, in this process."""
    form = "encrypted" if encrypts else "plain"
    prefix = f"bench-{form}/"
    forms = Forms(Keyring.make(bytes.fromhex(MASTER), Timestamp(0)), encrypts=encrypts)
    with ThreadPoolExecutor(8) as executor:
        driver = S3Store(store.bucket(prefix), forms, executor, Budget(64 * MIB), _Silent())
        client = store.client(prefix)
        source = folder / "source"
        blob = _stage(source, forms, driver.driver)

        async def seal(turn: int) -> float:
            staged = folder / f"staged-{turn}"
            shutil.copyfile(source, staged)
            began = time.perf_counter()
            await driver.seal(staged, msgspec.structs.replace(blob, generation=f"{turn:08x}"))
            return source.stat().st_size / (time.perf_counter() - began)

        async def put(turn: int) -> float:
            staged = folder / f"staged-{turn}"
            shutil.copyfile(source, staged)
            began = time.perf_counter()
            await obstore.put_async(
                client, f"raw{turn}", staged, use_multipart=True, chunk_size=_PART, max_concurrency=4
            )
            staged.unlink()
            return source.stat().st_size / (time.perf_counter() - began)

        await _async_row(f"S3, upload of 256 MiB, {form}: driver against client", plan.turns, seal, put, 0.8)

        async def read(_turn: int) -> float:
            began, size = time.perf_counter(), 0
            async with aclosing(driver.fresh(msgspec.structs.replace(blob, generation="00000000"))) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
            return size / (time.perf_counter() - began)

        async def get(_turn: int) -> float:
            began, size = time.perf_counter(), 0
            async for piece in (await obstore.get_async(client, "raw0")).stream(min_chunk_size=MIB):
                size += len(piece)
            return size / (time.perf_counter() - began)

        await _async_row(f"S3, download of 256 MiB, {form}: driver against client", plan.turns, read, get, 0.8)
        driver.close()
        await obstore.delete_async(client, [f"raw{turn}" for turn in range(plan.turns + 1)])
        for turn in range(plan.turns + 1):
            await driver.delete(blob.digest, f"{turn:08x}")


class _Silent:
    async def begin(self, key: str, upload: str) -> None:
        del key, upload

    async def end(self, upload: str) -> None:
        del upload


def _stage(path: Path, forms: Forms, driver: str) -> StoredBlob:
    """Write 256 MiB as an upload leaves them."""
    block = os.urandom(MIB)
    state = hashlib.sha256()
    staging = stage(Files(), path, forms)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for _ in range(_OBJECT // MIB):
        state.update(block)
        staging.write(descriptor, [block])
    digest = Digest(f"sha256:{state.hexdigest()}")
    sums = staging.finish(descriptor, digest)
    os.close(descriptor)
    return StoredBlob(BlobId(0), digest, "00000000", driver, forms.new, _OBJECT, sums)


def _memory_row(plan: Plan, folder: Path, store: ObjectStore) -> None:
    """The most memory that is held while sixteen blobs go to the bucket, encrypted, and come back."""
    variables = {**ENCRYPTED, **bucket_variables(store.endpoint), "SCR_STORAGE__S3__CACHE": "0"}
    registry = Store(folder / "moving", variables)
    with Generator(folder) as generator, _running(registry), Peak(registry.pids[0]) as peak:
        pushed = generator.do(Push(registry.plain, _NAME, "streamed", plan.moved, "moving", 16, 16))
        paths = [f"/v2/{_NAME}/blobs/{digest}" for digest in pushed.digests]
        pulled = generator.do_own(Ask(registry.plain, paths, connections=16))
    rates = f"{pushed.bytes / pushed.seconds / MIB:.0f} MiB/s in, {pulled.bytes / pulled.seconds / MIB:.0f} MiB/s out"
    verdict = "reached" if peak.size < 256 * MIB else "missed"
    _say(
        f"  memory while 16 x {plan.moved // MIB} MiB move: {peak.size / MIB:.0f} MiB (goal < 256: {verdict}); {rates}"
    )


def _timed(registry: Store, do: Callable[[int], float], turn: int) -> Pace:
    (pid,) = registry.pids
    cpu_s, began = cpu_seconds(pid), time.perf_counter()
    size = do(turn)
    return Pace(size, time.perf_counter() - began, cpu_seconds(pid) - cpu_s)


def _row(label: str, turns: int, one: Callable[[int], Pace], other: Callable[[int], Pace], goal: float) -> None:
    pairs = []
    for turn in range(turns + 1):
        found = {}
        for side in _order(one, other, turn):
            os.sync()
            found[side] = side(turn)
        pairs.append((found[one], found[other]))
    ours, theirs = (_cpu_of(side) for side in zip(*pairs[1:], strict=True))
    processor = f"; processor {ours:.2f} / {theirs:.2f} s/GiB, {100 * theirs / ours:.0f} %"
    _tell(label, [(one.rate, other.rate) for one, other in pairs[1:]], goal, processor)


def _cpu_of(paces: Sequence[Pace]) -> float:
    """Return the processor seconds a GiB: of all turns, for one is hardly longer than a tick of that clock."""
    return sum(pace.cpu_s for pace in paces) * (MIB << 10) / sum(pace.size for pace in paces)


async def _async_row(
    label: str,
    turns: int,
    one: Callable[[int], Awaitable[float]],
    other: Callable[[int], Awaitable[float]],
    goal: float,
) -> None:
    pairs = []
    for turn in range(turns + 1):
        found = {}
        for side in _order(one, other, turn):
            await asyncio.to_thread(os.sync)
            found[side] = await side(turn)
        pairs.append((found[one], found[other]))
    _tell(label, pairs[1:], goal)


def _order(one: Side, other: Side, turn: int) -> tuple[Side, Side]:
    """Return who comes first in `turn`: each of the two in every other one."""
    return (other, one) if turn % 2 else (one, other)


def _tell(label: str, pairs: list[tuple[float, float]], goal: float, more: str = "") -> None:
    ratio = statistics.median(one / other for one, other in pairs)
    ours, theirs = (statistics.median(side) / MIB for side in zip(*pairs, strict=True))
    verdict = "reached" if ratio >= goal else "missed"
    _say(f"  {label}: {ours:.0f} / {theirs:.0f} MiB/s, {100 * ratio:.0f} % (goal {100 * goal:.0f} %: {verdict}){more}")


@contextmanager
def _running(*registries: Store) -> Iterator[None]:
    for registry in registries:
        registry.start()
    try:
        yield
    finally:
        for registry in registries:
            registry.remove()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
