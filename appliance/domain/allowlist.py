"""Allowlists: a text with one address, CIDR or @group a line -> which addresses may use an endpoint.

Every mistake is found, with its line and what was likely meant. What is merely said twice is a remark: the list counts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from appliance.domain.meant import explain_address, near, quoted
from appliance.domain.ranges import Ranges, Span, read_span

MAX_BYTES = 8 << 20  # of a list; 100 000 networks of IPv6, written out, are half of it
_TOLD = 50  # mistakes, and remarks, that are put into words; a file of rubbish has as many as lines
_LINES = re.compile(r"(?<=\n)")
GROUP = re.compile(r"[a-z][a-z0-9-]{0,62}")  # the name of a resource group
_EMBEDDED = 0xFFFF_FFFF  # the lower bits of an IPv6 address that hold one of IPv4

# addresses of which no client can be, and why; {four}: the IPv4 address in the lower bits
_NO_CLIENTS = tuple(
    (Span(version, first, last), reason)
    for version, first, last, reason in (
        (4, 0, 0x00FF_FFFF, "0.0.0.0/8 is no address of any machine; 0.0.0.0/0 would be every one"),
        (4, 0xE000_0000, 0xEFFF_FFFF, "it is for multicast, and no client has it"),
        (4, 0xF000_0000, 0xFFFF_FFFF, "it is reserved or broadcast, and no client has it"),
        (6, 1, 1, ""),  # ::1 is the loopback: a client of this machine
        (6, 0, 0, "it is no address of any machine"),
        (6, 0, _EMBEDDED, "it is an IPv4 address in a form of IPv6 that nobody uses any more; write {four}"),
        (
            6,
            0xFFFF << 32,
            0xFFFF << 32 | _EMBEDDED,
            "it is an IPv4 address within IPv6, and counts as such; write {four}",
        ),
        (6, 0xFF << 120, (1 << 128) - 1, "it is for multicast, and no client has it"),
    )
)

_USUAL = {4: (1 << 24, 0xE0 << 24), 6: (1 << 64, 0xFF << 120)}  # version -> none of those lies between

Groups = Mapping[str, Ranges]  # resource groups of scr.toml by name


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A line that lets somebody in: addresses, or a group where `group` is not ""."""

    line: int
    text: str  # as it is written, without its comment
    span: Span | None
    group: str = ""


class Remark(msgspec.Struct, frozen=True, gc=False):
    """What is to say about a line (from 1); 0 for the whole text."""

    line: int
    text: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"line {self.line}: {self.text}" if self.line else self.text


class Parsed(msgspec.Struct, frozen=True):
    """A text as it was read. With any mistake it is no list: nobody is let in by half of one."""

    entries: tuple[Entry, ...]
    mistakes: tuple[Remark, ...]
    remarks: tuple[Remark, ...]
    own: Ranges  # the addresses that it names itself

    def ranges(self, groups: Groups) -> Ranges:
        """Return the addresses that may use the endpoint; a group that there is not (any more) lets nobody in."""
        named = {entry.group for entry in self.entries if entry.group in groups}
        if not named:
            return self.own
        return Ranges((*self.own.spans(), *(span for name in named for span in groups[name].spans())))


def parse(text: str, groups: Groups) -> Parsed:
    """Read a list; `groups` are those that an @group may name."""
    entries: list[Entry] = []
    wrong: list[tuple[int, str]] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        entry = read_entry(written, number)
        if entry is None or (entry.group and entry.group not in groups):
            wrong.append((number, written))
        else:
            entries.append(entry)
    mistakes = [Remark(number, explain(written, groups)) for number, written in wrong[:_TOLD]]
    own = Ranges(entry.span for entry in entries if entry.span is not None)
    remarks = _remarks(entries, groups, has_doubles=own.overlaps)
    return Parsed(tuple(entries), _cut(mistakes, len(wrong), "mistakes"), remarks, own)


def read_entry(text: str, line: int = 0) -> Entry | None:
    """Return what one line without its comment means; None where it may not stand in a list."""
    if text.startswith("@"):
        return Entry(line, text, None, text[1:]) if GROUP.fullmatch(text[1:]) else None
    span = read_span(text)
    return None if span is None or _unusable(span) else Entry(line, text, span)


def explain(text: str, groups: Groups) -> str:
    """Say why `text` may not stand in a list, and what was likely meant."""
    if text.startswith("@"):
        name = text[1:]
        if not GROUP.fullmatch(name):
            return f"{quoted(text)} names no group: @, then a-z, 0-9 and '-', a letter first"
        return f"there is no [[resource_group]] {name} in scr.toml{near(name, list(groups))}"
    span = read_span(text)
    return explain_address(text) if span is None else f"{text}: {_unusable(span)}"


def with_entry(text: str, entry: str, comment: str = "") -> str:
    """Return the list with one more line at its end; every line it has stays as it is."""
    end = "\r\n" if "\r\n" in text else "\n"
    start = text if not text or text.endswith("\n") else text + end
    return start + (f"{entry}  # {comment}" if comment else entry) + end


def without_entry(text: str, entry: Entry) -> tuple[str, int]:
    """Return the list without the lines that mean what `entry` means, however they are written, and how many went.

    A comment on such a line goes with it; lines of comments stay.
    """
    kept, gone = [], 0
    for line in _LINES.split(text):
        found = read_entry(line.removeprefix("\ufeff").partition("#")[0].strip())
        if found is not None and (found.span, found.group) == (entry.span, entry.group):
            gone += 1
        else:
            kept.append(line)
    return "".join(kept), gone


def admits_everybody(span: Span) -> bool:
    """Whether it is every address of its version."""
    return span.last - span.first + 1 == 1 << span.bits


def _unusable(span: Span) -> str:
    """Return why no client can come from `span`, "" where one can."""
    low, high = _USUAL[span.version]
    if low <= span.first and span.last < high:  # nearly all of them
        return ""
    for home, reason in _NO_CLIENTS:
        if home.version == span.version and home.first <= span.first and span.last <= home.last:
            return reason.format(four=_as_four(span))
    return ""


def _as_four(span: Span) -> str:
    """Return the IPv4 addresses that lie in the lower bits of `span`."""
    length = 32 - (span.last - span.first).bit_length()
    dotted = ".".join(map(str, (span.first & _EMBEDDED).to_bytes(4)))
    return f"{dotted}/{length}" if length < 32 else dotted


def _remarks(entries: Sequence[Entry], groups: Groups, *, has_doubles: bool) -> tuple[Remark, ...]:
    """Return what is said twice, and what lets everybody in."""
    found = [*(_doubled(entries) if has_doubles else ()), *_in_groups(entries, groups)]
    for entry in entries:
        if entry.span is not None and admits_everybody(entry.span):
            said = f"{entry.text} is every IPv{entry.span.version} address; turn access control off if that is meant"
            found.append((entry.line, said))
    found.sort()
    return _cut([Remark(*one) for one in found[:_TOLD]], len(found), "remarks")


def _doubled(entries: Iterable[Entry]) -> Iterable[tuple[int, str]]:
    """Yield the addresses that another line holds already: networks lie within each other or apart, never across."""
    found = [(entry.span.version, entry.span.first, -entry.span.last, entry) for entry in entries if entry.span]
    found.sort(key=lambda one: (one[:3], one[3].line))
    outer: Entry | None = None
    for _, _, _, entry in found:
        if outer is None or not _within(entry.span, outer.span):
            outer = entry
        elif entry.span == outer.span:
            yield entry.line, f"{entry.text} stands in line {outer.line} already"
        else:
            yield entry.line, f"{entry.text} is part of {outer.text} in line {outer.line}; one of the two is enough"


def _within(inner: Span | None, outer: Span | None) -> bool:
    return inner is not None and outer is not None and inner.version == outer.version and inner.last <= outer.last


def _in_groups(entries: Sequence[Entry], groups: Groups) -> Iterable[tuple[int, str]]:
    """Yield groups that are named twice, and addresses that a named group holds already."""
    named: dict[str, int] = {}
    for entry in entries:
        if entry.group in named:
            yield entry.line, f"{entry.text} stands in line {named[entry.group]} already"
        elif entry.group:
            named[entry.group] = entry.line
    for entry in entries if named else ():
        for name in named if entry.span else ():
            if entry.span and groups[name].covers(entry.span):
                yield entry.line, f"{entry.text} is part of @{name} in line {named[name]}; one of the two is enough"


def _cut(told: list[Remark], count: int, what: str) -> tuple[Remark, ...]:
    return (*told, Remark(0, f"and {count - len(told)} more {what}")) if count > len(told) else tuple(told)
