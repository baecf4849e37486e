"""Python's versions and specifiers (PEP 440), by the `packaging` library; "||" separates choices."""

import functools
import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from appliance.scan.versions.order import CACHED, Key, Scheme, VersionInvalid, cached_key, check_length

_TERM = re.compile(r"\s*(?P<operator>===|==|~=|!=|<=|>=|<|>|=|)\s*(?P<version>[^\s,|<>=!~][^\s,|<>=~]*)\s*,?")
_LONGEST = 16_384  # characters of a constraint


@functools.lru_cache(maxsize=CACHED)
def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise VersionInvalid(f"{text[:40]!r} is no version by PEP 440") from error


def _parse(text: str) -> Key:
    return (_version(text),)


key = cached_key(_parse)


def _specifiers(choice: str) -> SpecifierSet:
    """Return `choice` as specifiers: commas where blanks stood, "==" where no operator, or a single "=", stood."""
    if choice.strip() == "*":
        return SpecifierSet()
    terms = []
    position = 0
    while position < len(choice.rstrip()):
        term = _TERM.match(choice, position)
        if term is None:
            raise VersionInvalid(f"{choice[:40]!r} is no specifier")
        operator = "==" if term["operator"] in {"", "="} else term["operator"]
        terms.append(operator + check_length(term["version"]))
        position = term.end()
    if not terms:
        raise VersionInvalid("a specifier without a version")
    try:
        return SpecifierSet(",".join(terms))
    except InvalidSpecifier as error:
        raise VersionInvalid(f"{choice[:40]!r} is no specifier") from error


@functools.lru_cache(maxsize=CACHED)
def _choices(constraint: str) -> tuple[SpecifierSet, ...]:
    if len(constraint) > _LONGEST:
        raise VersionInvalid(f"a constraint has {len(constraint)} characters; at most {_LONGEST} are read")
    return tuple(map(_specifiers, constraint.split("||")))


def satisfies(version: str, constraint: str) -> bool:
    """Return whether `version`, be it a pre-release, satisfies `constraint`. Raises VersionInvalid."""
    key(version)
    return any(choice.contains(_version(version), prereleases=True) for choice in _choices(constraint))


SCHEME = Scheme("pep440", key, satisfies)
