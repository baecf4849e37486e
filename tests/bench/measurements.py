"""Every measurement: its name, what it takes, its goal. A turn takes one sample of one registry."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from tests.bench.certificate import Certificate
from tests.bench.content import APP, TAGS, Content, image_name, tag_name
from tests.bench.generator import Generator
from tests.bench.jobs import Ask, Outcome, Push, Walk, Where
from tests.bench.processes import Peak, Stopwatch
from tests.bench.registries import Registry
from tests.bench.sample import Goal, Sample, Unit

MIB = 1 << 20
_MANIFEST = Goal(ratio=4, aim=6)
_BLOB = {"HTTP": Goal(ratio=1.5), "TLS": Goal(ratio=0.8)}
_PUSH = Goal(ratio=1.0, aim=1.3)
_NONE = Goal()
_CLIENTS = (1, 16)
_QUICK_MANIFESTS = {("HTTP", "GET", 1), ("HTTP", "GET", 16), ("HTTP", "HEAD", 16), ("TLS", "GET", 16)}
_QUICK_BLOBS = {("HTTP", "1 KiB", 16), ("HTTP", "64 MiB", 1), ("HTTP", "64 MiB", 16), ("TLS", "64 MiB", 1)}
_MOVED = 16  # blobs that move at once while memory is watched
_SETTLED_S = 1.0

Transport = Literal["HTTP", "TLS"]


class Bench(msgspec.Struct, frozen=True):
    """What a turn may use."""

    generator: Generator
    folder: Path
    certificate: Certificate
    content: Content
    wrk_s: float  # seconds of a turn of small GETs; wrk knows whole ones only
    seconds: float  # of a turn of our own generator
    memory_blob: int  # bytes


Turn = Callable[[Bench, Registry], Sample]


class Measurement(msgspec.Struct, frozen=True):
    """A row of the table to be. `warm_up` is done once for each registry before the first turn."""

    name: str
    section: str
    label: str
    unit: Unit
    turn: Turn
    goal: Goal = _NONE
    is_quick: bool = True  # part of the quick run
    is_by_size: bool = False
    rounds: int = 0  # 0: as many as the run has
    warm_up: Turn | None = None


def all_of(content: Content, memory_blob: int) -> list[Measurement]:
    """Return the measurements in the order of the table. Restarts come last: they end what runs."""
    found: list[Measurement] = []
    for transport in ("HTTP", "TLS"):
        found += _manifests(content, transport)
        found += _blobs(content, transport)
        found += _pushes(transport)
    found += _first_bytes(content)
    found += _lists(content)
    found += _process(content, memory_blob)
    return found


def _manifests(content: Content, transport: Transport) -> Iterator[Measurement]:
    for method in ("GET", "HEAD"):
        for by, reference in (("tag", "latest"), ("digest", content.app.digest)):
            for clients in _CLIENTS:
                path = content.manifest_path(reference)
                yield Measurement(
                    name=f"{transport}-manifest-{method}-{by}-{clients}".lower(),
                    section=f"Manifest over {transport}",
                    label=f"{method} by {by}, {_clients(clients)}",
                    unit=Unit.REQUESTS,
                    turn=_asking(transport, path, method, clients),
                    warm_up=_asking(transport, path, method, clients, 0.2),
                    goal=_MANIFEST if method == "GET" else _NONE,
                    is_quick=by == "tag" and (transport, method, clients) in _QUICK_MANIFESTS,
                )


def _blobs(content: Content, transport: Transport) -> Iterator[Measurement]:
    for size, path in (("1 KiB", content.small_path), ("64 MiB", content.large_path)):
        is_large = size == "64 MiB"
        for clients in _CLIENTS:
            yield Measurement(
                name=f"{transport}-blob-{size}-{clients}".lower().replace(" ", ""),
                section=f"Blob over {transport}",
                label=f"GET {size}, {_clients(clients)}",
                unit=Unit.MEBIBYTES if is_large else Unit.REQUESTS,
                turn=_asking(transport, path, "GET", clients, is_by_size=is_large),
                warm_up=_asking(transport, path, "GET", clients, 0.2, is_by_size=is_large),
                goal=_BLOB[transport],
                is_quick=(transport, size, clients) in _QUICK_BLOBS,
                is_by_size=is_large,
            )


def _pushes(transport: Transport) -> Iterator[Measurement]:
    kinds: list[tuple[str, str, Literal["monolithic", "chunked", "streamed"], int, int, int, Goal]] = [
        ("monolithic-1mib", "1 MiB, POST + PUT, 1 client", "monolithic", MIB, 10, 1, _NONE),
        ("monolithic-1mib-16", "1 MiB, POST + PUT, 16 clients", "monolithic", MIB, 64, 16, _NONE),
        ("monolithic-256mib", "256 MiB, POST + PUT", "monolithic", 256 * MIB, 1, 1, _PUSH),
        ("chunked-256mib", "256 MiB, PATCH of 8 MiB each", "chunked", 256 * MIB, 1, 1, _PUSH),
        ("streamed-256mib", "256 MiB, one PATCH in chunked encoding", "streamed", 256 * MIB, 1, 1, _PUSH),
    ]
    for name, label, way, size, count, clients, goal in kinds:
        if transport == "TLS" and name == "monolithic-1mib-16":
            continue
        yield Measurement(
            name=f"{transport}-push-{name}".lower(),
            section=f"Push over {transport}",
            label=label,
            unit=Unit.MEBIBYTES,
            turn=_pushing(transport, way, size, count, clients),
            goal=goal,
            is_quick=transport == "HTTP" and name in ("monolithic-1mib", "monolithic-256mib", "streamed-256mib"),
            is_by_size=True,
        )


def _first_bytes(content: Content) -> Iterator[Measurement]:
    kinds = (
        ("manifest", content.manifest_path("latest"), 100),
        ("config", content.config_path, 100),
        ("layer", content.large_path, 6),
    )
    for transport in ("HTTP", "TLS"):
        for kind, path, count in kinds:
            yield Measurement(
                name=f"{transport}-first-byte-{kind}".lower(),
                section="Time to the first byte",
                label=f"{kind}{' of 64 MiB' if kind == 'layer' else ''}, {transport}",
                unit=Unit.MILLISECONDS,
                turn=_first_byte(transport, path, count),
                is_quick=transport == "HTTP",
            )


def _lists(content: Content) -> Iterator[Measurement]:
    deep_tag = tag_name(max(0, content.tags - 200))
    deep_image = image_name(max(0, content.images - 200))
    for list_, path, last, many in (
        ("tags", f"/v2/{TAGS}/tags/list", deep_tag, f"{content.tags} tags"),
        ("catalog", "/v2/_catalog", deep_image, f"{content.images} images"),
    ):
        section = f"{'Tags list' if list_ == 'tags' else 'Catalogue'} of {many}"
        for size in (10, 100, 1000):
            yield _page(f"{list_}-page-{size}", section, f"first page of {size}", f"{path}?n={size}")
        yield _page(f"{list_}-deep-page", section, "a page of 100 near the end", f"{path}?n=100&last={last}")
        yield Measurement(
            name=f"{list_}-walk",
            section=section,
            label="the whole list in pages of 1000",
            unit=Unit.MILLISECONDS,
            turn=_walk(f"{path}?n=1000"),
        )


def _page(name: str, section: str, label: str, path: str) -> Measurement:
    return Measurement(name=name, section=section, label=label, unit=Unit.MILLISECONDS, turn=_paging(path))


def _process(content: Content, memory_blob: int) -> Iterator[Measurement]:
    section = "The process"
    yield Measurement(
        name="start-empty",
        section=section,
        label="start to first answer, new folder",
        unit=Unit.SECONDS,
        turn=_start_new,
        goal=Goal(most=1.0),
    )
    yield Measurement(
        name="idle-memory",
        section=section,
        label="resident memory, idle after start",
        unit=Unit.MEMORY,
        turn=_idle,
        goal=Goal(most=120),
        rounds=1,
    )
    yield Measurement(
        name="moving-memory",
        section=section,
        label=f"peak, {_MOVED} x {memory_blob // MIB} MiB in, then out",
        unit=Unit.MEMORY,
        turn=_moving,
        is_by_size=True,
        rounds=1,
    )
    yield Measurement(
        name="run-memory",
        section=section,
        label="resident memory after all of the above",
        unit=Unit.MEMORY,
        turn=lambda _, registry: Sample(registry.resident() / MIB),
        rounds=1,
    )
    yield Measurement(
        name="start-full",
        section=section,
        label=f"start to first answer, {content.images} images",
        unit=Unit.SECONDS,
        turn=_start_again,
        goal=Goal(most=1.0),
    )


def _asking(
    transport: Transport, path: str, method: str, clients: int, seconds: float = 0.0, *, is_by_size: bool = False
) -> Turn:
    """Return the turn that asks for one path as fast as `clients` get answers."""

    def turn(bench: Bench, registry: Registry) -> Sample:
        where = _listener(registry, transport)
        is_for_wrk = method == "GET" and not is_by_size  # it reads 8 KiB at a time: large blobs would measure it
        job = Ask(where, [path], method, clients, seconds or (bench.wrk_s if is_for_wrk else bench.seconds))
        do = bench.generator.do if is_for_wrk else bench.generator.do_own
        return measured(registry, lambda: do(job), is_by_size=is_by_size)

    return turn


def _pushing(
    transport: Transport, way: Literal["monolithic", "chunked", "streamed"], size: int, count: int, clients: int
) -> Turn:
    def turn(bench: Bench, registry: Registry) -> Sample:
        where = _listener(registry, transport)
        job = Push(where, APP, way, size, secrets.token_hex(8), count, clients)
        return measured(registry, lambda: bench.generator.do(job), is_by_size=True)

    return turn


def _first_byte(transport: Transport, path: str, count: int) -> Turn:
    """Return the turn that takes the p50 of `count` answers, one at a time, each read to its end."""

    def turn(bench: Bench, registry: Registry) -> Sample:
        job = Ask(_listener(registry, transport), [path] * count)
        outcome = bench.generator.do_own(job)
        return Sample(outcome.first_p50, outcome.requests, p50=outcome.first_p50, p99=outcome.first_p99)

    return turn


def _paging(path: str) -> Turn:
    def turn(bench: Bench, registry: Registry) -> Sample:
        job = Ask(registry.plain, [path], seconds=bench.seconds / 2)
        sample = measured(registry, lambda: bench.generator.do_own(job))
        return msgspec.structs.replace(sample, value=sample.p50)

    return turn


def _walk(path: str) -> Turn:
    def turn(bench: Bench, registry: Registry) -> Sample:
        sample = measured(registry, lambda: bench.generator.do_own(Walk(registry.plain, path)))
        return msgspec.structs.replace(sample, value=sample.seconds * 1e3)

    return turn


def _start_new(bench: Bench, registry: Registry) -> Sample:
    fresh = _fresh(bench, registry)
    try:
        return Sample(fresh.start())
    finally:
        fresh.remove()


def _start_again(bench: Bench, registry: Registry) -> Sample:
    del bench
    registry.stop()
    return Sample(registry.start())


def _idle(bench: Bench, registry: Registry) -> Sample:
    fresh = _fresh(bench, registry)
    try:
        fresh.start()
        time.sleep(_SETTLED_S)
        return Sample(fresh.resident() / MIB)
    finally:
        fresh.remove()


def _moving(bench: Bench, registry: Registry) -> Sample:
    """Push sixteen blobs at once, then pull them at once, and tell the most memory that was held meanwhile."""
    fresh = _fresh(bench, registry)
    try:
        fresh.start()
        push = Push(fresh.plain, APP, "streamed", bench.memory_blob, "moving", _MOVED, _MOVED)
        with Peak(fresh.pids[0]) as peak, Stopwatch(*fresh.pids) as watch:
            pushed = bench.generator.do(push)
            paths = [f"/v2/{APP}/blobs/{digest}" for digest in pushed.digests]
            pulled = bench.generator.do_own(Ask(fresh.plain, paths, connections=_MOVED))
        moved = pushed.bytes + pulled.bytes
        return Sample(peak.size / MIB, 2 * _MOVED, moved, watch.seconds, cpu_s=watch.cpu_s)
    finally:
        fresh.remove()


def _fresh(bench: Bench, registry: Registry) -> Registry:
    return type(registry)(bench.folder / f"fresh-{registry.name}")


def _listener(registry: Registry, transport: Transport) -> Where:
    return registry.tls if transport == "TLS" else registry.plain


def measured(registry: Registry, do: Callable[[], Outcome], *, is_by_size: bool = False) -> Sample:
    """Return what came of `do`, with the processor time of `registry` meanwhile."""
    with Stopwatch(*registry.pids) as watch:
        outcome = do()
    rate = outcome.bytes / MIB if is_by_size else outcome.requests
    return Sample(
        value=rate / outcome.seconds,
        requests=outcome.requests,
        bytes=outcome.bytes,
        seconds=outcome.seconds,
        p50=outcome.p50,
        p99=outcome.p99,
        cpu_s=watch.cpu_s,
        generator_cpu_s=outcome.cpu_s,
        cipher=outcome.cipher,
    )


def _clients(number: int) -> str:
    return f"{number} client" if number == 1 else f"{number} clients"
