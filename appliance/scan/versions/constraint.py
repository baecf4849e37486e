"""Constraints as most sources write them: ">=1.0, <2.0 || =3.1". Side by side all hold, "||" separates choices."""

import functools
import re
from collections.abc import Callable, Mapping

from appliance.scan.versions.order import CACHED, Key, VersionInvalid

Test = Callable[[str], bool]  # a version -> does the term hold
Operators = Mapping[str, Callable[[str], Test]]  # operator -> (the version behind it -> Test)

_TERM = re.compile(r"\s*(?P<operator>[=<>!~^]*)\s*(?P<version>[^\s=<>!~^,|][^\s=<>!,|]*)\s*,?")

MAX_LENGTH = 16_384  # characters of one constraint; the longest in the data at hand has some 2,000


def compile_choices(text: str, operators: Operators) -> tuple[tuple[Test, ...], ...]:
    """Return the choices of `text`, each a tuple of tests that must all hold.

    Raises VersionInvalid: a term or an operator that cannot be read, or a choice without a term.
    """
    if len(text) > MAX_LENGTH:
        raise VersionInvalid(f"a constraint has {len(text)} characters; at most {MAX_LENGTH} are read")
    return tuple(_compile_choice(choice, operators) for choice in text.split("||"))


def _compile_choice(choice: str, operators: Operators) -> tuple[Test, ...]:
    tests = []
    position = 0
    while position < len(choice.rstrip()):
        term = _TERM.match(choice, position)
        if term is None or term["operator"] not in operators:
            raise VersionInvalid(f"{choice.strip()!r} is no constraint")
        tests.append(operators[term["operator"]](term["version"]))
        position = term.end()
    if not tests:
        raise VersionInvalid("a constraint without a version")
    return tuple(tests)


def plain_operators(key: Callable[[str], Key]) -> dict[str, Callable[[str], Test]]:
    """Return the operators that order alone explains: = == != < <= > >= and their common misspellings."""

    def equal(bound: str) -> Test:
        limit = key(bound)
        return lambda version: key(version) == limit

    def unequal(bound: str) -> Test:
        limit = key(bound)
        return lambda version: key(version) != limit

    def below(bound: str) -> Test:
        limit = key(bound)
        return lambda version: key(version) < limit

    def up_to(bound: str) -> Test:
        limit = key(bound)
        return lambda version: key(version) <= limit

    def above(bound: str) -> Test:
        limit = key(bound)
        return lambda version: key(version) > limit

    def at_least(bound: str) -> Test:
        limit = key(bound)
        return lambda version: key(version) >= limit

    return {
        "": equal,
        "=": equal,
        "==": equal,
        "!=": unequal,
        "<": below,
        "<=": up_to,
        "=<": up_to,
        ">": above,
        ">=": at_least,
        "=>": at_least,
    }


def satisfies_by(key: Callable[[str], Key], operators: Operators) -> Callable[[str, str], bool]:
    """Return the `satisfies` of a scheme whose constraints are written with `operators`."""

    @functools.lru_cache(maxsize=CACHED)
    def choices_of(constraint: str) -> tuple[tuple[Test, ...], ...]:
        return compile_choices(constraint, operators)

    def satisfies(version: str, constraint: str) -> bool:
        key(version)  # a version that cannot be read is an error even where no term would look at it
        return any(all(test(version) for test in choice) for choice in choices_of(constraint))

    return satisfies
