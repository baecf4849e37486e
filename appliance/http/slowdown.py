"""Failed sign-ins cost time: the source they come from, and a little the name they try; nobody else.

Nothing is ever locked: whoever has the right password gets in, at worst some seconds later.
"""

import ipaddress

import msgspec

FREE = 3  # failures without any wait: people mistype
SOURCE_S = 8.0  # seconds; the longest wait of a source
NAME_S = 2.0  # seconds; the longest wait for a name, which others may be attacking
_FIRST_S = 0.25  # seconds after one failure too many; doubled with each further one
_FORGET_S = 60.0  # seconds after which one failure is forgotten
_ENTRIES = 10_000  # sources and names remembered, each


class _Failures(msgspec.Struct, frozen=True):
    """How many, less what was forgotten, at a moment (seconds of any steady clock)."""

    count: float
    at: float

    def now(self, now: float) -> float:
        return max(self.count - (now - self.at) / _FORGET_S, 0.0)


class Slowdown:
    """Remembers failed sign-ins by source and by name."""

    def __init__(self) -> None:
        """Begin with nobody slowed."""
        self._sources: dict[str, _Failures] = {}
        self._names: dict[str, _Failures] = {}

    def wait_s(self, source: str, name: str, now: float) -> float:
        """Return the seconds an attempt has to wait. `source` is what `source_of` returns."""
        return max(
            _wait(self._sources.get(source), now, SOURCE_S),
            _wait(self._names.get(name), now, NAME_S),
        )

    def fail(self, source: str, name: str, now: float) -> None:
        """Count a failure."""
        _count(self._sources, source, now)
        _count(self._names, name, now)

    def succeed(self, source: str) -> None:
        """Forget the failures of a source that turned out to know a password; those of the name may be another's."""
        self._sources.pop(source, None)


def source_of(address: str) -> str:
    """Return what counts as one source: an IPv4 address, or the /64 of an IPv6 address, which one host may have."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def _wait(failures: _Failures | None, now: float, longest: float) -> float:
    if failures is None:
        return 0.0
    beyond = failures.now(now) - FREE
    return 0.0 if beyond <= 0 else float(min(_FIRST_S * 2 ** min(beyond, 16.0), longest))


def _count(known: dict[str, _Failures], key: str, now: float) -> None:
    before = known.pop(key, None)
    if len(known) >= _ENTRIES:
        del known[next(iter(known))]  # the one that failed longest ago
    known[key] = _Failures((before.now(now) if before else 0.0) + 1, now)
