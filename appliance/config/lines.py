"""On which line each key of a TOML text stands: `tomllib` does not tell.

The text has been read by `tomllib`, so nothing is checked here; only enough is understood to know where values end:
tables, arrays of tables, dotted and quoted keys, strings of all four kinds, arrays and inline tables over lines.
"""

import bisect
import re
import tomllib

KeyPath = tuple[str | int, ...]  # keys, and numbers (from 0) of the elements of arrays

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG_BASIC = re.compile(r'"""(?:[^\\]|\\.)*?"""(?!")', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''.*?'''(?!')", re.DOTALL)
_OTHER = re.compile(r"[^,\]}#\n]+")
_VALUES = (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL, _OTHER)


def find_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every table, key and array element of `text`, which is valid TOML."""
    return _Scan(text).lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """Return the line of `path`, or of what holds it where it does not stand there itself; 1 for the whole text."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scan:
    """One walk over a text."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self._counts: dict[KeyPath, int] = {}  # of the elements so far, for every array of tables
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(text):
            if text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()

    def _header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]`; return the path that the pairs below it continue."""
        start = self._at
        is_array = self._text.startswith("[[", start)
        self._at += 2 if is_array else 1
        keys = self._keys()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._into((*path, key))
        path = (*path, keys[-1])
        if is_array:
            self._counts[path] = self._counts.get(path, -1) + 1
            self._record(path, start)
        path = self._into(path)
        self._record(path, start)
        return path

    def _into(self, path: KeyPath) -> KeyPath:
        """Return `path`, or its last element so far where it is an array of tables."""
        return (*path, self._counts[path]) if path in self._counts else path

    def _pair(self, table: KeyPath) -> None:
        """Read `a.b = value`."""
        start = self._at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._record(path, start)
        self._at += 1  # "="
        self._skip_blank()
        self._value(path)

    def _keys(self) -> list[str]:
        """Read a dotted key up to what follows it."""
        keys: list[str] = []
        while True:
            self._skip_blank()
            if self._text[self._at] in "\"'":
                pattern = _BASIC if self._text[self._at] == '"' else _LITERAL
                keys.append(str(tomllib.loads(f"k = {self._take(pattern)}")["k"]))
            else:
                keys.append(self._take(_BARE_KEY))
            self._skip_blank()
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        """Read the value of `path`."""
        opening = self._text[self._at]
        if opening not in "[{":
            self._take(next(pattern for pattern in _VALUES if pattern.match(self._text, self._at)))
            return
        self._at += 1
        number = 0
        self._skip_separators()
        while self._text[self._at] not in "]}":
            if opening == "[":
                self._record((*path, number), self._at)
                self._value((*path, number))
                number += 1
            else:
                self._pair(path)
            self._skip_separators()
        self._at += 1

    def _skip_separators(self) -> None:
        self._skip_blank()
        while self._text[self._at] == ",":
            self._at += 1
            self._skip_blank()

    def _skip_blank(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise AssertionError(f"tomllib took what is not understood here, at character {self._at}")
        self._at = found.end()
        return found[0]

    def _record(self, path: KeyPath, start: int) -> None:
        self.lines.setdefault(path, bisect.bisect_left(self._ends, start) + 1)
