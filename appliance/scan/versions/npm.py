"""npm: strict semantic versions, and ranges as node-semver reads them.

A pre-release satisfies a range only where a term names a pre-release of the same three numbers.
"""

import functools
import re
from collections.abc import Callable

import msgspec

from appliance.scan.versions.constraint import Test, satisfies_by
from appliance.scan.versions.generic import pre_release_key
from appliance.scan.versions.order import CACHED, Key, Scheme, VersionInvalid, cached_key, check_length

_NUMBER = r"(?:0|[1-9]\d*)"
_IDENTIFIER = rf"(?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
_TAIL = rf"(?:-(?P<pre>{_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_VERSION = re.compile(rf"v?(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER}){_TAIL}", re.ASCII)
_PARTIAL = re.compile(rf"v?(?P<major>\d+|[xX*])(?:\.(?P<minor>\d+|[xX*]))?(?:\.(?P<patch>\d+|[xX*]))?{_TAIL}", re.ASCII)
_ANY = frozenset({"x", "X", "*", None})

_PLACES = 3  # major, minor, patch

Numbers = tuple[int, int, int]


class _Bound(msgspec.Struct, frozen=True):
    """What stands behind an operator: `known` of the three numbers are given, the others are zero here."""

    numbers: Numbers
    known: int
    pre_release: str

    @property
    def low(self) -> Key:
        return _key_of(self.numbers, self.pre_release)

    def raised(self, place: int) -> Numbers:
        """Return the numbers with the one at `place` raised and those behind it zero."""
        return _pad((*self.numbers[:place], self.numbers[place] + 1))


def _pad(numbers: tuple[int, ...]) -> Numbers:
    major, minor, patch = (*numbers, 0, 0, 0)[:_PLACES]
    return major, minor, patch


def _key_of(numbers: Numbers, pre_release: str) -> Key:
    return (numbers, pre_release_key(pre_release))


@functools.lru_cache(maxsize=CACHED)
def _read(text: str) -> tuple[Numbers, str]:
    found = _VERSION.fullmatch(check_length(text).strip())
    if found is None:
        raise VersionInvalid(f"{text[:40]!r} is no semantic version")
    return (int(found["major"]), int(found["minor"]), int(found["patch"])), found["pre"] or ""


def _parse(text: str) -> Key:
    return _key_of(*_read(text))


key = cached_key(_parse)


def _read_bound(text: str) -> _Bound:
    found = _PARTIAL.fullmatch(check_length(text))
    if found is None:
        raise VersionInvalid(f"{text[:40]!r} is no version of an npm range")
    given: list[int] = []
    for name in ("major", "minor", "patch"):
        if found[name] in _ANY:
            break
        given.append(int(found[name]))
    return _Bound(_pad(tuple(given)), len(given), (found["pre"] or "") if len(given) == _PLACES else "")


def _term(bound: _Bound, test: Callable[[Key], bool], *, within: Numbers | None = None) -> Test:
    """Guard `test` by the rule of pre-releases.

    `within`: for "~" and "^", a pre-release lies below these numbers' own pre-releases.
    """

    def holds(version: str) -> bool:
        numbers, pre_release = _read(version)
        if pre_release and (not bound.pre_release or (within is None and numbers != bound.numbers)):
            return False
        if pre_release and within is not None and numbers != bound.numbers:
            return False
        return test(key(version))

    return holds


def _equal(text: str) -> Test:
    bound = _read_bound(text)
    if bound.known == _PLACES:
        low = bound.low
        return lambda version: key(version) == low
    return _between(bound, bound.known - 1)


def _between(bound: _Bound, place: int) -> Test:
    low = bound.low
    if place < 0:  # "*"
        return _term(bound, lambda _key: True)
    high = _key_of(bound.raised(place), "")
    return _term(bound, lambda version: low <= version < high)


def _beyond(bound: _Bound) -> Key:
    """Return the first key above all that a partial version names: 2.0.0 for "1"."""
    return _key_of(bound.raised(bound.known - 1), "") if bound.known else (bound.numbers,)


def _below(text: str) -> Test:
    bound = _read_bound(text)
    low = bound.low
    return _term(bound, lambda version: version < low)


def _up_to(text: str) -> Test:
    bound = _read_bound(text)
    if not bound.known:
        return _between(bound, -1)
    if bound.known < _PLACES:
        high = _beyond(bound)
        return _term(bound, lambda version: version < high)
    low = bound.low
    return _term(bound, lambda version: version <= low)


def _above(text: str) -> Test:
    bound = _read_bound(text)
    if not bound.known:
        return _term(bound, lambda _key: False)
    if bound.known < _PLACES:
        high = _beyond(bound)
        return _term(bound, lambda version: version >= high)
    low = bound.low
    return _term(bound, lambda version: version > low)


def _at_least(text: str) -> Test:
    bound = _read_bound(text)
    low = bound.low
    return _term(bound, lambda version: version >= low)


def _tilde(text: str) -> Test:
    bound = _read_bound(text)
    return _between(bound, min(bound.known, 2) - 1)


def _caret(text: str) -> Test:
    bound = _read_bound(text)
    given = bound.numbers[: bound.known]
    return _between(bound, next((place for place, number in enumerate(given) if number), bound.known - 1))


_OPERATORS: dict[str, Callable[[str], Test]] = {
    "": _equal,
    "=": _equal,
    "==": _equal,
    "<": _below,
    "<=": _up_to,
    "=<": _up_to,
    ">": _above,
    ">=": _at_least,
    "=>": _at_least,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}

SCHEME = Scheme("npm", key, satisfies_by(key, _OPERATORS))
