"""Text -> the secrets in it: a literal is found first, then a rule looks at the window around it.

Nothing that is found leaves here as it stood: a match is redacted before the value is made, and so is every other long
token that happens to stand beside it.
"""

import re
from collections.abc import Iterator, Sequence

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
_TOKEN = re.compile(r"[A-Za-z0-9+/=_~.-]{20,}")  # beside a match: masked, it may be the other half of a pair

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
        self._literals: dict[prefilter.Literal, list[int]] = {}
        for index, rule in enumerate(self._rules):
            for text in rule.literals:
                self._literals.setdefault(prefilter.Literal(text, rule.is_caseless), []).append(index)
        self._asks = [(len(literal.text), indices) for literal, indices in self._literals.items()]
        self._prefilter = (build or prefilter.build)(self._literals)
        self._names = excluded.names
        self._paths = re.compile("|".join(f"(?:{path})" for path in excluded.paths)) if excluded.paths else None
        self._only = [re.compile(rule.path) if rule.path else None for rule in self._rules]

    def takes(self, path: str, size: int) -> bool:
        """Whether the file at `path` with `size` bytes is to be searched, if it is text."""
        if size < _SHORTEST or path[path.rfind("/") + 1 :] in self._names:
            return False
        return self._paths is None or self._paths.search(path) is None

    def search(self, path: str, content: bytes) -> list[Secret]:
        """Return the secrets of a whole file, by line."""
        spans = self._spans(path, content)
        return [self._secret(path, content, span, spans, 0) for span in spans]

    def begin(self, path: str) -> "Passage":
        """Return a search of the file at `path` that takes its content piece by piece."""
        return Passage(self, path)

    def _spans(self, path: str, content: bytes) -> list["_Span"]:
        """Return the matches in order, none overlapping another."""
        places = self._prefilter.find(content)
        if not places:
            return []
        windows: dict[int, list[tuple[int, int]]] = {}
        for literal, end in sorted(places, key=_by_end):
            length, indices = self._asks[literal]
            for index in indices:
                rule = self._rules[index]
                low, high = max(0, end - length - rule.before), min(len(content), end + rule.after)
                merged = windows.setdefault(index, [])
                if merged and low <= merged[-1][1]:
                    merged[-1] = (min(low, merged[-1][0]), max(high, merged[-1][1]))
                else:
                    merged.append((low, high))
        found: list[_Span] = []
        for index in sorted(windows):
            only = self._only[index]
            if only is None or only.search(path):
                found += self._confirm(index, content, windows[index], found)
        return sorted(found, key=_by_begin)

    def _confirm(
        self, index: int, content: bytes, windows: list[tuple[int, int]], found: list["_Span"]
    ) -> list["_Span"]:
        rule = self._rules[index]
        spans: list[_Span] = []
        for low, high in windows:
            for match in rule.regex.finditer(content, low, high):
                groups = match.re.groupindex
                name = next((name for name in groups if match[name] is not None), 0)
                begin, end = match.span(name)
                if len(set(content[begin:end])) < rule.distinct:
                    continue
                if not any(span.begin < end and begin < span.end for span in found):
                    spans.append(_Span(match.start(), begin, end, index))
        return spans

    def _secret(self, path: str, content: bytes, span: "_Span", spans: Sequence["_Span"], lines: int) -> Secret:
        """Return `span` as a value, with all that is secret on its line hidden."""
        rule = self._rules[span.rule]
        line_begin = content.rfind(b"\n", 0, span.match) + 1
        shown_from = max(line_begin, span.begin - _BEFORE)
        parts: list[str] = []
        at = shown_from
        for other in spans:
            if other.end > at and other.begin < span.begin:
                parts += [_readable(content[at : max(at, other.begin)]), "****"]
                at = other.end
        parts.append(_readable(content[at : max(at, span.begin)]))
        text = "".join(parts) + "*" * min(span.end - span.begin, _STARS)
        return Secret(
            rule=rule.id,
            category=rule.category,
            severity=rule.severity,
            found_in=path,
            line=lines + content.count(b"\n", 0, span.begin) + 1,
            match=text,
            title=rule.title,
        )


class _Span(msgspec.Struct, frozen=True):
    """A match: where it begins, where its secret begins and ends, and the index of its rule."""

    match: int
    begin: int
    end: int
    rule: int


def _by_end(place: tuple[int, int]) -> tuple[int, int]:
    return place[1], place[0]


def _by_begin(span: _Span) -> int:
    return span.begin


def _readable(content: bytes) -> str:
    """Return what stands before a match, tokens masked, as one printable line."""
    text = content.decode(errors="replace")
    text = "".join(character if character.isprintable() else " " for character in text)
    return _TOKEN.sub("****", text)


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
        spans = self._search._spans(self._path, content)  # noqa: SLF001  because the two are one subject
        for span in spans:
            if self._settled <= span.match < until:
                yield self._search._secret(self._path, content, span, spans, self._lines)  # noqa: SLF001
        keep = max(0, until - _BEHIND)
        self._lines += content.count(b"\n", 0, keep)
        self._parts = [content[keep:]]
        self._held = len(content) - keep
        self._settled = until - keep
