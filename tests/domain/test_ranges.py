"""Membership: the answer is always the standard library's own, only faster."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.ranges import Ranges, Span, read_span

Network = IPv4Network | IPv6Network
NUMBERS = {4: st.integers(0, (1 << 32) - 1), 6: st.integers(0, (1 << 128) - 1)}


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Draw networks of any length, often near each other so that they touch, overlap and repeat."""
    version = draw(st.sampled_from([4, 6]))
    bits = 32 if version == 4 else 128
    number = draw(st.one_of(st.integers(0, 40), NUMBERS[version]))
    length = draw(st.integers(max(0, bits - 6), bits) | st.integers(0, bits))
    first = number >> (bits - length) << (bits - length)
    return IPv4Network((first, length)) if version == 4 else IPv6Network((first, length))


def _span(network: Network) -> Span:
    found = read_span(str(network))
    assert found is not None
    return found


@given(st.lists(networks(), max_size=30), st.data())
def test_membership_is_what_ipaddress_says(listed: list[Network], data: st.DataObject) -> None:
    edges = [edge + step for one in listed for edge in (int(one[0]), int(one[-1])) for step in (-1, 0, 1)]
    version = data.draw(st.sampled_from([4, 6]))
    last = (1 << (32 if version == 4 else 128)) - 1
    number = data.draw(st.sampled_from(edges or [0]) | NUMBERS[version])
    least = 0 if version == 4 else 1 << 32  # below, the library would make an IPv4 address of it
    address = ip_address(min(max(number, least), last))
    ranges = Ranges(map(_span, listed))

    found = ranges.has(str(address))

    plain = getattr(address, "ipv4_mapped", None) or address
    assert found == any(plain in network for network in listed)


@given(st.lists(networks(), max_size=30))
def test_ranges_are_merged_and_in_order(listed: list[Network]) -> None:
    spans = Ranges(map(_span, listed)).spans()

    for before, after in pairwise(spans):
        assert before.version < after.version or before.last + 1 < after.first
    assert all(Ranges(spans).covers(_span(network)) for network in listed)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.7", "::ffff:10.0.0.7", "::FFFF:a00:7", "::ffff:10.0.0.7%eth0", "fe80::7", "fe80::7%eth0", "FE80:0::7"],
)
def test_every_spelling_of_an_address_is_the_same_address(address: str) -> None:
    ranges = Ranges(map(_span, [ip_network("10.0.0.0/24"), ip_network("fe80::/64")]))

    assert ranges.has(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "10.0.0", "10.0.0.7:80", "[::1]", "010.0.0.7", "local", "\0", "\ud800"]
)
def test_what_is_no_address_is_in_nothing(text: str) -> None:
    everything = Ranges(map(_span, [ip_network("0.0.0.0/0"), ip_network("::/0")]))

    assert not everything.has(text)


@given(st.text(max_size=50) | st.from_regex(r"[0-9a-f:.]{1,40}(/[0-9]{1,4})?", fullmatch=True))
def test_a_text_is_a_span_exactly_where_ipaddress_takes_it_as_a_network(text: str) -> None:
    found = read_span(text)

    if found is not None:  # the library takes more: masks as addresses, lengths with zeros in front
        network = ip_network(text)
        assert (network.version, int(network[0]), int(network[-1])) == (found.version, found.first, found.last)


@given(st.sampled_from([4, 6]), st.integers(0, 2000), st.integers(0, 2000))
def test_a_span_is_spelled_out_in_as_few_networks_as_ipaddress_needs(version: int, first: int, more: int) -> None:
    span = Span(version, first, first + more)
    make = ip_address("0.0.0.0" if version == 4 else "::").__class__  # noqa: S104 - an address to begin from

    told = [ip_network(str(one)) for one in span.networks()]

    assert told == list(summarize_address_range(make(span.first), make(span.last)))
