"""The policy of an image: scan, pull limit, lock, tag deletion. A repository holds the template of new images."""

from typing import Annotated

import msgspec

from appliance.domain.vulnerability import Severity

MAX_FINDINGS = 9_999_999  # manual 2.1, "Image Pull limit"
MAX_DAYS = 3_650

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
