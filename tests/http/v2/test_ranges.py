import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.errors import OutOfRange, UploadInvalid
from appliance.http.v2.ranges import parse_chunk, parse_range

_PAIR = st.tuples(st.none() | st.integers(0, 120), st.none() | st.integers(0, 120)).filter(
    lambda pair: pair != (None, None)
)


def expected(first: int | None, last: int | None, size: int) -> range:
    """Return the bytes a range asks for. Spec: RFC 9110, 14.1.2."""
    if first is None:
        return range(max(size - (last or 0), 0), size)
    return range(first, size if last is None else min(last + 1, size))


@given(st.lists(_PAIR, min_size=1, max_size=4), st.integers(1, 100))
def test_the_first_range_that_is_there_is_served(pairs: list[tuple[int | None, int | None]], size: int) -> None:
    text = "bytes=" + ",".join(f"{'' if a is None else a}-{'' if b is None else b}" for a, b in pairs)
    wanted = [part for a, b in pairs if (part := expected(a, b, size))]

    if wanted:
        found = parse_range(text, size)
        assert found is not None
        assert range(*found) == wanted[0]
    else:
        with pytest.raises(OutOfRange) as refused:
            parse_range(text, size)
        assert refused.value.size == size


@given(st.text(max_size=40) | st.text("bytes=-,0123456789 ", max_size=40), st.integers(0, 1 << 40))
@example("bytes=" + "9" * 19 + "-" + "9" * 19, 5)
@example("bytes=-" + "9" * 19, 5)
@example("bytes=0-" + "9" * 30, 5)
def test_whatever_is_asked_for_is_within_the_content(text: str, size: int) -> None:
    try:
        found = parse_range(text, size)
    except OutOfRange:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@given(st.integers(0, 10**18), st.integers(1, 10**6))
def test_a_chunk_is_its_first_and_last_byte(first: int, length: int) -> None:
    last = first + length - 1

    for text in (f"{first}-{last}", f"bytes {first}-{last}/*", f" {first}-{last} ", f"bytes={first}-{last}/{last + 1}"):
        assert parse_chunk(text) == (first, last)


@given(st.text(max_size=30) | st.text("bytes =-/*0123456789", max_size=30))
def test_any_text_is_a_chunk_or_refused(text: str) -> None:
    try:
        first, last = parse_chunk(text)
    except UploadInvalid:
        return
    assert 0 <= first <= last + 1
