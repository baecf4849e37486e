"""Whose word counts for a client's address."""

import struct
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import Invalid
from appliance.http.proxy import FIXED, LONGEST, SIGNATURE, Origin, TrustedProxies, address_of, length_of, parse_header

TRUSTED = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.1")])


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0", "192.0.2.1"])
def test_an_address_of_a_trusted_network_is_trusted(address: str) -> None:
    assert TRUSTED.trusts(address)


@pytest.mark.parametrize("address", ["11.0.0.1", "::1", "192.0.2.2", "", "localhost", "10.1", "fe80::1%eth0"])
def test_any_other_is_not(address: str) -> None:
    assert not TRUSTED.trusts(address)


def test_nobody_is_trusted_unless_configured() -> None:
    assert not TrustedProxies()
    assert not TrustedProxies().trusts("127.0.0.1")


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([b"198.51.100.7"], "198.51.100.7"),
        ([b"203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # the left one is the client's own claim
        ([b"203.0.113.9", b"198.51.100.7"], "198.51.100.7"),  # several lines are one list
        ([b"203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),  # a second proxy of ours
        ([b"203.0.113.9, 198.51.100.7", b"10.0.0.2, fd00::5"], "198.51.100.7"),
        ([b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # all are ours: the farthest
        ([b"198.51.100.7:4711"], "198.51.100.7"),
        ([b"[2001:db8::7]:4711"], "2001:db8::7"),
        ([b"[2001:db8::7]"], "2001:db8::7"),
        ([b"2001:DB8::7"], "2001:db8::7"),
        ([b"fe80::7%eth0"], "fe80::7"),
        ([b"::ffff:198.51.100.7"], "198.51.100.7"),
        ([b"198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7"),
        ([b'"198.51.100.7"'], "198.51.100.7"),
        ([b" , 198.51.100.7 ,, "], "198.51.100.7"),
        ([], "10.0.0.1"),
        ([b""], "10.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_hop_that_is_not_ours(lines: list[bytes], client: str) -> None:
    assert TRUSTED.client_of("10.0.0.1", lines) == client


def test_nobody_else_may_tell_an_address() -> None:
    assert TRUSTED.client_of("198.51.100.7", [b"10.0.0.1"]) == "198.51.100.7"


@pytest.mark.parametrize(
    "text", ["unknown", "_hidden", "1.2.3", "1.2.3.4.5", "localhost", "[::1", "a:b", "\xff", "1.2.3.4 5"]
)
def test_a_trusted_hop_that_writes_no_address_is_no_reason_to_guess(text: str) -> None:
    with pytest.raises(Invalid, match="no address"):
        TRUSTED.client_of("10.0.0.1", [b"203.0.113.9, " + text.encode("latin-1")])


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_spelling_of_an_address_is_the_same_address(address: object, port: int) -> None:
    plain = ip_address(str(address))
    expected = str(getattr(plain, "ipv4_mapped", None) or plain)
    bracketed = f"[{address}]" if plain.version == 6 else str(address)

    assert address_of(str(address)) == address_of(f"{bracketed}:{port}") == expected


def _header(body: bytes, command: int = 0x21, family: int = 0x11) -> tuple[bytes, bytes]:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)), body


V4 = ip_address("198.51.100.7").packed + ip_address("192.0.2.1").packed + struct.pack("!HH", 4711, 443)
V6 = ip_address("2001:db8::7").packed + ip_address("2001:db8::1").packed + struct.pack("!HH", 4711, 443)


def test_a_header_of_version_2_tells_both_ends() -> None:
    assert parse_header(*_header(V4)) == Origin(("198.51.100.7", 4711), ("192.0.2.1", 443))
    assert parse_header(*_header(V6, family=0x21)) == Origin(("2001:db8::7", 4711), ("2001:db8::1", 443))


def test_values_behind_the_addresses_are_read_over() -> None:
    values = b"\x01\x00\x02h2" + b"\x04\x00\x00"

    assert parse_header(*_header(V4 + values)) == Origin(("198.51.100.7", 4711), ("192.0.2.1", 443))


def test_a_local_header_tells_nothing() -> None:
    assert parse_header(*_header(b"", command=0x20, family=0x00)) is None


@pytest.mark.parametrize(
    ("body", "command", "family"),
    [
        (V4, 0x22, 0x11),  # no such command
        (V4, 0x11, 0x11),  # version 1 in the place of 2
        (V4, 0x21, 0x12),  # UDP
        (V4, 0x21, 0x31),  # a Unix socket
        (V4, 0x21, 0x00),  # nothing known, which only LOCAL may say
        (V4[:-1], 0x21, 0x11),
        (V4, 0x21, 0x21),  # the addresses of IPv4 for IPv6
        (V4 + b"\x01", 0x21, 0x11),
        (V4 + b"\x01\x00\x05ab", 0x21, 0x11),
    ],
)
def test_a_header_that_is_not_whole_is_refused(body: bytes, command: int, family: int) -> None:
    with pytest.raises(Invalid):
        parse_header(*_header(body, command, family))


def test_a_header_is_bounded() -> None:
    assert length_of(_header(b"x" * LONGEST)[0]) == LONGEST
    with pytest.raises(Invalid, match="at most"):
        length_of(_header(b"x" * (LONGEST + 1))[0])


@given(st.binary(min_size=FIXED, max_size=FIXED), st.binary(max_size=64))
def test_any_bytes_are_a_header_or_refused(fixed: bytes, rest: bytes) -> None:
    try:
        length_of(fixed)
        parse_header(fixed, rest)
    except Invalid:
        return


@given(st.sampled_from([0x20, 0x21, 0x22]), st.sampled_from([0x11, 0x21, 0x12]), st.binary(max_size=64))
def test_any_bytes_behind_the_signature_are_a_header_or_refused(command: int, family: int, body: bytes) -> None:
    fixed, rest = _header(body, command, family)
    try:
        found = parse_header(fixed, rest)
    except Invalid:
        return
    assert found is None or str(ip_address(found.client[0])) == found.client[0]
