"""What somebody may hand on: compared with what they may do themselves, asked one resource at a time."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.access import ALWAYS, AccessPolicy, Action, Conditions, Statement
from appliance.domain.giving import MOST, Holdings, denied_by, is_within
from appliance.domain.moment import SECOND, Timestamp
from appliance.domain.rights import Rights

BASE = "srn:scr:a1:"
PAY, WEB = f"{BASE}registry/local/repository/pay", f"{BASE}registry/local/repository/web"
API = f"{PAY}/image/api"
PULL, PUSH = "PullRepositoryImages", "PushRepositoryImages"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def allow(resource: str = PAY, *actions: str, conditions: Conditions = ALWAYS) -> Statement:
    return Statement("allow", actions or (PULL,), (resource,), conditions)


def deny(resource: str = PAY, *actions: str, conditions: Conditions = ALWAYS) -> Statement:
    return Statement("deny", actions or ("*",), (resource,), conditions)


@pytest.mark.parametrize(
    ("own", "given_", "is_given"),
    [
        ([allow("*", "*")], allow("*", "*"), True),
        ([allow(PAY)], allow(PAY), True),
        ([allow(PAY)], allow(API), True),  # an action on a repository means its images
        ([allow(PAY)], allow(f"{PAY}/image/*"), True),
        ([allow(PAY)], allow(WEB), False),
        ([allow(PAY)], allow(PAY, PUSH), False),
        ([allow(PAY)], allow(f"{PAY}*"), False),  # pay-next-door too
        ([allow(API)], allow(PAY), False),
        ([allow(f"{BASE}registry/local/*")], allow(f"{BASE}registry/local/repository/p*"), True),
        ([allow(f"{BASE}registry/local/*")], allow(f"{BASE}registry/*"), False),
        ([allow(PAY, PULL, PUSH)], allow(PAY, "Pu*"), True),
        ([allow(PAY, PULL)], allow(PAY, "*"), False),
        ([allow("*", "*"), deny(PAY)], allow(PAY), False),
        ([allow("*", "*"), deny(PAY)], allow(API), False),  # a deny of a repository means its images
        ([allow("*", "*"), deny(API)], allow(PAY), False),
        ([allow("*", "*"), deny(API)], allow(f"{PAY}/image/web"), True),
        ([allow("*", "*"), deny(PAY)], allow(f"{PAY}/image/a*"), False),
        ([allow("*", "*"), deny(PAY)], allow(WEB), True),
        ([allow("*", "*"), deny(PAY, PUSH)], allow(PAY, PULL), True),
        ([allow("*", "*"), deny(f"{BASE}registry/*/repository/pay")], allow(f"{BASE}registry/local/*"), False),
        ([allow("*", "*"), deny(f"{BASE}user/ann")], allow(f"{BASE}user/annabel", "*"), True),
        ([deny(PAY)], allow(PAY), False),
        ([], allow(PAY), False),
        ([], deny(PAY), True),  # to take away is not to give
    ],
)
def test_only_what_is_had_is_given(own: list[Statement], given_: Statement, *, is_given: bool) -> None:
    assert (Holdings(own).find_excess([given_]) is None) is is_given


def test_what_is_missing_is_named() -> None:
    excess = Holdings([allow(PAY)]).find_excess([allow(PAY), allow(WEB)])

    assert excess is not None
    assert (excess.action, excess.resource) == (Action.PULL, WEB)


def test_a_deny_that_is_handed_on_as_well_stands_in_nobodys_way() -> None:
    holdings = Holdings([allow("*", "*"), deny(PAY)])

    assert holdings.find_excess([allow("*", "*"), deny(PAY)]) is None
    assert holdings.find_excess([allow("*", "*"), deny(WEB)]) is not None
    assert holdings.find_excess(denied_by([deny(PAY)])) is not None  # taking the deny away from another


OFFICE = Conditions(applied_addresses=("10.0.0.0/8",))


@pytest.mark.parametrize(
    ("narrow", "wide", "holds"),
    [
        (OFFICE, ALWAYS, True),
        (ALWAYS, OFFICE, False),
        (OFFICE, OFFICE, True),
        (Conditions(applied_addresses=("10.1.0.0/16",)), OFFICE, True),
        (Conditions(applied_addresses=("10.1.0.0/16", "192.0.2.1")), OFFICE, False),
        (Conditions(applied_addresses=("2001:db8::/32",)), OFFICE, False),
        (Conditions(excluded_addresses=("10.0.0.0/8",)), Conditions(excluded_addresses=("10.1.0.0/16",)), True),
        (ALWAYS, Conditions(excluded_addresses=("10.1.0.0/16",)), False),
        (ALWAYS, Conditions(not_after=NOON), False),
        (Conditions(not_after=NOON), Conditions(not_after=NOON), True),
        (Conditions(not_after=NOON.replace(hour=13)), Conditions(not_after=NOON), False),
        (Conditions(not_before=NOON), Conditions(not_before=NOON.replace(hour=11)), True),
        (Conditions(not_before=NOON.replace(hour=10)), Conditions(not_before=NOON.replace(hour=11)), False),
    ],
)
def test_conditions_may_be_narrower_and_never_wider(narrow: Conditions, wide: Conditions, *, holds: bool) -> None:
    assert is_within(narrow, wide) is holds
    assert (Holdings([allow(conditions=wide)]).find_excess([allow(conditions=narrow)]) is None) is holds


def test_what_takes_too_long_to_tell_is_not_given() -> None:
    own = [Statement("allow", (PULL,), tuple(f"{BASE}registry/r{number}*x" for number in range(1000)))]
    asked = [Statement("allow", (PULL,), tuple(f"{BASE}registry/s{number}" for number in range(1000)))] * 3
    owned = [Statement("allow", (PULL,), (*own[0].resources, f"{BASE}registry/s*"))]

    assert len(own[0].resources) * 3000 > MOST
    excess = Holdings(owned).find_excess(asked)

    assert excess is not None
    assert "smaller" in excess.reason


PARTS = st.sampled_from(["r", "s", "*", "r*", "*s"])
PATTERNS = st.one_of(
    st.just("*"),
    st.builds(lambda one: f"{BASE}registry/{one}", PARTS),
    st.builds(lambda one, two: f"{BASE}registry/{one}/repository/{two}", PARTS, PARTS),
    st.builds(lambda one, two, three: f"{BASE}registry/{one}/repository/{two}/image/{three}", PARTS, PARTS, PARTS),
)
CONDITIONS = st.builds(
    Conditions,
    st.sampled_from([(), ("10.0.0.0/8",), ("10.0.0.1/32",)]),
    st.sampled_from([(), ("10.0.0.1/32",), ("10.0.0.0/24",)]),
    st.sampled_from([None, NOON]),
    st.sampled_from([None, NOON.replace(hour=13)]),
)
STATEMENTS = st.lists(
    st.builds(
        Statement,
        st.sampled_from(["allow", "allow", "deny"]),
        st.lists(st.sampled_from([PULL, PUSH, "Pu*", "*"]), min_size=1, max_size=2).map(tuple),
        st.lists(PATTERNS, min_size=1, max_size=2).map(tuple),
        CONDITIONS,
    ),
    max_size=4,
)
RESOURCES: list[Sequence[str]] = [
    *([f"{BASE}registry/{one}"] for one in ("r", "s", "rs")),
    *(
        [f"{BASE}registry/{one}/repository/{two}/image/{three}", f"{BASE}registry/{one}/repository/{two}"]
        for one in ("r", "rs")
        for two in ("r", "s", "rs")
        for three in ("r", "s/t")
    ),
]
MOMENTS = [Timestamp(int(NOON.replace(hour=hour).timestamp()) * SECOND) for hour in (11, 12, 14)]


@settings(max_examples=300)
@given(own=STATEMENTS, given_=STATEMENTS)
def test_whoever_gets_it_can_do_nothing_that_the_giver_could_not(own: list[Statement], given_: list[Statement]) -> None:
    if Holdings(own).find_excess(given_) is not None:
        return
    giver, taker = Rights([AccessPolicy("own", tuple(own))]), Rights([AccessPolicy("given", tuple(given_))])

    for action in (Action.PULL, Action.PUSH, Action.MANAGE_USER):
        for resources in RESOURCES:
            for address in ("10.0.0.1", "10.0.0.200", "10.1.0.1", "192.0.2.1"):
                for now in MOMENTS:
                    if taker.evaluate(action, resources, address, now).allowed:
                        assert giver.evaluate(action, resources, address, now).allowed
