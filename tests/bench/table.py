"""The figures as a table for a person: a section at a time, so that a long run shows where it is."""

from collections.abc import Iterator

from tests.bench.machine import Machine
from tests.bench.sample import Row, Series, Unit, growth

_LABEL, _VALUE, _RATIO, _GOAL, _TIMES, _CPU = 41, 8, 20, 17, 15, 9
_BUSY = 0.9  # of a processor: from there on the generator may be what is measured
_LEGEND = (
    "Each row: medians of turns that both took in alternation. Ratio: how many times better scr is, median of pairs",
    "(least-most). Goal: + reached, ++ aim reached, - missed. p50/p99: ms a request. CPU: the server's processor time,",
    "us a request (us) or s a GiB (s/G). ! the load generator used over 90 % of a processor: it may be the limit.",
)
_MARKS = {"aim reached": "++", "reached": "+", "missed": "-", "": ""}


def head(machine: Machine, notes: list[str]) -> Iterator[str]:
    """Yield the lines before the first section."""
    yield f"{machine.interpreter}; {machine.build}; {machine.loop_ms:.0f} ms for a fixed loop"
    yield (
        f"{machine.processors} x {machine.processor}, Linux {machine.kernel}, load {machine.load:.1f}, "
        f"4 KiB to the disk in {machine.sync_ms:.1f} ms"
    )
    yield f"load generator: {machine.generator}"
    yield from notes
    yield from _LEGEND


def section_head(section: str) -> Iterator[str]:
    """Yield the lines that open a section."""
    yield ""
    yield (
        section.ljust(_LABEL)
        + "scr".rjust(_VALUE)
        + "distr.".rjust(_VALUE)
        + "  unit "
        + "ratio".rjust(_RATIO)
        + "  "
        + "goal".ljust(_GOAL)
        + "p50/p99 scr".rjust(_TIMES)
        + "distr.".rjust(_TIMES)
        + "CPU scr".rjust(_CPU)
        + "distr.".rjust(_CPU)
    )


def line(row: Row) -> str:
    """Return the line of a row."""
    goal = f"{_MARKS[row.verdict]:2} {row.goal.text(row.unit)}" if row.goal.text(row.unit) else ""
    busy = "!" if max(row.ours.generator_share if row.ours.samples else 0, _share(row.theirs)) > _BUSY else ""
    return (
        f"  {row.label}{busy}".ljust(_LABEL)
        + _number(row.ours.value).rjust(_VALUE)
        + (_number(row.theirs.value) if row.theirs.samples else "-").rjust(_VALUE)
        + f"  {row.unit.value:5}"
        + _ratio(row).rjust(_RATIO)
        + "  "
        + goal.ljust(_GOAL)
        + _times(row, row.ours).rjust(_TIMES)
        + _times(row, row.theirs).rjust(_TIMES)
        + _cpu(row, row.ours).rjust(_CPU)
        + _cpu(row, row.theirs).rjust(_CPU)
    ).rstrip()


def foot(rows: list[Row]) -> Iterator[str]:
    """Yield the lines behind the last section: how lists grow, what became of the goals."""
    yield ""
    for prefix, list_ in (("tags-page", "tags list"), ("catalog-page", "catalogue")):
        for registry, size, time in growth(rows, prefix):
            word = "no worse than linear" if time <= size else "WORSE THAN LINEAR"
            yield f"A {list_} page {size} times as large takes {registry} {time:.1f} times as long: {word}."
    judged = [row for row in rows if row.verdict]
    missed = [row for row in judged if row.verdict == "missed"]
    if judged:
        yield f"{len(judged) - len(missed)} of {len(judged)} goals are reached." + (
            " Missed: " + "; ".join(f"{row.section}, {row.label}" for row in missed) + "." if missed else ""
        )
    if not any(row.theirs.samples for row in rows):
        yield "distribution was not measured: `make bench` installs it where Go is."


def _share(series: Series) -> float:
    return series.generator_share if series.samples else 0.0


def _ratio(row: Row) -> str:
    ratios = row.ratios
    if row.ratio is None:
        return "-"
    spread = f" ({min(ratios):.2f}-{max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{row.ratio:.2f}x{spread}"


def _times(row: Row, series: Series) -> str:
    if not series.samples or not series.p99 or row.unit in (Unit.SECONDS, Unit.MEMORY):
        return ""
    return f"{_number(series.p50)} / {_number(series.p99)}"


def _cpu(row: Row, series: Series) -> str:
    if not series.samples or row.unit in (Unit.SECONDS, Unit.MEMORY):
        return ""
    if row.is_by_size:
        return f"{series.cpu_per_gib_s:.2f} s/G" if series.cpu_per_gib_s else ""
    return f"{series.cpu_per_request_us:.0f} us" if series.cpu_per_request_us else ""


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
