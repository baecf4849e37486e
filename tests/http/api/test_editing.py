import msgspec
import pytest

from appliance.domain.revision import Expected
from appliance.http.api.editing import apply, expected, with_etag


class Thing(msgspec.Struct, frozen=True):
    name: str = "a"
    size: int | None = 1


class ThingEdit(msgspec.Struct):
    name: str | msgspec.UnsetType = msgspec.UNSET
    size: int | msgspec.UnsetType | None = msgspec.UNSET


@pytest.mark.parametrize(
    ("header", "among"),
    [
        (None, None),
        ("*", None),
        ('"3"', {3}),
        ('"3", "12"', {3, 12}),
        ('W/"3"', set()),
        ("3", set()),
        ('"of another make"', set()),
        ("", set()),
    ],
)
def test_if_match_is_read_as_the_standard_says(header: str | None, among: set[int] | None) -> None:
    assert expected(header) == Expected(None if among is None else frozenset(among))


def test_only_fields_that_were_sent_change() -> None:
    assert apply(msgspec.json.decode(b'{"size": null}', type=ThingEdit), Thing()) == Thing(size=None)
    assert apply(msgspec.json.decode(b"{}", type=ThingEdit), Thing()) == Thing()


def test_an_answer_bears_its_revision() -> None:
    assert with_etag(Thing(), 5).headers["ETag"] == '"5"'
