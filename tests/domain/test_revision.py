import msgspec
import pytest

from appliance.domain.image_policy import ImagePolicy, PullLimit
from appliance.domain.revision import ANY, Expected, changes
from appliance.errors import Stale


class Thing(msgspec.Struct):
    name: str = "a"
    size: int = 1
    policy: ImagePolicy = ImagePolicy()


def test_an_edit_of_what_was_read_passes() -> None:
    Expected(frozenset({1, 3})).check(3, "thing a")
    ANY.check(7, "thing a")


def test_an_edit_of_what_has_changed_is_stale() -> None:
    with pytest.raises(Stale, match="thing a was changed since you read it"):
        Expected(frozenset({1, 3})).check(2, "thing a")


def test_changes_name_only_what_differs() -> None:
    found = changes(Thing(), Thing(size=2, policy=ImagePolicy(pull_limit=PullLimit(refuse_high=True))))

    assert found == {
        "before": {"size": 1, "policy": {"pullLimit": {"refuseHigh": False}}},
        "after": {"size": 2, "policy": {"pullLimit": {"refuseHigh": True}}},
    }


def test_no_change_is_none() -> None:
    assert changes(Thing(), Thing()) is None
