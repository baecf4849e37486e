"""The policy of an image: scan, pull limit, lock, tag deletion. A repository holds the template of new images."""

import enum
from collections.abc import Iterable
from typing import Annotated

import msgspec

from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import NAMED, Count, Severity, Summary

MAX_FINDINGS = 9_999_999  # manual 2.1, "Image Pull limit"
MAX_DAYS = 3_650
MAX_PATTERNS = 50

Threshold = Annotated[int, msgspec.Meta(ge=1, le=MAX_FINDINGS)]
Days = Annotated[int, msgspec.Meta(ge=1, le=MAX_DAYS)]


class ScanPolicy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """When to scan, and which findings do not count."""

    on_push: bool = True
    exclude_language_packages: bool = False
    exclude_secrets: bool = False
    exclude_unfixed: bool = False
    exclude_severity: Severity = Severity.NONE  # this level and those below it; "none" excludes nothing


class PullLimit(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which manifests are not handed out."""

    refuse_unscanned: bool = False
    refuse_critical: bool = False
    critical: Threshold = 1
    refuse_high: bool = False
    high: Threshold = 1
    ignore_unfixed: bool = False

    @property
    def is_on(self) -> bool:
        """Whether it may refuse anything."""
        return self.refuse_unscanned or self.refuse_critical or self.refuse_high


class TagDeletion(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which digests go by themselves."""

    enabled: bool = False
    untagged: bool = False
    untagged_days: Days = 30
    old: bool = False
    old_days: Days = 365
    count: bool = False
    keep_newest: Annotated[int, msgspec.Meta(ge=1, le=MAX_FINDINGS)] = 100
    keep_patterns: tuple[str, ...] = ()
    keep_pulled: bool = False
    keep_pulled_days: Days = 30

    @property
    def is_on(self) -> bool:
        """Whether it may delete anything."""
        return self.enabled and (self.untagged or self.old or self.count)


class ImagePolicy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The whole policy. Locks stand beside it: they are read live and never copied."""

    scan: ScanPolicy = ScanPolicy()
    pull_limit: PullLimit = PullLimit()
    tag_deletion: TagDeletion = TagDeletion()


DEFAULT_POLICY = ImagePolicy()

_DECODER = msgspec.json.Decoder(ImagePolicy)


def to_json(policy: ImagePolicy) -> str:
    """Return `policy` as the database keeps it."""
    return msgspec.json.encode(policy).decode()


def from_json(text: str) -> ImagePolicy:
    """Return the policy that `to_json` wrote."""
    return _DECODER.decode(text)


class ScanState(enum.StrEnum):
    """What is known of a manifest's scan. Only a complete one counts: the others say why there is none."""

    QUEUED = "queued"
    FAILED = "failed"
    PARTIAL = "partial"
    NO_DATA = "no data"
    COMPLETE = "complete"


class Scanned(msgspec.Struct, frozen=True):
    """The last scan of a manifest. `summary` is without findings that were accepted, and None unless it is complete."""

    state: ScanState
    summary: Summary | None = None
    scanned_at: Timestamp | None = None


_NO_SCAN = {
    None: "it was never scanned",
    ScanState.QUEUED: "its scan has not run yet",
    ScanState.FAILED: "its scan failed",
    ScanState.PARTIAL: "its scan could not read or judge all of it",
    ScanState.NO_DATA: "it was scanned without vulnerability data",
}


def pull_refusal(policy: ImagePolicy, scanned: Scanned | None) -> str | None:
    """Return which pull limit refuses a manifest with file-system layers and what lifts it, as a clause, or None.

    `scanned` is None for what was never scanned. Vulnerabilities count as far as the scan policy does not exclude
    them; secrets never do.
    """
    limit = policy.pull_limit
    summary = scanned.summary if scanned is not None and scanned.state is ScanState.COMPLETE else None
    if summary is None:
        if not limit.refuse_unscanned:
            return None
        reason = _NO_SCAN[None if scanned is None or scanned.state is ScanState.COMPLETE else scanned.state]
        return f"{reason}, and the image's pull limit refuses what is not scanned; scan it, or turn this limit off"
    broken = broken_limits(policy, summary)
    if not broken:
        return None
    first = broken[0]
    kind = "vulnerability" if first.found == 1 else "vulnerabilities"
    return (
        f"it has {first.found} {first.severity.value.capitalize()} {kind}, and the image's pull limit refuses at"
        f" {first.most} or more{_named(first)};"
        " push a mended image, accept the findings, or raise the limit"
    )


def _named(broken: "BrokenLimit") -> str:
    """Return which findings break a limit, as far as their names are kept."""
    if not broken.names:
        return ""
    more = broken.found - len(broken.names)
    return f": {', '.join(broken.names)}" + (f" and {more} more" if more else "")


class BrokenLimit(msgspec.Struct, frozen=True):
    """A limit that refuses: how many vulnerabilities of `severity` count, from how many on it refuses, a few names."""

    severity: Severity
    found: int
    most: int
    names: tuple[str, ...]


def broken_limits(policy: ImagePolicy, summary: Summary) -> tuple[BrokenLimit, ...]:
    """Return which limits on vulnerabilities a scan with `summary` breaks, the worst severity first."""
    limit = policy.pull_limit
    limits = (
        (limit.refuse_critical, Severity.CRITICAL, limit.critical),
        (limit.refuse_high, Severity.HIGH, limit.high),
    )
    return tuple(
        BrokenLimit(severity, found, most, names[:NAMED])
        for is_on, severity, most in limits
        if is_on
        for found, names in [_limited(policy, summary, severity)]
        if found >= most
    )


def _limited(policy: ImagePolicy, summary: Summary, severity: Severity) -> tuple[int, tuple[str, ...]]:
    """Return how many vulnerabilities of `severity` the pull limit counts, after the image's exclusions; some names."""
    left = _left(policy.scan, summary.counts, severity, only_fixable=policy.pull_limit.ignore_unfixed)
    return sum(one.findings for one in left), tuple(name for one in left for name in one.names)


def count_left(scan: ScanPolicy, counts: Iterable[Count], severity: Severity) -> int:
    """Return how many findings of `severity` the scan policy leaves of `counts`."""
    return sum(one.findings for one in _left(scan, counts, severity))


def _left(scan: ScanPolicy, counts: Iterable[Count], severity: Severity, *, only_fixable: bool = False) -> list[Count]:
    if scan.exclude_severity is not Severity.NONE and severity <= scan.exclude_severity:
        return []
    needs_fix = scan.exclude_unfixed or only_fixable
    return [
        one
        for one in counts
        if one.severity is severity
        and not (scan.exclude_language_packages and one.is_language)
        and (one.is_fixable or not needs_fix)
    ]
