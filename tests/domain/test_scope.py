"""The grammar of scopes: whatever clients write gets what it means or less, and never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.access import Action
from appliance.domain.names import parse_image_path
from appliance.domain.scope import MAX_BYTES, WORDS, narrow, parse_scopes

PAY = parse_image_path("pay/api")
SCOPES = st.lists(
    st.builds(
        "{}:{}:{}".format,
        st.sampled_from(["repository", "registry", "repository(plugin)", "Repository", "", "x"]),
        st.sampled_from(["pay/api", "alpine", "catalog", "management", "h:5000/pay/api", "../x", "a:b:c", ""]),
        st.sampled_from(["pull", "pull,push", "push,pull,delete", "*", "view", "pull,*", "", ","]),
    ),
    max_size=6,
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("repository:pay/api:push,pull", "repository:pay/api:pull,push"),
        ("repository:pay/api:pull repository:pay/api:push", "repository:pay/api:pull,push"),
        ("repository:pay/api:*", "repository:pay/api:pull,push,delete"),
        ("repository:alpine:pull", "repository:library/alpine:pull"),
        ("repository:h:5000/pay/api:pull", "repository:pay/api:pull"),
        ("registry:catalog:*", "registry:catalog:*"),
        ("registry:catalog:pull", ""),
        ("registry:management:view", "registry:management:view"),
        ("registry:management:view registry:management:*", "registry:management:*"),
        ("registry:management:pull", ""),
        ("repository:PAY:pull repository:a/../b:pull repository:pay/api", ""),
        ("Repository:pay/api:pull", ""),
    ],
)
def test_a_scope_is_read_and_written(text: str, written: str) -> None:
    assert str(parse_scopes([text])) == written


@given(SCOPES)
def test_what_was_written_is_read_as_the_same(texts: list[str]) -> None:
    scopes = parse_scopes(texts)

    assert parse_scopes([str(scopes)]) == scopes
    assert parse_scopes([" ".join(texts)]) == scopes


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_is_some_scope(texts: list[str]) -> None:
    scopes = parse_scopes(texts)

    assert parse_scopes([str(scopes)]) == scopes


@given(SCOPES, st.frozensets(st.sampled_from(list(WORDS.values()))))
def test_narrowing_keeps_what_may_be_done_and_adds_nothing(texts: list[str], may: frozenset[Action]) -> None:
    scopes = parse_scopes(texts)
    narrowed = narrow(scopes, lambda path, action: path == PAY and action in may)

    for path, actions in narrowed.images.items():
        assert path == PAY
        assert actions == scopes.images[path] & may
    for action in WORDS.values():
        assert narrowed.allows(action, PAY) is (scopes.allows(action, PAY) and action in may)


def test_a_flood_of_scopes_is_cut() -> None:
    scopes = parse_scopes([f"repository:many/image-{number}:pull" for number in range(100_000)])

    assert 0 < len(str(scopes)) <= MAX_BYTES


@pytest.mark.parametrize(
    ("word", "views", "manages"), [("view", True, False), ("*", True, True), ("pull", False, False)]
)
def test_management_is_looked_at_or_done(word: str, *, views: bool, manages: bool) -> None:
    scopes = parse_scopes([f"registry:management:{word}"])

    assert scopes.manages(Action.VIEW_REPOSITORY) is views
    assert scopes.manages(Action.MANAGE_REPOSITORY) is manages
    assert scopes.manages(Action.DELETE) is manages
