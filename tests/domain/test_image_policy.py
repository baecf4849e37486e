"""Image policies: edits and what is said of wrong ones; which limit refuses a pull."""

import msgspec
import pytest

from appliance.domain.image_policy import (
    DEFAULT_POLICY,
    ImagePolicy,
    PullLimit,
    Scanned,
    ScanPolicy,
    ScanState,
    pull_refusal,
)
from appliance.domain.policy_edit import PolicyEdit, edit
from appliance.domain.vulnerability import Count, Severity, Summary
from appliance.errors import ImagePolicyInvalid


def order(text: str) -> PolicyEdit:
    return msgspec.json.decode(text, type=PolicyEdit)


def scanned(*counts: tuple[Severity, bool, bool, int]) -> Scanned:
    """Return a complete scan: severity, of a language, with a fix, how many."""
    return Scanned(ScanState.COMPLETE, Summary(tuple(Count(*count) for count in counts), 0, 0, is_complete=True))


def limit(**fields: object) -> ImagePolicy:
    return ImagePolicy(pull_limit=msgspec.structs.replace(PullLimit(), **fields))


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    changed = edit(
        DEFAULT_POLICY, order('{"pullLimit":{"refuseHigh":true,"high":7},"tagDeletion":{"keepPatterns":["v*"]}}')
    )

    assert (changed.pull_limit.refuse_high, changed.pull_limit.high) == (True, 7)
    assert changed.tag_deletion.keep_patterns == ("v*",)
    assert changed.scan == DEFAULT_POLICY.scan
    assert changed.pull_limit.critical == 1
    assert edit(changed, order("{}")) == changed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"pullLimit":{"critical":0}}', "pullLimit.critical is 0; it must be a whole number from 1 to 9,999,999"),
        ('{"pullLimit":{"high":10000000}}', "pullLimit.high is 10000000; .* from 1 to 9,999,999"),
        ('{"tagDeletion":{"untaggedDays":3651}}', "tagDeletion.untaggedDays is 3651; .* from 1 to 3,650"),
        ('{"tagDeletion":{"oldDays":-1}}', "tagDeletion.oldDays is -1"),
        ('{"tagDeletion":{"keepNewest":0}}', "tagDeletion.keepNewest is 0; .* from 1 to 9,999,999"),
        ('{"tagDeletion":{"keepPatterns":["a b"]}}', "'a b' is no pattern of tags"),
        (
            '{"scan":{"excludeSeverity":"bad"}}',
            "scan.excludeSeverity is 'bad'; choose one of none, unknown, negligible",
        ),
    ],
)
def test_what_is_wrong_is_said_with_field_value_and_range(text: str, said: str) -> None:
    with pytest.raises(ImagePolicyInvalid, match=said):
        edit(DEFAULT_POLICY, order(text))


def test_more_patterns_than_anybody_needs_are_refused() -> None:
    patterns = msgspec.json.encode([f"v{number}" for number in range(51)]).decode()

    with pytest.raises(ImagePolicyInvalid, match="51 patterns; 50 are the most"):
        edit(DEFAULT_POLICY, order(f'{{"tagDeletion":{{"keepPatterns":{patterns}}}}}'))


def test_without_a_limit_nothing_is_refused() -> None:
    for known in (None, Scanned(ScanState.FAILED), scanned((Severity.CRITICAL, False, True, 1000))):
        assert pull_refusal(DEFAULT_POLICY, known) is None


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (None, "it was never scanned"),
        (Scanned(ScanState.QUEUED), "its scan has not run yet"),
        (Scanned(ScanState.FAILED), "its scan failed"),
        (Scanned(ScanState.PARTIAL), "its scan could not read or judge all of it"),
        (Scanned(ScanState.NO_DATA), "it was scanned without vulnerability data"),
    ],
)
def test_only_a_complete_scan_counts_as_one_and_the_refusal_says_which(known: Scanned | None, said: str) -> None:
    refusal = pull_refusal(limit(refuse_unscanned=True), known)

    assert refusal is not None
    assert refusal.startswith(said)
    assert pull_refusal(limit(refuse_unscanned=True), scanned()) is None
    assert pull_refusal(limit(refuse_critical=True, refuse_high=True), known) is None  # of these nothing is known


@pytest.mark.parametrize(("found", "most", "is_refused"), [(0, 1, False), (1, 1, True), (2, 3, False), (3, 3, True)])
def test_it_refuses_at_n_or_more(found: int, most: int, is_refused: bool) -> None:  # noqa: FBT001 - a table's column
    critical, high = scanned((Severity.CRITICAL, False, True, found)), scanned((Severity.HIGH, False, True, found))

    assert (pull_refusal(limit(refuse_critical=True, critical=most), critical) is not None) == is_refused
    assert (pull_refusal(limit(refuse_high=True, high=most), high) is not None) == is_refused
    assert pull_refusal(limit(refuse_critical=True, critical=most), high) is None


def test_the_refusal_names_the_limit_the_count_and_the_way_out() -> None:
    refusal = pull_refusal(limit(refuse_high=True, high=2), scanned((Severity.HIGH, True, True, 5)))

    assert refusal == (
        "it has 5 High vulnerabilities, and the image's pull limit refuses at 2 or more;"
        " push a mended image, accept the findings, or raise the limit"
    )


def test_the_refusal_names_some_of_what_blocks_the_pull() -> None:
    counts = (
        Count(Severity.HIGH, is_language=False, is_fixable=True, findings=9, names=("CVE-1 (a 1)", "CVE-2 (b 1)")),
        Count(Severity.HIGH, is_language=True, is_fixable=True, findings=4, names=("CVE-3 (c 1)", "CVE-4 (d 1)")),
    )
    known = Scanned(ScanState.COMPLETE, Summary(counts, 0, 0, is_complete=True))
    policy = limit(refuse_high=True)

    all_of_them = pull_refusal(policy, known)
    of_the_system = pull_refusal(
        msgspec.structs.replace(policy, scan=ScanPolicy(exclude_language_packages=True)), known
    )

    assert all_of_them is not None
    assert "refuses at 1 or more: CVE-1 (a 1), CVE-2 (b 1), CVE-3 (c 1) and 10 more; push" in all_of_them
    assert of_the_system is not None
    assert "refuses at 1 or more: CVE-1 (a 1), CVE-2 (b 1) and 7 more; push" in of_the_system


def test_what_the_scan_policy_excludes_does_not_count() -> None:
    known = scanned((Severity.CRITICAL, True, False, 1))
    on = PullLimit(refuse_critical=True)

    assert pull_refusal(ImagePolicy(pull_limit=on), known) is not None
    for scan in (
        ScanPolicy(exclude_language_packages=True),
        ScanPolicy(exclude_unfixed=True),
        ScanPolicy(exclude_severity=Severity.CRITICAL),
    ):
        assert pull_refusal(ImagePolicy(scan=scan, pull_limit=on), known) is None
    assert pull_refusal(ImagePolicy(scan=ScanPolicy(exclude_severity=Severity.HIGH), pull_limit=on), known) is not None


def test_vulnerabilities_without_a_fix_can_be_left_out_of_the_limit_alone() -> None:
    known = scanned((Severity.HIGH, False, False, 9), (Severity.HIGH, False, True, 1))

    assert pull_refusal(limit(refuse_high=True, high=2, ignore_unfixed=True), known) is None
    assert pull_refusal(limit(refuse_high=True, high=1, ignore_unfixed=True), known) is not None


def test_secrets_never_count() -> None:
    known = Scanned(ScanState.COMPLETE, Summary((), 1000, 0, is_complete=True))

    assert pull_refusal(limit(refuse_critical=True, refuse_high=True, refuse_unscanned=True), known) is None
