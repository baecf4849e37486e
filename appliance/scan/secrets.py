"""Text -> the secrets in it: a literal is found first, then a rule looks at the window around it.

Nothing that is found leaves here as it stood: a match is redacted before the value is made, and so is every other long
token that happens to stand beside it.
"""

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from appliance.domain.vulnerability import Secret
from appliance.scan import prefilter, rules
from appliance.scan.rules.rule import Rule

_LOOKED_AT = 8192  # bytes; a zero byte among the first tells a binary file
_SHORTEST = 10  # bytes of a file: less holds no secret
_SEGMENT = 8 << 20  # bytes of a large file that are searched at once
_OVERLAP = 40 << 10  # bytes that a match may need behind its beginning; more than any rule's window
_BEHIND = 1 << 10  # bytes that a match may need before it
_BEFORE = 60  # characters of the line that are shown before a match
_STARS = 20  # at most; the length of a secret is a secret too
_MASK = "****"
# Beside a match: masked, for it may be the other half of a pair. Words without a digit are names of settings.
_TOKEN = re.compile(r"(?=[A-Za-z+/=_~.-]*[0-9])[A-Za-z0-9+/=_~.-]{20,}")
_MOST = 20_000  # matches of one file or segment; a layer tells half as many

# Lock files and the like are full of checksums that look like tokens.
_NAMES = frozenset(
    {
        "Cargo.lock",
        "Gemfile.lock",
        "Pipfile.lock",
        "SHA256SUMS",
        "bun.lock",
        "composer.lock",
        "go.sum",
        "gradle.lockfile",
        "npm-shrinkwrap.json",
        "package-lock.json",
        "packages.lock.json",
        "pnpm-lock.yaml",
        "poetry.lock",
        "uv.lock",
        "yarn.lock",
    }
)
# What distributions and package managers put there, and what is there to show or to test.
_PATHS = (
    r"^usr/(?:share|include|lib)/",
    r"^usr/local/(?:go|share|include)/",
    r"^usr/local/lib/python[0-9.]+/",
    r"^opt/yarn-v[0-9.]+/",
    r"(?:^|/)(?:tests?|__tests__|testdata|specs?|examples?|vendor|locales?|node_modules)/",
    r"(?:^|/)[^/]+\.dist-info/",
    r"_test\.go$",
    r"\.(?:md|markdown|rst|css|svg)$",
)


class Excluded(msgspec.Struct, frozen=True):
    """Which files are not searched: by patterns found in the path, by the last component, or neither."""

    paths: tuple[str, ...] = _PATHS
    names: frozenset[str] = _NAMES


def is_text(first: bytes) -> bool:
    """Whether a file that begins with `first` is worth a search."""
    return b"\0" not in first[:_LOOKED_AT]


def default_rules() -> tuple[Rule, ...]:
    """Return the full set where the fast prefilter is there, else the four kinds of the manual."""
    return rules.ALL if prefilter.has_fast() else rules.MANUAL


class SecretSearch:
    """Searches files by a set of rules. Made once for many files."""

    def __init__(
        self,
        kinds: Sequence[Rule],
        excluded: Excluded | None = None,
        build: "type[prefilter.Plain | prefilter.Fast] | None" = None,
    ) -> None:
        """Prepare `kinds`; where two match the same text, the earlier is believed. `build` chooses the prefilter."""
        excluded = excluded or Excluded()
        self._rules = tuple(kinds)
        asks: dict[tuple[bytes, bool], list[int]] = {}
        for index, rule in enumerate(self._rules):
            for text in rule.literals:
                asks.setdefault((text, rule.is_caseless), []).append(index)
        self._asks = [(len(text), indices) for (text, _), indices in asks.items()]
        self._prefilter = (build or prefilter.build)(
            [
                # Within this distance the windows of two places touch, whichever the rule.
                prefilter.Literal(text, is_caseless, min(kinds[index].before + kinds[index].after for index in indices))
                for (text, is_caseless), indices in asks.items()
            ]
        )
        self._names = excluded.names
        self._paths = re.compile("|".join(f"(?:{path})" for path in excluded.paths)) if excluded.paths else None
        self._only = [re.compile(rule.path) if rule.path else None for rule in self._rules]

    def takes(self, path: str, size: int) -> bool:
        """Whether the file at `path` with `size` bytes is to be searched, if it is text."""
        if size < _SHORTEST or path[path.rfind("/") + 1 :] in self._names:
            return False
        return self._paths is None or self._paths.search(path) is None

    def search(self, path: str, content: bytes) -> Iterator[Secret]:
        """Yield the secrets of a whole file, by line."""
        return self.told(path, content, self.spans(path, content), range(len(content)), 0)

    def begin(self, path: str) -> "Passage":
        """Return a search of the file at `path` that takes its content piece by piece."""
        return Passage(self, path)

    def spans(self, path: str, content: bytes) -> list["Span"]:
        """Return the matches in order, none overlapping another."""
        windows: dict[int, list[tuple[int, int]]] = {}
        for run in self._prefilter.find(content):
            length, indices = self._asks[run.literal]
            for index in indices:
                rule = self._rules[index]
                window = max(0, run.first - length - rule.before), min(len(content), run.last + rule.after)
                windows.setdefault(index, []).append(window)
        found: list[Span] = []
        for index in sorted(windows):
            only = self._only[index]
            if only is None or only.search(path):
                merged = _merged(windows[index])
                found = sorted([*found, *self._confirm(index, content, merged, found)], key=_by_begin)
        return found

    def _confirm(
        self, index: int, content: bytes, windows: Sequence[tuple[int, int]], found: Sequence["Span"]
    ) -> Iterator["Span"]:
        """Yield the matches of a rule that overlap none of `found`."""
        rule = self._rules[index]
        left = _MOST - len(found)
        for low, high in windows:
            for match in rule.regex.finditer(content, low, high):
                if left <= 0:  # more than a layer may have: what is told of it says that there are more
                    return
                group = next((name for name in match.re.groupindex if match[name] is not None), 0)
                begin, end = match.span(group)
                if rule.is_placeholder(content[begin:end]):
                    continue
                before = bisect.bisect_left(found, end, key=_by_begin) - 1
                if before < 0 or found[before].end <= begin:
                    left -= 1
                    yield Span(match.start(), begin, end, index)

    def told(self, path: str, content: bytes, spans: Sequence["Span"], begins: range, lines: int) -> Iterator[Secret]:
        """Yield those of `spans` that begin in `begins`, with all that is secret hidden; `lines` precede `content`."""
        counted = 0
        for place, span in enumerate(spans):
            if span.match not in begins:
                continue
            rule = self._rules[span.rule]
            lines += content.count(b"\n", counted, span.begin)
            counted = span.begin
            yield Secret(
                rule=rule.id,
                category=rule.category,
                severity=rule.severity,
                found_in=path,
                line=lines + 1,
                match=_shown(content, spans, place),
                title=rule.title,
            )


def _shown(content: bytes, spans: Sequence["Span"], place: int) -> str:
    """Return the line of a match up to its end, with its secret and those before it hidden."""
    span = spans[place]
    line = content.rfind(b"\n", max(0, span.match - _BEFORE), span.match) + 1
    at = max(line, span.begin - _BEFORE)
    first = place
    while first and spans[first - 1].end > at:
        first -= 1
    parts: list[str] = []
    for other in spans[first:place]:
        parts += [_readable(content[at : max(at, other.begin)]), _MASK]
        at = other.end
    parts.append(_readable(content[at : max(at, span.begin)]))
    return "".join(parts) + "*" * min(span.end - span.begin, _STARS)


class Span(msgspec.Struct, frozen=True):
    """A match: where it begins, where its secret begins and ends, and the index of its rule."""

    match: int
    begin: int
    end: int
    rule: int


def _merged(windows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return `windows` in order, those that touch made one."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(windows):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _by_begin(span: Span) -> int:
    return span.begin


def _readable(content: bytes) -> str:
    """Return what stands before a match, tokens masked, as one printable line."""
    text = content.decode(errors="replace")
    text = "".join(character if character.isprintable() else " " for character in text)
    return _TOKEN.sub(_MASK, text)


class Passage:
    """The search of one large file, segment by segment; however it is cut, the same is found."""

    def __init__(self, search: SecretSearch, path: str) -> None:
        """Begin before the first byte of the file at `path`."""
        self._search = search
        self._path = path
        self._parts: list[bytes] = []
        self._held = 0  # bytes in parts
        self._lines = 0  # before the parts
        self._settled = 0  # bytes of the parts whose matches were yielded with the segment before

    def feed(self, piece: bytes) -> Iterator[Secret]:
        """Take the next bytes; yield the secrets that are certain by now."""
        self._parts.append(piece)
        self._held += len(piece)
        if self._held >= _SEGMENT + _OVERLAP:
            yield from self._yield(is_last=False)

    def end(self) -> Iterator[Secret]:
        """Yield the secrets that are left, the file being over."""
        yield from self._yield(is_last=True)

    def _yield(self, *, is_last: bool) -> Iterator[Secret]:
        content = b"".join(self._parts)
        until = len(content) if is_last else len(content) - _OVERLAP
        spans = self._search.spans(self._path, content)
        yield from self._search.told(self._path, content, spans, range(self._settled, until), self._lines)
        keep = max(0, until - _BEHIND)
        self._lines += content.count(b"\n", 0, keep)
        self._parts = [content[keep:]]
        self._held = len(content) - keep
        self._settled = until - keep
