"""Sizes, lengths of time, reserves and addresses, as people write them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.quantities import (
    Duration,
    Reserve,
    Size,
    duration_text,
    parse_address,
    parse_duration,
    parse_interval,
    parse_reserve,
    parse_size,
    reserve_text,
    size_text,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("512B", 512), ("4MiB", 4 << 20), ("4 MiB", 4 << 20), ("10GB", 10**10), ("1TiB", 1 << 40)],
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "duration"),
    [("0", 0), ("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("24h", 86_400_000), ("400d", 34_560_000_000)],
)
def test_lengths_of_time_are_milliseconds(text: str, duration: int) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_size, "4M"),
        (parse_size, "-1"),
        (parse_size, "1.5GiB"),
        (parse_size, "4mib"),
        (parse_size, "9999999TiB"),
        (parse_size, "4MiB\n4MiB"),
        (parse_size, ""),
        (parse_duration, "30"),
        (parse_duration, "30 s"),
        (parse_duration, "1y"),
        (parse_duration, "-5s"),
        (parse_duration, "99999d"),
        (parse_interval, "0"),
        (parse_interval, "50ms"),
        (parse_reserve, "100%"),
        (parse_reserve, "-5%"),
        (parse_address, "5000"),
        (parse_address, "::1:5000"),
        (parse_address, "host:66000"),
        (parse_address, "a b:1"),
        (parse_address, "http://host:1"),
    ],
)
def test_what_is_meant_otherwise_is_refused_with_an_example(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match='like "'):
        parse(text)


def test_a_share_of_a_small_disk_is_never_less_than_256_mib() -> None:
    reserve = parse_reserve("5%")

    assert reserve.of(1 << 40) == (1 << 40) * 5 // 100
    assert reserve.of(1 << 30) == 256 << 20


def test_a_reserve_given_as_a_size_is_that_size_on_any_disk() -> None:
    assert parse_reserve("1MiB").of(1 << 20) == 1 << 20


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:5000", "127.0.0.1", 5000, True),
        ("127.9.9.9:1", "127.9.9.9", 1, True),
        ("[::1]:0", "::1", 0, True),
        ("LocalHost:80", "localhost", 80, True),
        (":5000", "", 5000, False),
        ("*:5000", "", 5000, False),
        ("0.0.0.0:5000", "0.0.0.0", 5000, False),  # noqa: S104 - what is tested
        ("[::]:5000", "::", 5000, False),
        ("localhost.example.com:1", "localhost.example.com", 1, False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(text: str, host: str, port: int, *, is_loopback: bool) -> None:
    address = parse_address(text)

    assert (address.host, address.port, address.is_loopback) == (host, port, is_loopback)


@given(st.integers(0, 1 << 60))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    assert parse_size(size_text(Size(size))) == size


@given(st.integers(0, 36_500 * 86_400_000))
def test_a_length_of_time_is_written_as_it_is_read(duration: int) -> None:
    assert parse_duration(duration_text(Duration(duration))) == duration


@pytest.mark.parametrize("text", ["5%", "0%", "12.5%", "10GiB", "0"])
def test_a_reserve_is_written_as_it_is_read(text: str) -> None:
    assert reserve_text(parse_reserve(text)) == text
    assert isinstance(parse_reserve(text), Reserve)
