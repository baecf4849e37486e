"""Tag deletion decided: the rules one by one, what is kept, what goes along; and laws that hold for any image."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.image_policy import TagDeletion
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest, Tag
from appliance.domain.retention import Candidate, Plan, Reason, TagState, plan

NOW = Timestamp(1_750_000_000_000)


def digest(name: object) -> Digest:
    return Digest("sha256:" + hashlib.sha256(str(name).encode()).hexdigest())


def made(
    name: object,
    days: float = 0,
    *tags: str,
    children: tuple[object, ...] = (),
    subject: object = None,
    pulled: float | None = None,
    locked: bool = False,
) -> Candidate:
    """Return a candidate that was pushed `days` ago."""
    return Candidate(
        digest(name),
        Timestamp(int(NOW - days * DAY)),
        None if pulled is None else Timestamp(int(NOW - pulled * DAY)),
        tuple(TagState(Tag(tag), locked) for tag in tags),
        tuple(digest(child) for child in children),
        None if subject is None else digest(subject),
    )


def policy(**fields: object) -> TagDeletion:
    return msgspec.structs.replace(TagDeletion(), **fields)


def going(found: Plan) -> dict[Digest, Reason]:
    return {verdict.digest: verdict.reason for verdict in found.going}


def kept(found: Plan) -> dict[Digest, Reason]:
    return {verdict.digest: verdict.reason for verdict in found.verdicts if not verdict.goes}


def signature_tag(name: object, end: str = ".sig") -> str:
    return digest(name).replace(":", "-") + end


OLD = policy(old=True, old_days=30)
UNTAGGED = policy(untagged=True, untagged_days=30)
COUNT = policy(count=True, keep_newest=2)


def test_without_a_rule_nothing_goes() -> None:
    found = plan(TagDeletion(enabled=True), [made(1, 4000), made(2, 4000, "a")], NOW)

    assert found.going == []
    assert set(kept(found).values()) == {Reason.NO_RULE}


@pytest.mark.parametrize(("days", "goes"), [(29.99, False), (30, True), (31, True)])
def test_old_counts_from_the_first_push(days: float, goes: bool) -> None:  # noqa: FBT001 - a table's column
    assert going(plan(OLD, [made(1, days, "a")], NOW)) == ({digest(1): Reason.OLD} if goes else {})


def test_untagged_takes_what_nothing_names_and_nothing_holds() -> None:
    candidates = [
        made("loose", 31),
        made("young", 29),
        made("tagged", 31, "a"),
        made("child", 31),
        made("index", 31, "b", children=("child",)),
        made("signature", 31, subject="tagged"),
        made("orphan", 31, subject="gone"),
    ]

    assert going(plan(UNTAGGED, candidates, NOW)) == {
        digest("loose"): Reason.UNTAGGED,
        digest("orphan"): Reason.UNTAGGED,
    }


def test_count_keeps_the_newest_digests_and_counts_neither_platforms_nor_signatures() -> None:
    candidates = []
    for number in range(4):
        candidates += [
            made(f"amd{number}", number + 0.2),
            made(f"arm{number}", number + 0.1),
            made(f"index{number}", number, f"v{number}", children=(f"amd{number}", f"arm{number}")),
            made(f"signature{number}", number, subject=f"index{number}"),
        ]

    found = going(plan(COUNT, candidates, NOW))

    assert found == {
        digest(f"{kind}{number}"): reason
        for number in (2, 3)
        for kind, reason in (
            ("index", Reason.COUNT),
            ("amd", Reason.WITH_INDEX),
            ("arm", Reason.WITH_INDEX),
            ("signature", Reason.WITH_SUBJECT),
        )
    }


def test_a_digest_goes_with_all_its_tags() -> None:
    found = plan(OLD, [made(1, 40, "a", "b", "c")], NOW)

    assert [verdict.tags for verdict in found.going] == [("a", "b", "c")]


def test_what_any_rule_chooses_goes() -> None:
    both = policy(old=True, old_days=30, untagged=True, untagged_days=5)

    assert going(plan(both, [made(1, 10), made(2, 40, "a"), made(3, 10, "b")], NOW)) == {
        digest(1): Reason.UNTAGGED,
        digest(2): Reason.OLD,
    }


def test_keep_rules_veto() -> None:
    keeping = policy(old=True, old_days=30, keep_patterns=("v*", "latest"), keep_pulled=True, keep_pulled_days=7)
    candidates = [
        made(1, 40, "v1", "other"),
        made(2, 40, "other2"),
        made(3, 40, "x", pulled=6),
        made(4, 40, "y", pulled=8),
        made(5, 40, "z", locked=True),
    ]

    found = plan(keeping, candidates, NOW)

    assert going(found) == {digest(2): Reason.OLD, digest(4): Reason.OLD}
    assert kept(found) == {digest(1): Reason.PATTERN, digest(3): Reason.PULLED, digest(5): Reason.LOCKED}


def test_what_is_kept_keeps_what_it_needs_at_any_depth() -> None:
    candidates = [
        made("image", 40),
        made("inner", 40, children=("image",)),
        made("outer", 40, "keep", children=("inner",)),
        made("sbom", 40, subject="image"),
        made("signature", 40, subject="sbom"),
    ]

    found = plan(policy(old=True, old_days=30, keep_patterns=("keep",)), candidates, NOW)

    assert found.going == []
    assert kept(found)[digest("image")] is Reason.LISTED
    assert kept(found)[digest("signature")] is Reason.REFERS


def test_what_two_indexes_list_goes_with_the_last_of_them() -> None:
    candidates = [
        made("shared", 50),
        made("first", 40, "a", children=("shared",)),
        made("second", 20, "b", children=("shared",)),
    ]

    assert going(plan(OLD, candidates, NOW)) == {digest("first"): Reason.OLD}
    assert set(going(plan(policy(old=True, old_days=10), candidates, NOW))) == {
        digest(name) for name in ("shared", "first", "second")
    }


def test_a_tagged_platform_of_a_kept_index_stays_and_of_a_gone_one_is_judged_by_itself() -> None:
    young = [made("amd", 40, "1-amd"), made("index", 20, "1", children=("amd",))]
    old = [made("amd", 20, "1-amd"), made("index", 40, "1", children=("amd",))]

    assert going(plan(OLD, young, NOW)) == {}
    assert going(plan(OLD, old, NOW)) == {digest("index"): Reason.OLD}


def test_signatures_kept_under_tags_go_with_what_they_sign_and_stay_with_it() -> None:
    candidates = [
        made("old", 40, "a"),
        made("old sig", 40, signature_tag("old")),
        made("young", 20, "b"),
        made("young sig", 40, signature_tag("young"), signature_tag("young", ".att")),
        made("list", 40, signature_tag("old", "")),
    ]

    assert going(plan(OLD, candidates, NOW)) == {
        digest("old"): Reason.OLD,
        digest("old sig"): Reason.WITH_SUBJECT,
        digest("list"): Reason.WITH_SUBJECT,
    }


def test_a_signature_of_what_is_not_here_is_a_tag_like_any_other() -> None:
    candidates = [made("sig", 40, signature_tag("elsewhere"))]

    assert going(plan(UNTAGGED, candidates, NOW)) == {}
    assert going(plan(OLD, candidates, NOW)) == {digest("sig"): Reason.OLD}


def test_a_lock_on_the_whole_image_keeps_all_and_says_which_it_is() -> None:
    found = plan(OLD, [made(1, 40, "a"), made(2, 40)], NOW, held="repository pay")

    assert found.going == []
    assert {verdict.text for verdict in found.verdicts} == {"repository pay is locked"}


def test_what_is_held_by_itself_alone_is_judged_like_anything_else() -> None:
    candidates = [made("child", 40), made("index", 40, children=("child",), subject="child")]

    assert plan(TagDeletion(), candidates, NOW).going == []
    assert len(plan(OLD, candidates, NOW).units) == 1
    assert set(going(plan(OLD, candidates, NOW))) == {digest("child"), digest("index")}


def test_a_clock_behind_the_pushes_lets_nothing_go() -> None:
    assert plan(OLD, [made(1, -100, "a"), made(2, -1)], NOW).going == []


def test_the_reasons_say_what_a_person_wants_to_know() -> None:
    candidates = [made(1, 40), made(2, 41, "b"), made(3, 1, "c"), made(4, 2, "d")]
    rules = policy(untagged=True, untagged_days=35, old=True, old_days=41, count=True, keep_newest=1)

    texts = {verdict.digest: verdict.text for verdict in plan(rules, candidates, NOW).verdicts}

    assert texts == {
        digest(1): "it has no tag and was pushed 40 days ago, 35 are the most",
        digest(2): "it was pushed 41 days ago, 41 are the most",
        digest(3): "no rule chooses it",
        digest(4): "it is number 2 by push, and the newest 1 are kept",
    }


_TAGS = st.lists(
    st.sampled_from(["v1", "v2", "rc", "x", signature_tag(0), signature_tag(1, ".att"), signature_tag(99)]),
    max_size=2,
    unique=True,
)


@st.composite
def images(draw: st.DrawFn) -> list[Candidate]:
    """An image of up to 10 manifests: each may list or refer to earlier ones, as real ones can."""
    found: list[Candidate] = []
    free = {"v1", "v2", "rc", "x", signature_tag(0), signature_tag(1, ".att"), signature_tag(99)}
    for number in range(draw(st.integers(0, 10))):
        earlier = st.integers(-1, number - 1)  # -1: something that is not here
        names = [tag for tag in draw(_TAGS) if tag in free]
        free -= set(names)
        found.append(
            made(
                number,
                draw(st.integers(0, 60)),
                *names,
                children=tuple(draw(st.lists(earlier, max_size=3))),
                subject=draw(st.none() | earlier),
                pulled=draw(st.none() | st.integers(0, 60)),
                locked=draw(st.booleans()) and draw(st.booleans()),
            )
        )
    return found


_POLICIES = st.builds(
    TagDeletion,
    untagged=st.booleans(),
    untagged_days=st.integers(1, 60),
    old=st.booleans(),
    old_days=st.integers(1, 60),
    count=st.booleans(),
    keep_newest=st.integers(1, 5),
    keep_patterns=st.sampled_from([(), ("v*",), ("rc", "x")]),
    keep_pulled=st.booleans(),
    keep_pulled_days=st.integers(1, 60),
)


@given(_POLICIES, images())
def test_nothing_locked_matched_or_needed_ever_goes(rules: TagDeletion, candidates: list[Candidate]) -> None:
    found = plan(rules, candidates, NOW)

    gone = set(going(found))
    by_digest = {one.digest: one for one in candidates}
    for one in candidates:
        if one.digest in gone:
            assert not any(tag.locked and not tag.name.startswith("sha256-") for tag in one.tags)
            continue
        assert not gone & set(one.children)  # a kept index has all that is here of what it lists
    for one in candidates:
        if one.subject in by_digest and one.subject not in gone:
            assert one.digest not in gone  # a kept manifest keeps its signatures


@given(_POLICIES, images())
def test_every_digest_has_one_verdict_and_what_goes_is_in_one_unit(
    rules: TagDeletion, candidates: list[Candidate]
) -> None:
    found = plan(rules, candidates, NOW)

    assert sorted(verdict.digest for verdict in found.verdicts) == sorted(one.digest for one in candidates)
    in_units = [one for unit in found.units for one in unit]
    assert sorted(in_units) == sorted(going(found))
    assert all(verdict.text for verdict in found.verdicts)


@given(_POLICIES, images(), st.integers(0, 10))
def test_broken_off_after_any_unit_it_goes_on_to_the_same_end(
    rules: TagDeletion, candidates: list[Candidate], units: int
) -> None:
    whole = plan(rules, candidates, NOW)
    done = {digest for unit in whole.units[:units] for digest in unit}

    left = [one for one in candidates if one.digest not in done]
    rest = plan(rules, left, NOW)

    assert not any(done & set(one.children) for one in left)  # nobody ever sees an index without what it had
    assert done | set(going(rest)) >= set(going(whole))


@given(_POLICIES, images())
def test_nothing_is_left_untagged_by_what_went(rules: TagDeletion, candidates: list[Candidate]) -> None:
    """What only something that went has held is gone too, unless it has a reason of its own to stay."""
    found = plan(rules, candidates, NOW)

    gone = set(going(found))
    for verdict in found.verdicts:
        if verdict.reason is Reason.LISTED:
            assert any(verdict.digest in one.children for one in candidates if one.digest not in gone)
        if verdict.goes and verdict.reason is Reason.WITH_INDEX:
            assert all(one.digest in gone for one in candidates if verdict.digest in one.children)


@given(_POLICIES, images())
def test_the_order_of_the_candidates_does_not_matter(rules: TagDeletion, candidates: list[Candidate]) -> None:
    assert plan(rules, candidates, NOW) == plan(rules, candidates[::-1], NOW)
