"""Sizes, times, addresses: what people write in `scr.toml`, and what the program counts with.

Each `parse_*` raises ValueError with what it expects in words that follow "expected"; each `*_text` gives the shortest
text that parses to the same value.
"""

import re

import msgspec

from appliance.domain.admission import is_loopback
from appliance.domain.schedule import NEVER, When, parse_cron

_SIZE = re.compile(r"(\d{1,19}) ?([A-Za-z]*)")
_DURATION = re.compile(r"(?:\d{1,13}(?:ms|[smhd]))+")
_DURATION_PART = re.compile(r"(\d+)(ms|[smhd])")
_PERCENT = re.compile(r"(\d{1,2}(?:\.\d+)?) ?%")
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\s:\[\]]*)):(?P<port>\d{1,5})")

_SIZE_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DECIMAL_UNITS = {"kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_DURATION_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_LONGEST = 36_500 * _DURATION_UNITS["d"]  # 100 years: sums with it stay far inside SQLite's integers
_SHORTEST = 100  # of an interval: a timer that fires more often is a mistake
_LARGEST = 1 << 60  # bytes; the same

MIN_RESERVE = 256 << 20  # bytes; a share of the disk is never less (DESIGN 5, "Full disk")


class Size(int):
    """A number of bytes."""


class Duration(int):
    """A length of time in milliseconds."""

    @property
    def seconds(self) -> float:
        """The same in seconds, as timers take it."""
        return self / 1000


class Interval(Duration):
    """A length of time that something is repeated after, or that a client is waited for: never none."""


class Reserve(msgspec.Struct, frozen=True):
    """Room that stays free on a disk: a share of it (`percent`), or, where that is None, `size` bytes."""

    percent: float | None
    size: Size

    def of(self, disk: int) -> int:
        """Return the bytes that stay free on a disk of `disk` bytes."""
        if self.percent is None:
            return self.size
        return max(int(disk * self.percent / 100), MIN_RESERVE)


class Address(msgspec.Struct, frozen=True):
    """Where to listen. `host` is an address or a name, "" for every address of the machine; port 0 lets it choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or is_loopback(self.host)

    def __str__(self) -> str:
        """Return `host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_size(text: str) -> Size:
    """Return the bytes of `4MiB`, `10GB` (decimal) or `512`."""
    found = _SIZE.fullmatch(text.strip())
    unit = {**_SIZE_UNITS, **_DECIMAL_UNITS}.get(found[2]) if found else None
    if found is None or unit is None or int(found[1]) * unit > _LARGEST:
        raise ValueError('a size like "4MiB" (KiB, MiB, GiB, TiB; kB, MB, GB, TB)')
    return Size(int(found[1]) * unit)


def parse_duration(text: str) -> Duration:
    """Return the milliseconds of `30s`, `24h`, `1h30m`, `400d`, `250ms` or `0`."""
    total = 0 if text == "0" else -1
    if _DURATION.fullmatch(text):
        total = sum(int(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    if not 0 <= total <= _LONGEST:
        raise ValueError('a length of time like "30s", "10m", "24h" or "400d"')
    return Duration(total)


def parse_interval(text: str) -> Interval:
    """Return the milliseconds of a length of time of at least a tenth of a second."""
    try:
        found = parse_duration(text)
    except ValueError:
        found = Duration(0)
    if found < _SHORTEST:
        raise ValueError('a length of time of at least "100ms", like "30s", "10m" or "24h"')
    return Interval(found)


def parse_reserve(text: str) -> Reserve:
    """Return the reserve of `5%` or `10GiB`."""
    if found := _PERCENT.fullmatch(text.strip()):
        return Reserve(float(found[1]), Size(0))
    try:
        return Reserve(None, parse_size(text))
    except ValueError:
        raise ValueError('a share of the disk like "5%" or a size like "10GiB"') from None


def parse_when(text: str) -> When:
    """Return the schedule of a pace ("10m"), a cron expression ("30 3 * * *"), or never ("" or "0")."""
    if text in ("", "0"):
        return NEVER
    try:
        return When(every=parse_interval(text)) if _DURATION.fullmatch(text) else parse_cron(text)
    except ValueError:
        raise ValueError(
            'a length of time like "10m", a cron expression of five fields like "30 3 * * *", or "" for never'
        ) from None


def parse_address(text: str) -> Address:
    """Return the address of `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000` or `:5000` (every address)."""
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or int(found["port"]) > 65535:
        raise ValueError('an address and port like "127.0.0.1:5000", "[::1]:5000" or ":5000"')
    host = found["six"] or found["name"] or ""
    return Address("" if host == "*" else host.lower(), int(found["port"]))


def size_text(size: int) -> str:
    """Return `size` bytes in the largest binary unit that divides it."""
    for unit, factor in reversed(_SIZE_UNITS.items()):
        if unit not in ("", "B") and size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(int(size))


def duration_text(duration: int) -> str:
    """Return `duration` milliseconds in the largest unit that divides it; hours up to two days, as people say it."""
    for unit, factor in _DURATION_UNITS.items():
        if duration and duration % factor == 0 and not (unit == "d" and duration <= 2 * factor):
            return f"{duration // factor}{unit}"
    return "0"


def when_text(when: When) -> str:
    """Return `when` as it is written."""
    return duration_text(when.every) if when.every else when.cron


def reserve_text(reserve: Reserve) -> str:
    """Return `reserve` as it is written."""
    return size_text(reserve.size) if reserve.percent is None else f"{reserve.percent:g}%"
