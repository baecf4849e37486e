"""Maven's version order (ComparableVersion) and its two ways to write ranges: ">=1.0, <2.0" and "[1.0,2.0)".

A version is a list of numbers and words; "-" and every change between digits and letters opens a list inside it.
"""

import functools
import re
from itertools import zip_longest

from appliance.scan.versions.constraint import Test, compile_choices, plain_operators
from appliance.scan.versions.order import CACHED, Key, Scheme, VersionInvalid, cached_key

Item = int | str | list["Item"]

_VERSION = re.compile(r"[0-9A-Za-z._~+-]+", re.ASCII)
_RANGE = re.compile(r"(?P<open>[\[(])(?P<low>[^\[\](),]*)(?P<comma>,?)(?P<high>[^\[\](),]*)(?P<close>[\])])\s*,?\s*")
_TOKEN = re.compile(r"(\d+)|([^\d.-]+)|([.-])", re.ASCII)

_QUALIFIERS = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")  # oldest first; "" is the release itself
_ALIASES = {"ga": "", "final": "", "release": "", "cr": "rc"}
_BEFORE_A_NUMBER = {"a": "alpha", "b": "beta", "m": "milestone"}
_RELEASE = str(_QUALIFIERS.index(""))


def _rank(word: str) -> str:
    """Return what words are compared by: the place of a known one, all unknown ones behind, by alphabet."""
    return str(_QUALIFIERS.index(word)) if word in _QUALIFIERS else f"{len(_QUALIFIERS)}-{word}"


def _word(text: str, *, before_a_number: bool) -> str:
    if before_a_number:
        text = _BEFORE_A_NUMBER.get(text, text)
    return _ALIASES.get(text, text)


def _is_null(item: Item) -> bool:
    """Whether it makes no difference at the end of a list."""
    if isinstance(item, str):
        return _rank(item) == _RELEASE
    return not item


def _trim(items: list[Item]) -> None:
    """Drop what makes no difference before the end or before an inner list."""
    for place in range(len(items) - 1, -1, -1):
        if _is_null(items[place]):
            del items[place]
        elif not isinstance(items[place], list):
            break


class _Builder:
    """Lists as they are opened, the outermost first."""

    def __init__(self) -> None:
        self.lists: list[list[Item]] = [[]]

    def add(self, item: Item) -> None:
        self.lists[-1].append(item)

    def open(self) -> None:
        inner: list[Item] = []
        self.add(inner)
        self.lists.append(inner)

    def close(self) -> list[Item]:
        for items in reversed(self.lists):
            _trim(items)
        return self.lists[0]


def _items(text: str) -> list[Item]:
    """Parse `text` (lower case)."""
    build = _Builder()
    after = "."  # what came before: a number "0", a word "a", or the separator itself
    for token in _TOKEN.finditer(text):
        number, word, separator = token.groups()
        if separator:
            if after in ".-":
                build.add(0)
            if separator == "-":
                build.open()
            after = separator
            continue
        if after == ("a" if number else "0"):
            build.open()
        if number:
            build.add(int(number))
        else:
            build.add(_word(word, before_a_number=text[token.end() : token.end() + 1].isdigit()))
        after = "0" if number else "a"
    return build.close()


def _against_nothing(item: Item) -> int:
    """Compare with the end of a list."""
    if isinstance(item, int):
        return 1 if item else 0
    if isinstance(item, str):
        rank = _rank(item)
        return (rank > _RELEASE) - (rank < _RELEASE)
    return next((result for result in map(_against_nothing, item) if result), 0)


def _kind(item: Item) -> int:
    """Return the place of its kind: a word is older than a list, a list older than a number."""
    return 0 if isinstance(item, str) else 1 if isinstance(item, list) else 2


def _compare(left: Item | None, right: Item | None) -> int:
    if left is None:
        return 0 if right is None else -_against_nothing(right)
    if right is None:
        return _against_nothing(left)
    if isinstance(left, int) and isinstance(right, int):
        return (left > right) - (left < right)
    if isinstance(left, str) and isinstance(right, str):
        return (_rank(left) > _rank(right)) - (_rank(left) < _rank(right))
    if isinstance(left, list) and isinstance(right, list):
        return next((result for result in map(_compare_pair, zip_longest(left, right)) if result), 0)
    return _kind(left) - _kind(right)


def _compare_pair(pair: tuple[Item | None, Item | None]) -> int:
    return _compare(*pair)


_as_key = functools.cmp_to_key(_compare)


def _parse(text: str) -> Key:
    if _VERSION.fullmatch(text) is None:
        raise VersionInvalid(f"{text[:40]!r} is no Maven version")
    return (_as_key(_items(text.lower())),)


key = cached_key(_parse)
_OPERATORS = plain_operators(key)


def _compile_ranges(text: str) -> tuple[tuple[Test, ...], ...]:
    """Read "[1.0,2.0),[3.0]": each bracket is a choice."""
    choices = []
    position = 0
    while position < len(text):
        found = _RANGE.match(text, position)
        if found is None:
            raise VersionInvalid(f"{text[:40]!r} is no Maven range")
        choices.append(_compile_range(found))
        position = found.end()
    return tuple(choices)


def _compile_range(found: re.Match[str]) -> tuple[Test, ...]:
    low, high = found["low"].strip(), found["high"].strip()
    if not found["comma"]:
        return (_OPERATORS["="](low),)
    tests = []
    if low:
        tests.append(_OPERATORS[">=" if found["open"] == "[" else ">"](low))
    if high:
        tests.append(_OPERATORS["<=" if found["close"] == "]" else "<"](high))
    return tuple(tests)


@functools.lru_cache(maxsize=CACHED)
def _choices(constraint: str) -> tuple[tuple[Test, ...], ...]:
    choices: list[tuple[Test, ...]] = []
    for choice in constraint.split("||"):
        ranges = choice.strip().startswith(("[", "("))
        choices += _compile_ranges(choice.strip()) if ranges else compile_choices(choice, _OPERATORS)
    return tuple(choices)


def satisfies(version: str, constraint: str) -> bool:
    """Return whether `version` lies in `constraint`. Raises VersionInvalid."""
    key(version)
    return any(all(test(version) for test in choice) for choice in _choices(constraint))


SCHEME = Scheme("maven", key, satisfies)
