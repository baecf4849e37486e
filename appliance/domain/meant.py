"""What somebody likely meant by a text that is not what is wanted there: the other half of a good refusal."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network, summarize_address_range

from appliance.domain.ranges import read_span

_SHOWN = 60  # characters of a foreign text in a message
_LISTED = 4  # networks that stand for a range before "and n more"
_SEVERAL = re.compile(r"[\s,;]+")
_IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?")
_WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d{1,5}")
_WITH_PATH = re.compile(r"[a-z]+://\[?([^/\]]+?)\]?(?::\d{1,5})?(?:/.*)?")
_WILD = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})((?:\.\*){1,3})")
_DOTTED = re.compile(r"\d+(?:\.\d+){1,3}(?:/\d{1,3})?")
_NAME = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z][A-Za-z0-9-]*\.?")
_EXAMPLES = "write one like 10.0.0.7, 10.0.0.0/24, 2001:db8::/32 or @group"

Address = IPv4Address | IPv6Address


def near(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean ...?` for the nearest of `known`, or ""."""
    found = get_close_matches(word, known, 1) or get_close_matches(word.lower(), [one.lower() for one in known], 1)
    return f"; did you mean {found[0]}?" if found else ""


def quoted(text: str) -> str:
    """Return a foreign text for a message: cut, and with whatever cannot be seen in it spelled out."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")[1:-1]


def explain_address(text: str) -> str:
    """Say why `text` is no address, CIDR or @group of a list, and what was likely meant."""
    for reason in (_several, _with_extras, _zone, _mask, _host_bits, _range, _parts, _name):
        if said := reason(text):
            return said
    return f"{quoted(text)} is no address; {_EXAMPLES}"


def _several(text: str) -> str:
    parts = [part for part in _SEVERAL.split(text) if part]
    if len(parts) < 2 or any(read_span(part) is None for part in parts):
        return ""
    return f"{quoted(text)} are several; write one a line"


def _with_extras(text: str) -> str:
    """Quotes, brackets, ports and what else stands around an address elsewhere."""
    bare = text.strip("\"'`,;")
    if bare != text and _read(bare):
        return f"{quoted(text)} has marks around it; write {bare}"
    for pattern, what in ((_IN_BRACKETS, "brackets"), (_WITH_PORT, "a port"), (_WITH_PATH, "an address of the web")):
        found = pattern.fullmatch(text)
        if found and _read(found[1]):
            is_url = pattern is _WITH_PATH
            said = f"is {what}" if is_url else f"has {what}"
            return f"{quoted(text)} {said}; write {found[1]} alone"
    return ""


def _zone(text: str) -> str:
    address, percent, zone = text.partition("%")
    if not percent or not _read(address):
        return ""
    _, slash, length = zone.partition("/")
    return f"{quoted(text)} has a zone id, which means something on one machine only; write {address}{slash}{length}"


def _mask(text: str) -> str:
    """A mask that is none, too long, or written as an address."""
    address, slash, length = text.partition("/")
    found = _read(address)
    if not slash or found is None:
        return ""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        bits = found.max_prefixlen
        return f"{quoted(text)}: behind the slash stands a number from 0 to {bits}, as in {found}/{bits}"
    if "." in length or length != str(network.prefixlen):
        return f"{quoted(text)}: write the mask as a length: {network}"
    return ""


def _host_bits(text: str) -> str:
    try:
        found = ip_interface(text)
    except ValueError:
        return ""
    if found.ip == found.network.network_address:
        return ""
    return (
        f"{quoted(text)} has bits set behind its mask; write {found.network} for the network, or {found.ip} for the"
        " one address"
    )


def _range(text: str) -> str:
    """`first-last`, where the last may be written short (10.0.0.1-9)."""
    start, dash, end = (part.strip() for part in text.partition("-"))
    first = _read(start)
    if not dash or first is None:
        return ""
    if end.isascii() and end.isdigit() and first.version == 4:
        end = f"{start.rpartition('.')[0]}.{end}"
    last = _read(end)
    if last is None or last.version != first.version or int(last) < int(first):
        return f"{quoted(text)} is no range; write networks: {_EXAMPLES}"
    networks = [str(one) for one in summarize_address_range(first, last)]
    listed = ", ".join(networks[:_LISTED])
    more = f" and {len(networks) - _LISTED} more" if len(networks) > _LISTED else ""
    return f"{quoted(text)} is a range; write networks, one a line: {listed}{more}"


def _parts(text: str) -> str:
    """Dotted numbers that are no IPv4 address."""
    if found := _WILD.fullmatch(text):
        given = found[1].split(".")
        if all(int(part) < 256 for part in given) and len(given) + found[2].count("*") == 4:
            return f"{quoted(text)}: write {'.'.join([*given, '0', '0', '0'][:4])}/{8 * len(given)}"
    if not _DOTTED.fullmatch(text):
        return ""
    address, slash, length = text.partition("/")
    given = address.split(".")
    plain = ".".join(part.lstrip("0") or "0" for part in given)
    if large := [part for part in given if int(part) > 255]:
        return f"{quoted(text)}: {large[0]} is more than 255"
    if plain != address:
        return f"{quoted(text)} has leading zeros, which some programs read as octal; write {plain}{slash}{length}"
    if len(given) < 4:
        whole = ".".join([*given, "0", "0", "0"][:4])
        return f"{quoted(text)}: an IPv4 address has four parts; write {whole}/{length or 8 * len(given)}"
    return ""


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        return ""
    return f"{quoted(text)} is a name, and names may come to mean other machines; write its addresses"


def _read(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
