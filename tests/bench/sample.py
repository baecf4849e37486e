"""One turn of one registry at one measurement, pairs of turns, and what they say together."""

import statistics
from enum import Enum

import msgspec


class Unit(Enum):
    """What a sample's value is. Of rates more is better, of all others less."""

    REQUESTS = "req/s"
    MEBIBYTES = "MiB/s"
    MILLISECONDS = "ms"
    SECONDS = "s"
    MEMORY = "MiB"

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self in (Unit.REQUESTS, Unit.MEBIBYTES)


class Sample(msgspec.Struct, frozen=True):
    """What one turn gave. `value` is in the unit of its measurement; p50 and p99 are ms a request; 0 is "not taken"."""

    value: float
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    cpu_s: float = 0.0  # of the server
    generator_cpu_s: float = 0.0
    cipher: str = ""


class Goal(msgspec.Struct, frozen=True):
    """What to reach: a ratio of at least `ratio`, better `aim`; or a value of at most `most`. Never a failure."""

    ratio: float = 0.0
    aim: float = 0.0
    most: float = 0.0

    def text(self, unit: Unit) -> str:
        """Return it for a table: "≥ 4x, aim 6x"."""
        if self.most:
            return f"< {self.most:g} {unit.value}"
        if self.ratio:
            return f"≥ {self.ratio:g}x" + (f", aim {self.aim:g}x" if self.aim else "")
        return ""

    def verdict(self, value: float, ratio: float | None) -> str:
        """Return "aim reached", "reached", "missed", or "" where there is no goal or nobody to compare with."""
        if self.most:
            return "reached" if value < self.most else "missed"
        if not self.ratio or ratio is None:
            return ""
        if self.aim and ratio >= self.aim:
            return "aim reached"
        return "reached" if ratio >= self.ratio else "missed"


class Series(msgspec.Struct, frozen=True):
    """All turns of one registry."""

    samples: list[Sample]

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(sample.value for sample in self.samples)

    @property
    def p50(self) -> float:
        """The median of the turns' p50, ms."""
        return statistics.median(sample.p50 for sample in self.samples)

    @property
    def p99(self) -> float:
        """The median of the turns' p99, ms."""
        return statistics.median(sample.p99 for sample in self.samples)

    @property
    def cpu_per_request_us(self) -> float:
        """The server's processor time a request, microseconds; 0 where none was taken."""
        requests = sum(sample.requests for sample in self.samples)
        return 1e6 * sum(sample.cpu_s for sample in self.samples) / requests if requests else 0.0

    @property
    def cpu_per_gib_s(self) -> float:
        """The server's processor time a GiB, seconds; 0 where no bytes moved."""
        size = sum(sample.bytes for sample in self.samples)
        return sum(sample.cpu_s for sample in self.samples) * (1 << 30) / size if size else 0.0

    @property
    def generator_share(self) -> float:
        """The share of one processor that the load generator used; near 1 it was the bottleneck itself."""
        seconds = sum(sample.seconds for sample in self.samples)
        return sum(sample.generator_cpu_s for sample in self.samples) / seconds if seconds else 0.0


class Row(msgspec.Struct, frozen=True):
    """A measurement with all its turns; `theirs` has no samples where distribution was not there."""

    name: str
    section: str
    label: str
    unit: Unit
    goal: Goal
    ours: Series
    theirs: Series
    is_by_size: bool = False  # processor time is told by GiB, not by request

    @property
    def ratios(self) -> list[float]:
        """How many times better we were in each pair of turns."""
        pairs = zip(self.ours.samples, self.theirs.samples, strict=False)
        return [
            better / worse
            for better, worse in ((a.value, b.value) if self.unit.is_rate else (b.value, a.value) for a, b in pairs)
            if worse
        ]

    @property
    def ratio(self) -> float | None:
        """The median of the ratios; None without a pair."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def verdict(self) -> str:
        """What became of the goal."""
        return self.goal.verdict(self.ours.value, self.ratio)


def growth(rows: list[Row], prefix: str) -> list[tuple[str, int, float]]:
    """Return (registry, factor of the page size, factor of the time) from the smallest to the largest page.

    The rows are those called `<prefix>-<page size>`; linear growth has equal factors. Empty with fewer than two rows.
    """
    sizes = sorted(
        (int(row.name.rpartition("-")[2]), row)
        for row in rows
        if row.name.startswith(f"{prefix}-") and row.name.rpartition("-")[2].isdigit()
    )
    if len(sizes) < 2:
        return []
    (low, first), (high, last) = sizes[0], sizes[-1]
    found = [("scr", high // low, last.ours.value / first.ours.value)]
    if first.theirs.samples and last.theirs.samples:
        found.append(("distribution", high // low, last.theirs.value / first.theirs.value))
    return found
