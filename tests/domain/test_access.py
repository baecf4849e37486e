import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.access import BUILT_IN, AccessPolicy, Action, Statement, matches, srn
from appliance.domain.moment import Timestamp
from appliance.domain.rights import Rights, Verdict

PAY = srn("a1", "local", "pay", "api")


def policy(effect: str, actions: tuple[str, ...], resources: tuple[str, ...] = ("*",)) -> AccessPolicy:
    return AccessPolicy(f"{effect} {actions}", (Statement(effect, actions, resources),))


def evaluate(policies: Iterable[AccessPolicy], action: Action, resource: str) -> Verdict:
    return Rights(policies).evaluate(action, (resource,), "192.0.2.1", Timestamp(0))


ALLOW, DENY = policy("allow", ("*",)), policy("deny", (Action.PUSH,))


def test_without_a_policy_everything_is_denied() -> None:
    verdict = evaluate((), Action.PULL, PAY)

    assert not verdict.allowed
    assert Action.PULL in verdict.reason


@pytest.mark.parametrize("policies", [(ALLOW, DENY), (DENY, ALLOW)])
def test_a_deny_wins_wherever_it_stands(policies: tuple[AccessPolicy, ...]) -> None:
    verdict = evaluate(policies, Action.PUSH, PAY)

    assert not verdict.allowed
    assert DENY.name in verdict.reason
    assert evaluate(policies, Action.PULL, PAY).allowed


@pytest.mark.parametrize("effect", ["Deny", "DENY", "", "denied", "Allow"])
def test_an_effect_that_is_no_word_of_ours_lets_nobody_in(effect: str) -> None:
    assert not evaluate((ALLOW, policy(effect, ("*",))), Action.PULL, PAY).allowed
    assert not evaluate((policy(effect, ("*",)),), Action.PULL, PAY).allowed


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("ScrPullOnlyAccess", {Action.LOGIN, Action.PULL}),
        ("ScrPullPushOnlyAccess", {Action.LOGIN, Action.PULL, Action.PUSH}),
        ("ScrViewOnlyAccess", {action for action in Action if action.startswith("View")}),
        ("ScrFullAccess", set(Action)),
    ],
)
def test_built_in_policies_allow_what_their_names_say(name: str, may: set[Action]) -> None:
    assert {action for action in Action if evaluate((BUILT_IN[name],), action, PAY).allowed} == may


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("srn:scr:a1:registry/local/repository/pay/*", PAY, True),
        ("srn:scr:a1:registry/local/repository/pay", PAY, False),
        ("srn:scr:a1:registry/local/repository/pa*i", PAY, True),
        ("srn:scr:a1:registry/local/repository/pay/image/ap", PAY, False),
        ("srn:scr:a1:registry/local/repository/pay/image/api", PAY, True),
        ("srn:scr:a.:registry*", PAY, False),
        ("*", "", True),
        ("", "", True),
        ("", "a", False),
        ("ab*ba", "aba", False),
        ("a*a", "a", False),
        ("**a**", "cat", True),
        ("*\n*", "a\nb", True),
    ],
)
def test_a_star_is_any_text_and_nothing_else_is_special(pattern: str, text: str, *, expected: bool) -> None:
    assert matches(pattern, text) is expected


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_matching_is_what_a_regular_expression_would_say(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.DOTALL) is not None

    assert matches(pattern, text) is expected


def test_a_pattern_of_many_stars_ends() -> None:
    assert not matches("*a" * 200 + "*b", "a" * 5000)


@given(
    st.lists(
        st.builds(
            policy,
            st.sampled_from(["allow", "deny"]),
            st.tuples(st.sampled_from([*Action, "*", "View*"])),
            st.tuples(st.sampled_from(["*", PAY, "srn:scr:a1:*", "other"])),
        ),
        max_size=5,
    ),
    st.sampled_from(Action),
    st.data(),
)
def test_more_denials_never_allow_more(policies: list[AccessPolicy], action: Action, data: st.DataObject) -> None:
    before = evaluate(policies, action, PAY)
    at = data.draw(st.integers(0, len(policies)))
    denial = policy("deny", (data.draw(st.sampled_from([*Action, "*"])),))

    after = evaluate([*policies[:at], denial, *policies[at:]], action, PAY)

    assert before.allowed or not after.allowed
