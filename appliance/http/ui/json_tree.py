"""Foreign JSON as a page shows it: foldable, every character escaped, digests that lead somewhere as links."""

from collections.abc import Callable, Iterator

import msgspec
from markupsafe import Markup

LARGEST = 256 << 10  # bytes that are laid out; more is told as plain text, cut
_NODES = 5000
_DEPTH = 24
_OPEN = 3  # levels that are not folded
_TEXT = 2000  # characters of one string

Link = Callable[[str], str]  # the address that a text leads to, "" for none


def fold(content: bytes, link: Link) -> Markup:
    """Return `content` as nested lists that can be folded; as it stands where it is no JSON or unusually large."""
    if len(content) > LARGEST:
        return _plain(content)
    try:
        value = msgspec.json.decode(content)
        return _Folding(link).fold(value, 0)
    except (msgspec.DecodeError, RecursionError):
        return _plain(content)


def _plain(content: bytes) -> Markup:
    return Markup("<pre>{}{}</pre>").format(
        content[:LARGEST].decode(errors="replace"), " …" if len(content) > LARGEST else ""
    )


class _Folding:
    """One document on its way; it ends after a bounded number of values."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._left = _NODES

    def fold(self, value: object, depth: int, name: str | None = None) -> Markup:
        """Return one value; `name` is the member that has it."""
        self._left -= 1
        named = Markup("") if name is None else Markup('<span class="json-name">{}</span>: ').format(name[:_TEXT])
        if isinstance(value, dict):
            return self._nest(named, self._members(value, depth), len(value), "{}", depth)
        if isinstance(value, list):
            return self._nest(named, self._entries(value, depth), len(value), "[]", depth)
        return named + self._scalar(value)

    def _nest(self, named: Markup, items: Iterator[Markup], count: int, brackets: str, depth: int) -> Markup:
        first, last = brackets[0], brackets[1]
        if not count:
            return named + Markup("{}").format(brackets)
        if depth >= _DEPTH:
            return named + Markup("{} … {}").format(first, last)
        is_open = Markup(" open") if depth < _OPEN else ""
        head = Markup("<details{}><summary>{}{} {} {}</summary><ul>").format(is_open, named, first, count, last)
        return head + Markup("").join(items) + Markup("</ul></details>")

    def _members(self, value: dict[str, object], depth: int) -> Iterator[Markup]:
        for name, one in value.items():
            if self._left <= 0:
                yield Markup("<li>…</li>")
                return
            yield Markup("<li>{}</li>").format(self.fold(one, depth + 1, name))

    def _entries(self, value: list[object], depth: int) -> Iterator[Markup]:
        for one in value:
            if self._left <= 0:
                yield Markup("<li>…</li>")
                return
            yield Markup("<li>{}</li>").format(self.fold(one, depth + 1))

    def _scalar(self, value: object) -> Markup:
        if not isinstance(value, str):
            return Markup('<span class="json-value">{}</span>').format(msgspec.json.encode(value).decode())
        address = self._link(value)
        if address:
            return Markup('<a href="{}">{}</a>').format(address, value)
        return Markup('<span class="json-text">{}</span>').format(value[:_TEXT] + ("…" if len(value) > _TEXT else ""))
