"""The policy of an image, or the template of a repository: read from a form, and told in sentences."""

from collections.abc import Callable

from appliance.domain import policy_edit
from appliance.domain.image_policy import MAX_DAYS, MAX_FINDINGS, ImagePolicy, PullLimit, ScanPolicy, TagDeletion
from appliance.domain.policy_edit import PolicyEdit, PullLimitEdit, ScanEdit, TagDeletionEdit
from appliance.domain.vulnerability import Severity
from appliance.errors import ImagePolicyInvalid
from appliance.http.ui.forms import Form

Translate = Callable[[str], str]

SCAN, PULL_LIMIT, TAG_DELETION = SECTIONS = ("scan", "pull-limit", "tag-deletion")
SEVERITIES = tuple(one.value for one in Severity)


def read_policy(form: Form) -> PolicyEdit:
    """Return the whole policy that a form asks for."""
    return PolicyEdit(scan=_read_scan(form), pull_limit=_read_pull_limit(form), tag_deletion=read_tag_deletion(form))


def read_section(form: Form, section: str) -> PolicyEdit:
    """Return the edit of one of SECTIONS."""
    if section == SCAN:
        return PolicyEdit(scan=_read_scan(form))
    if section == PULL_LIMIT:
        return PolicyEdit(pull_limit=_read_pull_limit(form))
    return PolicyEdit(tag_deletion=read_tag_deletion(form))


def _read_scan(form: Form) -> ScanEdit:
    return ScanEdit(
        on_push=form.switch("on_push"),
        exclude_language_packages=form.switch("exclude_language_packages"),
        exclude_secrets=form.switch("exclude_secrets"),
        exclude_unfixed=form.switch("exclude_unfixed"),
        exclude_severity=form.choice("exclude_severity", SEVERITIES, Severity.NONE.value),
    )


def _read_pull_limit(form: Form) -> PullLimitEdit:
    return PullLimitEdit(
        refuse_unscanned=form.switch("refuse_unscanned"),
        refuse_critical=form.switch("refuse_critical"),
        critical=form.number("critical", 1, MAX_FINDINGS, 1),
        refuse_high=form.switch("refuse_high"),
        high=form.number("high", 1, MAX_FINDINGS, 1),
        ignore_unfixed=form.switch("ignore_unfixed"),
    )


def read_tag_deletion(form: Form) -> TagDeletionEdit:
    """Return the tag deletion that a form asks for."""
    return TagDeletionEdit(
        enabled=form.switch("enabled"),
        untagged=form.switch("untagged"),
        untagged_days=form.number("untagged_days", 1, MAX_DAYS, 30),
        old=form.switch("old"),
        old_days=form.number("old_days", 1, MAX_DAYS, 365),
        count=form.switch("count"),
        keep_newest=form.number("keep_newest", 1, MAX_FINDINGS, 100),
        keep_patterns=tuple(form.text("keep_patterns").split()),
        keep_pulled=form.switch("keep_pulled"),
        keep_pulled_days=form.number("keep_pulled_days", 1, MAX_DAYS, 30),
    )


def preview(policy: ImagePolicy, order: PolicyEdit) -> ImagePolicy:
    """Return `policy` with what `order` changes; as it is where the order cannot be, for its form says so."""
    try:
        return policy_edit.edit(policy, order)
    except ImagePolicyInvalid:
        return policy


def done(section: str, text: Translate) -> str:
    """Return the sentence for a form of details that was saved; of the policy, in the manual's words."""
    told = {
        SCAN: text("Image scan edit was successful."),
        PULL_LIMIT: text("Image pull limit edit was successful."),
        TAG_DELETION: text("Image tag removal edit was successful."),
        "resource-tags": text("The tags were changed."),
        "lock": text("Image lock status edit was successful."),
    }
    return told.get(section) or text("Description edit was successful.")


def tell(policy: ImagePolicy, text: Translate) -> dict[str, list[str]]:
    """Return what a policy does, in sentences by section."""
    return {
        SCAN: _tell_scan(policy.scan, text),
        PULL_LIMIT: _tell_pull_limit(policy.pull_limit, text),
        TAG_DELETION: tell_tag_deletion(policy.tag_deletion, text),
    }


def _tell_scan(scan: ScanPolicy, text: Translate) -> list[str]:
    told = [text("Each push is scanned at once.") if scan.on_push else text("A push is not scanned by itself.")]
    if scan.exclude_language_packages:
        told.append(text("Packages of programming languages are left out."))
    if scan.exclude_secrets:
        told.append(text("Secrets are left out."))
    if scan.exclude_unfixed:
        told.append(text("Vulnerabilities without a fix version are left out."))
    if scan.exclude_severity is not Severity.NONE:
        level = scan.exclude_severity.value.capitalize()
        told.append(text("Vulnerabilities of the level {} and below are left out.").format(level))
    return told


def _tell_pull_limit(limit: PullLimit, text: Translate) -> list[str]:
    if not limit.is_on:
        return [text("Everything may be pulled.")]
    told = []
    if limit.refuse_unscanned:
        told.append(text("What was not scanned is refused."))
    if limit.refuse_critical:
        told.append(text("Refused at {} or more Critical vulnerabilities.").format(limit.critical))
    if limit.refuse_high:
        told.append(text("Refused at {} or more High vulnerabilities.").format(limit.high))
    if limit.ignore_unfixed and (limit.refuse_critical or limit.refuse_high):
        told.append(text("Vulnerabilities without a fix version do not count for that."))
    return told


def tell_tag_deletion(deletion: TagDeletion, text: Translate) -> list[str]:
    """Return what a tag deletion policy does, in sentences."""
    told = []
    if deletion.untagged:
        told.append(text("What has no tag is deleted {} days after its first push.").format(deletion.untagged_days))
    if deletion.old:
        told.append(text("What is older than {} days goes with all its tags.").format(deletion.old_days))
    if deletion.count:
        told.append(text("The newest {} digests stay, all older ones go.").format(deletion.keep_newest))
    if not told:
        return [text("Nothing is deleted by itself: no rule is on.")]
    if deletion.keep_patterns:
        told.append(text("Tags that match {} stay.").format(", ".join(deletion.keep_patterns)))
    if deletion.keep_pulled:
        told.append(text("What was pulled in the last {} days stays.").format(deletion.keep_pulled_days))
    told.append(text("What is locked stays, and what something that stays needs."))
    if not deletion.enabled:
        return [text("Nothing is deleted by itself: the policy is off. Enabled, it would do this:"), *told]
    return told
