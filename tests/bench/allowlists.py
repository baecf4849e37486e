"""Manifest GET behind an allowlist: ten entries and a hundred thousand take the same time."""

import http.client
import random
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tests.bench.content import Content
from tests.bench.jobs import Ask, Where
from tests.bench.measurements import Bench, Measurement, Turn, measured
from tests.bench.registries import Registry, Scr
from tests.bench.sample import Sample, Unit

_CLIENTS = 16
_SIZES = (10, 100_000)
_PATIENCE_S = 60


class _Item(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    items: list[_Item]


def all_of(content: Content) -> Iterator[Measurement]:
    """Yield a row for each length of the list. distribution has none: its turns are without one."""
    path = content.manifest_path("latest")
    for entries in _SIZES:
        yield Measurement(
            name=f"allowlist-{entries}",
            section="Behind an allowlist",
            label=f"manifest by tag, list of {entries}",
            unit=Unit.MILLISECONDS,
            turn=_asking(path, entries),
            is_quick=False,
        )


def _asking(path: str, entries: int) -> Turn:
    def turn(bench: Bench, registry: Registry) -> Sample:
        job = Ask(registry.plain, [path], "GET", _CLIENTS, bench.seconds)
        with _list(registry, entries):
            sample = measured(registry, lambda: bench.generator.do_own(job))
        return msgspec.structs.replace(sample, value=sample.p50)

    return turn


@contextmanager
def _list(registry: Registry, entries: int) -> Iterator[None]:
    """Let scr serve only who is on a list of so many entries: this machine, and addresses that nobody has."""
    if not isinstance(registry, Scr):
        yield
        return
    registry_id = (
        msgspec.json.decode(_ask(registry.plain, "GET", "/api/v1/registries?path=local"), type=_Page).items[0].id
    )
    address = f"/api/v1/registries/{registry_id}"
    chance = random.Random(entries)  # noqa: S311 - a list that is the same in every run
    lines = ["127.0.0.1", *(f"100.{_byte(chance)}.{_byte(chance)}.{_byte(chance)}" for _ in range(entries - 1))]
    chance.shuffle(lines)
    _ask(registry.plain, "PUT", f"{address}/allowlists/private", {"text": "\n".join(lines)})
    _ask(registry.plain, "PATCH", address, {"privateAccessControl": True})
    try:
        yield
    finally:
        _ask(registry.plain, "PATCH", address, {"privateAccessControl": False})


def _byte(chance: random.Random) -> int:
    return chance.randrange(256)


def _ask(where: Where, method: str, path: str, order: object = None) -> bytes:
    """Return the body of an answer of the management API. Raises AssertionError unless it is a good one."""
    connection = http.client.HTTPConnection(where.host, where.port, timeout=_PATIENCE_S)
    try:
        body = None if order is None else msgspec.json.encode(order)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    assert answer.status in (200, 201), f"{method} {path}: {answer.status} {content[:300]!r}"
    return content
