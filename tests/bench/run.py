"""Take the turns: A B A B, measurement by measurement, with both registries running beside each other."""

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from tests.bench import access, allowlists, certificate, content, machine, measurements, table
from tests.bench.generator import Generator
from tests.bench.machine import Machine
from tests.bench.measurements import Bench, Measurement
from tests.bench.registries import Distribution, Registry, Scr, find_distribution
from tests.bench.sample import Row, Sample, Series

_RESERVE = 2 << 30  # bytes that stay free


class Plan(msgspec.Struct, frozen=True):
    """How much to measure. `only` keeps the measurements whose name holds one of its words; empty keeps all."""

    rounds: int = 5
    wrk_s: float = 1.0
    seconds: float = 1.0
    tags: int = 10_000
    images: int = 10_000
    memory_blob: int = 64 << 20  # bytes; so is the next one
    large_blob: int = content.LARGE
    is_quick: bool = False
    only: tuple[str, ...] = ()
    has_peer: bool = True

    def chooses(self, one: Measurement) -> bool:
        """Whether `one` is to be taken."""
        if self.only:
            return any(word in one.name for word in self.only)
        return one.is_quick or not self.is_quick


class Results(msgspec.Struct, frozen=True):
    """All of a run, as `--json` writes it."""

    machine: Machine
    plan: Plan
    notes: list[str]
    rows: list[Row]
    seconds: float
    load_after: float


def run(plan: Plan, place: Path, say: Callable[[str], None]) -> Results:
    """Measure in a new folder in `place`, which is deleted afterwards; `say` gets the table line by line.

    Raises StartFailed, GeneratorFailed, OSError.
    """
    began = time.monotonic()
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=place))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        generator = stack.enter_context(Generator(folder))
        facts = machine.look(folder, "wrk for small GETs, our own for all else" if generator.wrk else "our own")
        made = content.make(plan.tags, plan.images, plan.large_blob)
        pair = certificate.make(folder)
        registries: list[Registry] = [Scr(folder / "scr", pair)]
        if plan.has_peer and find_distribution():
            registries.append(Distribution(folder / "distribution", pair))
        notes = []
        for registry in registries:
            stack.callback(registry.stop)
            registry.start()
            at = time.monotonic()
            how = content.put(made, registry, generator)
            notes.append(f"{registry.name} was filled in {time.monotonic() - at:.0f} s: {how}.")
        for text in table.head(facts, notes):
            say(text)
        bench = Bench(generator, folder, pair, made, plan.wrk_s, plan.seconds, plan.memory_blob)
        rows = _take_all(plan, bench, registries, say)
        for text in table.foot(rows):
            say(text)
    seconds = time.monotonic() - began
    say(f"The run took {seconds:.0f} s.")
    return Results(facts, plan, notes, rows, seconds, machine.load())


def _take_all(plan: Plan, bench: Bench, registries: list[Registry], say: Callable[[str], None]) -> list[Row]:
    rows: list[Row] = []
    section = ""
    found = measurements.all_of(bench.content, plan.memory_blob)
    for one in (*allowlists.all_of(bench.content), *access.all_of(bench.content), *found):  # restarts come last
        if not plan.chooses(one):
            continue
        if one.section != section:
            section = one.section
            for text in table.section_head(section):
                say(text)
        if one.name == "moving-memory" and not _has_room(bench):
            say(f"  {one.label}: left out, for the disk has no room for it")
            continue
        row = take(one, bench, registries, one.rounds or plan.rounds)
        rows.append(row)
        say(table.line(row))
    return rows


def take(one: Measurement, bench: Bench, registries: list[Registry], rounds: int) -> Row:
    """Take the turns of one measurement, `rounds` a registry, in alternation."""
    if one.warm_up:
        for registry in registries:
            one.warm_up(bench, registry)
    samples: list[list[Sample]] = [[] for _ in registries]
    for _ in range(rounds):
        for registry, taken in zip(registries, samples, strict=True):
            taken.append(one.turn(bench, registry))
    return Row(
        name=one.name,
        section=one.section,
        label=one.label,
        unit=one.unit,
        goal=one.goal,
        ours=Series(samples[0]),
        theirs=Series(samples[1] if len(samples) > 1 else []),
        is_by_size=one.is_by_size,
    )


def _has_room(bench: Bench) -> bool:
    return shutil.disk_usage(bench.folder).free > 16 * bench.memory_blob + _RESERVE
