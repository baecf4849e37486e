"""Sets of addresses: which of some hundred thousand ranges an address lies in, in the time of a binary search."""

import ipaddress
import socket
from bisect import bisect_right
from collections.abc import Iterable, Iterator

import msgspec

_FAMILIES = {4: (socket.AF_INET, 32), 6: (socket.AF_INET6, 128)}
_MAPPED = 0xFFFF  # the upper 96 bits of an IPv4 address within IPv6 (RFC 4291, 2.5.5.2)


class Span(msgspec.Struct, frozen=True, order=True, gc=False):
    """Addresses from `first` to `last`, both in it, as numbers; of IPv4 or IPv6 (`version` 4 or 6)."""

    version: int
    first: int
    last: int

    @property
    def bits(self) -> int:
        """How many bits an address of this version has."""
        return _FAMILIES[self.version][1]

    def __str__(self) -> str:
        """Return the address or the network in CIDR form that `read_span` read."""
        length = self.bits - (self.last - self.first).bit_length()
        make = ipaddress.IPv4Address if self.version == 4 else ipaddress.IPv6Address
        return f"{make(self.first)}/{length}" if length < self.bits else str(make(self.first))

    def networks(self) -> "Iterator[Span]":
        """Yield the networks that make it up, as few as can be."""
        first = self.first
        while first <= self.last:
            size = first & -first or 1 << self.bits
            while first + size - 1 > self.last:
                size >>= 1
            yield Span(self.version, first, first + size - 1)
            first += size


def read_span(text: str) -> Span | None:
    """Return the addresses that `10.0.0.7`, `10.0.0.0/24` or `2001:db8::/32` mean.

    None for anything else: another form of writing them, bits set behind the mask, zone ids.
    """
    address, slash, length = text.partition("/")
    version = 6 if ":" in address else 4
    first = _number(version, address)
    bits = _FAMILIES[version][1]
    if first is None:
        return None
    if not slash:
        return Span(version, first, first)
    if not (length.isascii() and length.isdigit() and len(length) <= 3 and str(int(length)) == length):
        return None
    if int(length) > bits:
        return None
    size = 1 << (bits - int(length))
    return None if first & (size - 1) else Span(version, first, first + size - 1)


def place_of(address: str) -> tuple[int, int] | None:
    """Return version and number of an address as the system or a proxy tells it; None for what is no address.

    A zone id is taken off, and an IPv4 address that came as IPv6 is the IPv4 address that it is.
    """
    bare = address.partition("%")[0]
    version = 6 if ":" in bare else 4
    number = _number(version, bare)
    if number is None:
        return None
    return (4, number & 0xFFFF_FFFF) if version == 6 and number >> 32 == _MAPPED else (version, number)


class Ranges:
    """Addresses, kept as ranges that neither overlap nor touch."""

    __slots__ = ("_firsts", "_lasts", "overlaps")

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        """Hold every address of `spans`; `overlaps` is whether one of them was given twice."""
        self._firsts: dict[int, list[int]] = {version: [] for version in _FAMILIES}
        self._lasts: dict[int, list[int]] = {version: [] for version in _FAMILIES}
        self.overlaps = False
        given: dict[int, list[tuple[int, int]]] = {version: [] for version in _FAMILIES}
        for span in spans:
            given[span.version].append((span.first, span.last))
        for version, pairs in given.items():
            pairs.sort()
            self._merge(pairs, self._firsts[version], self._lasts[version])

    def _merge(self, pairs: list[tuple[int, int]], firsts: list[int], lasts: list[int]) -> None:
        end = -2  # the last address of the range that is being made; nothing touches it
        for first, last in pairs:
            if first > end + 1:
                firsts.append(first)
                lasts.append(last)
                end = last
                continue
            self.overlaps = self.overlaps or first <= end
            if last > end:
                lasts[-1] = end = last

    def __len__(self) -> int:
        """How many ranges are left of what was given."""
        return sum(map(len, self._firsts.values()))

    def spans(self) -> list[Span]:
        """Return the ranges, IPv4 first, each version in order."""
        return [
            Span(version, first, last)
            for version in _FAMILIES
            for first, last in zip(self._firsts[version], self._lasts[version], strict=True)
        ]

    def has(self, address: str) -> bool:
        """Whether `address` (as `place_of` takes it) is in one of the ranges."""
        place = place_of(address)
        return place is not None and self.covers(Span(place[0], place[1], place[1]))

    def covers(self, span: Span) -> bool:
        """Whether every address of `span` is in them."""
        at = bisect_right(self._firsts[span.version], span.first) - 1
        return at >= 0 and span.last <= self._lasts[span.version][at]


def _number(version: int, text: str) -> int | None:
    try:
        return int.from_bytes(socket.inet_pton(_FAMILIES[version][0], text))
    except (OSError, ValueError):  # ValueError: NUL, or what UTF-8 cannot hold
        return None
