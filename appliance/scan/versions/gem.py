"""RubyGems' version order: numbers and words, a word is a pre-release; "~>" bounds by the number before the last."""

import functools
import re
from itertools import zip_longest

from appliance.scan.versions.constraint import Test, plain_operators, satisfies_by
from appliance.scan.versions.order import Key, Scheme, VersionInvalid, cached_key

_VERSION = re.compile(r"\d+(?:\.[0-9a-zA-Z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?", re.ASCII)
_SEGMENT = re.compile(r"\d+|[a-zA-Z]+", re.ASCII)

Segment = int | str


def _segments(text: str) -> list[Segment]:
    if _VERSION.fullmatch(text.strip()) is None:
        raise VersionInvalid(f"{text[:40]!r} is no gem version")
    return [int(found) if found.isdigit() else found for found in _SEGMENT.findall(text.replace("-", ".pre."))]


def _without_zeros(segments: list[Segment]) -> list[Segment]:
    while segments and segments[-1] == 0:
        segments = segments[:-1]
    return segments


def _split(segments: list[Segment]) -> tuple[list[Segment], list[Segment]]:
    """Return the leading numbers, and all from the first word on."""
    place = next((place for place, segment in enumerate(segments) if isinstance(segment, str)), len(segments))
    return segments[:place], segments[place:]


def _compare(left: tuple[Segment, ...], right: tuple[Segment, ...]) -> int:
    for one, two in zip_longest(left, right, fillvalue=0):
        if one != two:
            if isinstance(one, str):
                return -1 if isinstance(two, int) or one < two else 1
            return 1 if isinstance(two, str) or one > two else -1
    return 0


_as_key = functools.cmp_to_key(_compare)


def _key_of(segments: list[Segment]) -> Key:
    numbers, words = _split(segments)
    return (_as_key((*_without_zeros(numbers), *_without_zeros(words))),)


def _parse(text: str) -> Key:
    return _key_of(_segments(text))


key = cached_key(_parse)


def _pessimistic(bound: str) -> Test:
    low = key(bound)
    numbers = [segment for segment in _split(_segments(bound))[0] if isinstance(segment, int)]
    kept = numbers[:-1] or numbers
    high = _key_of([*kept[:-1], kept[-1] + 1])
    return lambda version: low <= key(version) < high


SCHEME = Scheme("gem", key, satisfies_by(key, {**plain_operators(key), "~>": _pessimistic}))
