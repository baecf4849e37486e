"""Edits of an image policy: only the fields that were sent change, and what is wrong is said in words."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from appliance.domain.image_policy import MAX_DAYS, MAX_FINDINGS, MAX_PATTERNS, ImagePolicy
from appliance.domain.patterns import parse_pattern
from appliance.domain.vulnerability import Severity
from appliance.errors import ImagePolicyInvalid


class ScanEdit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Changes of when to scan and what does not count."""

    on_push: bool | UnsetType = UNSET
    exclude_language_packages: bool | UnsetType = UNSET
    exclude_secrets: bool | UnsetType = UNSET
    exclude_unfixed: bool | UnsetType = UNSET
    exclude_severity: str | UnsetType = UNSET


class PullLimitEdit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Changes of which manifests are not handed out."""

    refuse_unscanned: bool | UnsetType = UNSET
    refuse_critical: bool | UnsetType = UNSET
    critical: int | UnsetType = UNSET
    refuse_high: bool | UnsetType = UNSET
    high: int | UnsetType = UNSET
    ignore_unfixed: bool | UnsetType = UNSET


class TagDeletionEdit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Changes of which digests go by themselves."""

    enabled: bool | UnsetType = UNSET
    untagged: bool | UnsetType = UNSET
    untagged_days: int | UnsetType = UNSET
    old: bool | UnsetType = UNSET
    old_days: int | UnsetType = UNSET
    count: bool | UnsetType = UNSET
    keep_newest: int | UnsetType = UNSET
    keep_patterns: tuple[str, ...] | UnsetType = UNSET
    keep_pulled: bool | UnsetType = UNSET
    keep_pulled_days: int | UnsetType = UNSET


class PolicyEdit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Changes of an image policy; what is left out stays."""

    scan: ScanEdit | UnsetType = UNSET
    pull_limit: PullLimitEdit | UnsetType = UNSET
    tag_deletion: TagDeletionEdit | UnsetType = UNSET


_RANGES = {
    "critical": MAX_FINDINGS,
    "high": MAX_FINDINGS,
    "untaggedDays": MAX_DAYS,
    "oldDays": MAX_DAYS,
    "keepNewest": MAX_FINDINGS,
    "keepPulledDays": MAX_DAYS,
}


def edit(policy: ImagePolicy, order: PolicyEdit) -> ImagePolicy:
    """Return `policy` with what `order` changes. Raises ImagePolicyInvalid."""
    given = {
        name: _changes(name, part) for name in ("scan", "pullLimit", "tagDeletion") if (part := _part(order, name))
    }
    content: dict[str, dict[str, object]] = msgspec.to_builtins(policy)
    for name, changed in given.items():
        content[name].update(changed)
    return msgspec.convert(content, ImagePolicy)


def _part(order: PolicyEdit, name: str) -> msgspec.Struct | None:
    part = {"scan": order.scan, "pullLimit": order.pull_limit, "tagDeletion": order.tag_deletion}[name]
    return None if part is UNSET else part


def _changes(section: str, part: msgspec.Struct) -> dict[str, object]:
    """Return what `part` sets, each value checked. Raises ImagePolicyInvalid."""
    changed: dict[str, object] = msgspec.to_builtins(part)  # leaves out what is unset
    for name, value in changed.items():
        most = _RANGES.get(name)
        if most is not None and not (isinstance(value, int) and 1 <= value <= most):
            raise ImagePolicyInvalid(f"{section}.{name} is {value}; it must be a whole number from 1 to {most:,}")
    if "excludeSeverity" in changed:
        _check_severity(f"{section}.excludeSeverity", changed["excludeSeverity"])
    if "keepPatterns" in changed:
        changed["keepPatterns"] = _patterns(f"{section}.keepPatterns", changed["keepPatterns"])
    return changed


def _check_severity(field: str, value: object) -> None:
    known = [severity.value for severity in Severity]
    if value not in known:
        raise ImagePolicyInvalid(f"{field} is {str(value)[:40]!r}; choose one of {', '.join(known)}")


def _patterns(field: str, value: object) -> list[str]:
    patterns = [str(one) for one in value] if isinstance(value, Iterable) else []
    if len(patterns) > MAX_PATTERNS:
        raise ImagePolicyInvalid(f"{field} has {len(patterns)} patterns; {MAX_PATTERNS} are the most")
    return [parse_pattern(one) for one in dict.fromkeys(patterns)]
