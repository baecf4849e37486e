"""Proxies in front of us: who is trusted to tell a client's address, and how they tell it.

Two ways: the PROXY protocol's version 2 ahead of the connection (haproxy, proxy-protocol.txt, 2.2), and
X-Forwarded-For in a request. Neither counts from anybody who is not in `trusted_proxies`.
"""

import functools
import ipaddress
import re
import struct
from collections.abc import Iterable, Sequence

import msgspec

from appliance.errors import Invalid

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FIXED = 16  # bytes of the header that are always there
LONGEST = 2048  # bytes of addresses and further values; the specification asks for 536, clouds add ids and certificates

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_BRACKETED = re.compile(r'"?\[([0-9a-fA-F:.]+(?:%[^\]]*)?)\](?::[0-9]{1,5})?"?')
_WITH_PORT = re.compile(r'"?([0-9.]+):[0-9]{1,5}"?')
_MAX_HOPS = 64  # addresses in X-Forwarded-For that are looked at

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Origin(msgspec.Struct, frozen=True):
    """Address and port of the client and of the place it called, as a proxy told them."""

    client: tuple[str, int]
    server: tuple[str, int]


class TrustedProxies:
    """The addresses and networks of `[server] trusted_proxies`."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        """Trust the addresses in `networks`."""
        self._trusts = functools.lru_cache(maxsize=1024)(self._look_up)
        self.replace(networks)

    def replace(self, networks: Iterable[Network]) -> None:
        """Trust these from now on."""
        self._networks = tuple(networks)
        self._trusts.cache_clear()

    def __bool__(self) -> bool:
        """Whether anybody is trusted."""
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Whether `address` is one of them; False for what is no address."""
        return bool(self._networks) and self._trusts(address)

    def client_of(self, peer: str, lines: Sequence[bytes]) -> str:
        """Return the client's address: the hop nearest to us that is not trusted, out of X-Forwarded-For.

        `lines` are the values of all such headers, in order. Only what a trusted hop wrote counts, so the list is read
        from its end. Raises Invalid when a trusted hop wrote something that is no address.
        """
        address = peer
        if not self.trusts(peer):
            return address
        hops = b",".join(lines).split(b",")[-_MAX_HOPS:] if lines else []
        for hop in reversed(hops):
            text = hop.strip()
            if not text:
                continue
            address = address_of(text.decode("latin-1"))
            if not self.trusts(address):
                break
        return address

    def _look_up(self, address: str) -> bool:
        try:
            parsed = _plain(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def address_of(text: str) -> str:
    """Return the address in an entry of X-Forwarded-For: port, brackets and zone are taken off. Raises Invalid."""
    found = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    bare = found[1] if found else text.strip('"')
    try:
        return str(_plain(ipaddress.ip_address(bare.partition("%")[0])))
    except ValueError as error:
        raise Invalid(
            f"a trusted proxy wrote {text[:60]!r} into X-Forwarded-For, which is no address; mend the proxy",
        ) from error


def length_of(fixed: bytes) -> int:
    """Return how many bytes of a PROXY header follow its first 16. Raises Invalid. Spec: proxy-protocol.txt, 2.2."""
    if len(fixed) != FIXED or not fixed.startswith(SIGNATURE):
        raise Invalid("the PROXY header does not begin as version 2 does; let the proxy send version 2")
    length = int(struct.unpack_from("!H", fixed, 14)[0])
    if length > LONGEST:
        raise Invalid(f"the PROXY header announces {length} bytes; at most {LONGEST} are read")
    return length


def parse_header(fixed: bytes, rest: bytes) -> Origin | None:
    """Return what a PROXY header tells; None for one that tells nothing (LOCAL: the proxy's own health check).

    Raises Invalid for anything but TCP over IPv4 or IPv6. Spec: proxy-protocol.txt, 2.2.
    """
    command, family = fixed[12], fixed[13]
    if command == _LOCAL:
        return None
    if command != _PROXY:
        raise Invalid(f"the PROXY header has the version and command {command:#04x}, which nobody defined")
    if family == _TCP4:
        form = "!4s4sHH"
    elif family == _TCP6:
        form = "!16s16sHH"
    else:
        raise Invalid(f"the PROXY header is for the family {family:#04x}; scr serves TCP over IPv4 and IPv6")
    size = struct.calcsize(form)
    if len(rest) < size:
        raise Invalid("the PROXY header is shorter than its addresses")
    _check_values(rest[size:])
    source, target, source_port, target_port = struct.unpack_from(form, rest)
    return Origin(
        (str(_plain(ipaddress.ip_address(source))), int(source_port)),
        (str(_plain(ipaddress.ip_address(target))), int(target_port)),
    )


def _check_values(rest: bytes) -> None:
    """Check that further values fill the rest exactly. Raises Invalid. Spec: proxy-protocol.txt, 2.2.1 on."""
    at = 0
    while at < len(rest):
        if len(rest) - at < 3:
            raise Invalid("the PROXY header ends within a value")
        at += 3 + int(struct.unpack_from("!H", rest, at + 1)[0])
    if at != len(rest):
        raise Invalid("a value of the PROXY header is longer than the header")


def _plain(address: IpAddress) -> IpAddress:
    """Return an IPv4-mapped IPv6 address as the IPv4 address that it is."""
    return getattr(address, "ipv4_mapped", None) or address
