"""Semantic versions, read generously: any number of segments, an optional "v", "-pre.release" and "+build".

Go, Composer, NuGet and Cargo are compared so. Trailing zeros make no difference, build metadata neither.
"""

import re
from collections.abc import Callable

from appliance.scan.versions.constraint import Operators, Test, plain_operators, satisfies_by
from appliance.scan.versions.order import Key, Scheme, VersionInvalid, cached_key

_VERSION = re.compile(
    r"v?(?P<segments>\d+(?:\.\d+)*)"
    r"(?:-(?P<numbered>\d[0-9A-Za-z~-]*(?:\.[0-9A-Za-z~-]+)*)|-?(?P<named>[A-Za-z~-][0-9A-Za-z~-]*(?:\.[0-9A-Za-z~-]+)*))?"
    r"(?:\+[0-9A-Za-z~-]+(?:\.[0-9A-Za-z~-]+)*)?",
    re.ASCII,
)


def pre_release_key(text: str) -> Key:
    """Return the key of what follows the "-": numbers before words, fewer parts before more, none at all last."""
    if not text:
        return (1,)
    parts = ((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split("."))
    return (0, *parts)


def _read(text: str) -> tuple[list[int], str]:
    """Return the numbers and the pre-release. Raises VersionInvalid."""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise VersionInvalid(f"{text[:40]!r} is no version of numbers and points")
    return [int(part) for part in found["segments"].split(".")], found["named"] or found["numbered"] or ""


def _make_key(segments: list[int], pre_release: str) -> Key:
    while segments and segments[-1] == 0:
        segments = segments[:-1]
    return (tuple(segments), pre_release_key(pre_release))


def _parse(text: str) -> Key:
    return _make_key(*_read(text))


def _parse_ignoring_case(text: str) -> Key:
    segments, pre_release = _read(text)
    return _make_key(segments, pre_release.lower())


def _next_minor(segments: list[int]) -> list[int]:
    """Return the end of "~1.2.3" and "~1.2": the second number raised; of "~1", the first."""
    return [segments[0] + 1] if len(segments) == 1 else [segments[0], segments[1] + 1]


def _next_before_last(segments: list[int]) -> list[int]:
    """Return the end of "~>1.2.3": the last number dropped, the one before it raised."""
    kept = segments[:-1] or segments
    return [*kept[:-1], kept[-1] + 1]


def _next_breaking(segments: list[int]) -> list[int]:
    """Return the end of "^1.2.3": the first number that is not zero raised, else the last."""
    place = next((place for place, number in enumerate(segments) if number), len(segments) - 1)
    return [*segments[:place], segments[place] + 1]


def _operators(key: Callable[[str], Key]) -> Operators:
    def until(end: Callable[[list[int]], list[int]]) -> Callable[[str], Test]:
        def compiled(bound: str) -> Test:
            low, high = key(bound), _make_key(end(_read(bound)[0]), "")
            return lambda version: low <= key(version) < high

        return compiled

    return {
        **plain_operators(key),
        "~": until(_next_minor),
        "~>": until(_next_before_last),
        "^": until(_next_breaking),
    }


key = cached_key(_parse)
SCHEME = Scheme("generic", key, satisfies_by(key, _operators(key)))

nuget_key = cached_key(_parse_ignoring_case)  # NuGet compares pre-releases without case
NUGET = Scheme("nuget", nuget_key, satisfies_by(nuget_key, _operators(nuget_key)))
