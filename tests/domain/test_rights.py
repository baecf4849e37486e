"""Conditions, remembered decisions and public registries; the plain rules stand in test_access.py."""

import ipaddress
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.access import AccessPolicy, Action, Conditions, Statement, srn
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.rights import Rights

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
AT_NOON = Timestamp(int(NOON.timestamp() * 1000))
PAY = (srn("a1", "local", "pay", "api"), srn("a1", "local", "pay"))


WEB = (srn("a1", "local", "web", "api"), srn("a1", "local", "web"))


def rights(*statements: Statement) -> Rights:
    return Rights([AccessPolicy("p", statements)])


def allow(conditions: Conditions, resource: str = "*") -> Statement:
    return Statement("allow", ("*",), (resource,), conditions)


def may(one: Rights, *, address: str = "192.0.2.1", now: int = AT_NOON) -> bool:
    return one.evaluate(Action.PULL, PAY, address, Timestamp(now)).allowed


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.9.0.1", False),  # excluded
        ("192.0.2.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("local", False),
        ("", False),
    ],
)
def test_a_statement_counts_from_its_addresses_less_the_excluded(address: str, *, expected: bool) -> None:
    one = rights(
        allow(Conditions(applied_addresses=("10.0.0.0/8", "2001:db8::/32"), excluded_addresses=("10.9.0.0/16",)))
    )

    assert may(one, address=address) is expected


def test_a_denial_that_asks_for_an_address_holds_for_somebody_who_has_none() -> None:
    denied = Statement("deny", ("*",), ("*",), Conditions(applied_addresses=("10.0.0.0/8",)))

    assert not may(rights(allow(Conditions()), denied), address="local")
    assert may(rights(allow(Conditions()), denied), address="192.0.2.1")


@pytest.mark.parametrize(("offset", "expected"), [(-1, False), (0, True), (DAY - 1, True), (DAY, False)])
def test_a_statement_counts_from_its_first_moment_up_to_its_last(offset: int, *, expected: bool) -> None:
    window = Conditions(not_before=NOON, not_after=datetime(2026, 6, 2, 12, tzinfo=UTC))

    assert may(rights(allow(window)), now=AT_NOON + offset) is expected


def test_what_was_decided_is_not_remembered_past_a_moment_or_for_another_address() -> None:
    one = rights(allow(Conditions(not_after=NOON)), allow(Conditions(applied_addresses=("10.0.0.0/8",))))

    assert may(one, now=AT_NOON - 1)
    assert not may(one, now=AT_NOON)
    assert may(one, address="10.0.0.1", now=AT_NOON)
    assert may(one, now=AT_NOON - 1)  # a clock that was set back


def test_an_action_on_a_repository_means_all_its_images_and_no_neighbour() -> None:
    one = rights(allow(Conditions(), srn("a1", "local", "pay")))

    assert may(one)
    for other in ("pay2", "pa", "play"):
        resources = (srn("a1", "local", other, "api"), srn("a1", "local", other))
        assert not one.evaluate(Action.PULL, resources, "", AT_NOON).allowed


def test_a_denial_on_the_repository_holds_for_an_image_that_is_allowed() -> None:
    denied = Statement("deny", (Action.PULL,), (srn("a1", "local", "pay"),))

    assert not may(rights(denied, allow(Conditions(), PAY[0])))


def test_a_public_registry_is_pulled_from_by_anybody_and_nothing_else() -> None:
    nobody = Rights((), public=[("a1", "local")])
    registry = (srn("a1", "local"),)

    assert may(nobody)
    assert nobody.evaluate(Action.LOGIN, registry, "", AT_NOON).allowed
    assert not any(nobody.evaluate(action, PAY, "", AT_NOON).allowed for action in Action if action != Action.PULL)
    assert not nobody.evaluate(Action.PULL, (srn("a1", "other", "a"),), "", AT_NOON).allowed
    assert not nobody.evaluate(Action.PULL, (srn("a1", "local2", "a"),), "", AT_NOON).allowed


def test_an_explicit_denial_counts_on_a_public_registry_too() -> None:
    denied = AccessPolicy("no", (Statement("deny", (Action.PULL,), ("*",)),))

    assert not may(Rights([denied], public=[("a1", "local")]))


def test_the_reason_names_policy_and_statement() -> None:
    one = rights(allow(Conditions(not_after=NOON)), allow(Conditions(), "srn:scr:*:registry/l*/repository/pay"))

    verdict = one.evaluate(Action.PULL, PAY, "", AT_NOON)

    assert (verdict.allowed, verdict.reason) == (True, "policy p allows PullRepositoryImages (statement 2)")


def plainly(policies: list[AccessPolicy], action: str, resources: tuple[str, ...], address: str, now: int) -> bool:
    """Read the policies as the design says it, one statement after the other."""
    effects = set()
    for statement in (one for policy in policies for one in policy.statements):
        conditions = statement.conditions
        moment = datetime.fromtimestamp(now / 1000, UTC)
        applied = [ipaddress.ip_network(text) for text in conditions.applied_addresses]
        excluded = [ipaddress.ip_network(text) for text in conditions.excluded_addresses]
        place = ipaddress.ip_address(address)
        if (
            any(fits(pattern, action) for pattern in statement.actions)
            and any(fits(pattern, name) for pattern in statement.resources for name in resources)
            and (not applied or any(place in network for network in applied))
            and not any(place in network for network in excluded)
            and (conditions.not_before is None or conditions.not_before <= moment)
            and (conditions.not_after is None or moment < conditions.not_after)
        ):
            effects.add(statement.effect)
    return effects == {"allow"}


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text) is not None


MOMENTS = [None, *(NOON + timedelta(hours=hours) for hours in (-2, 0, 3))]
STATEMENTS = st.builds(
    Statement,
    st.sampled_from(["allow", "allow", "deny"]),
    st.lists(st.sampled_from([*Action, "*", "View*", "P*"]), min_size=1, max_size=2).map(tuple),
    st.lists(
        st.sampled_from(["*", *PAY, "srn:scr:a1:registry/local/*", "srn:*api", "srn:scr:*:registry/*/image/a*"]),
        min_size=1,
        max_size=2,
    ).map(tuple),
    st.builds(
        Conditions,
        st.sampled_from([(), ("10.0.0.0/8",), ("10.0.0.0/8", "192.0.2.0/24")]),
        st.sampled_from([(), ("10.1.0.0/16",)]),
        st.sampled_from(MOMENTS),
        st.sampled_from(MOMENTS),
    ),
)
POLICIES = st.lists(st.builds(AccessPolicy, st.just("p"), st.lists(STATEMENTS, max_size=3).map(tuple)), max_size=4)
QUESTIONS = st.lists(
    st.tuples(
        st.sampled_from(Action),
        st.sampled_from([PAY, PAY[1:], (srn("a1", "local"),), WEB]),
        st.sampled_from(["10.0.0.1", "10.1.0.1", "192.0.2.9", "203.0.113.1"]),
        st.sampled_from([AT_NOON + hours * 3_600_000 for hours in (-3, -2, -1, 0, 2, 3, 4)]),
    ),
    min_size=1,
    max_size=8,
)


@given(POLICIES, QUESTIONS)
def test_what_is_compiled_and_remembered_says_what_reading_it_says(
    policies: list[AccessPolicy], questions: list[tuple[Action, tuple[str, ...], str, int]]
) -> None:
    compiled = Rights(policies)

    for action, resources, address, now in questions:
        verdict = compiled.evaluate(action, resources, address, Timestamp(now))
        assert verdict.allowed is plainly(policies, action, resources, address, now)
