"""Conditions, remembered decisions and public registries; the plain rules stand in test_access.py."""

from datetime import UTC, datetime

import pytest

from appliance.domain.access import AccessPolicy, Action, Conditions, Statement, srn
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.rights import Rights

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
AT_NOON = Timestamp(int(NOON.timestamp() * 1000))
PAY = (srn("a1", "local", "pay", "api"), srn("a1", "local", "pay"))


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
