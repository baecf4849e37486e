"""Which findings do not count, and why: the exclusions of an image's policy, and what somebody has accepted.

They are applied whenever results are read, never when an image is scanned: a policy that changes needs no new scan.
"""

import enum
from collections.abc import Iterable

import msgspec

from appliance.domain.image_policy import ScanPolicy
from appliance.domain.moment import Timestamp
from appliance.domain.registry import ImageId, RegistryId, RepositoryId
from appliance.domain.vulnerability import Finding, Severity


class Exclusion(enum.StrEnum):
    """Why a finding does not count."""

    ACCEPTED = "accepted"
    LANGUAGE = "language package"
    UNFIXED = "no fix version"
    SEVERITY = "severity"
    SECRETS = "secrets"


class Acceptance(msgspec.Struct, frozen=True):
    """Somebody's word that a vulnerability does not count: of one package, or (`package` empty) of whichever has it.

    Where: everywhere (`registry` None), in a registry, a repository, or one image.
    """

    public_id: str
    vulnerability: str  # in upper case
    package: str
    registry: RegistryId | None
    repository: RepositoryId | None
    image: ImageId | None
    reason: str
    created_at: Timestamp
    created_by: str
    expires_at: Timestamp | None


class Accepted:
    """What is accepted in one image."""

    def __init__(self, acceptances: Iterable[Acceptance]) -> None:
        """Look findings up among `acceptances`; of several the one that holds longest is told."""
        self._known: dict[tuple[str, str], Acceptance] = {}
        for one in sorted(acceptances, key=lambda one: (one.expires_at is None, one.expires_at or 0)):
            self._known[one.vulnerability, one.package] = one

    def find(self, finding: Finding) -> Acceptance | None:
        """Return why `finding` is accepted, or None."""
        if not self._known:
            return None
        vulnerability = finding.id.upper()
        return self._known.get((vulnerability, finding.package.name)) or self._known.get((vulnerability, ""))


class Tally(msgspec.Struct, frozen=True):
    """How many findings of one severity there are, how many of them are excluded, and how many count."""

    severity: Severity
    found: int
    excluded: int

    @property
    def counted(self) -> int:
        """Return how many count."""
        return self.found - self.excluded


def exclusion_of(policy: ScanPolicy, finding: Finding) -> Exclusion | None:
    """Return why `policy` does not count `finding`, or None where it does."""
    if policy.exclude_language_packages and finding.package.ecosystem.is_language:
        return Exclusion.LANGUAGE
    if policy.exclude_unfixed and not finding.is_fixable:
        return Exclusion.UNFIXED
    if policy.exclude_severity is not Severity.NONE and finding.severity <= policy.exclude_severity:
        return Exclusion.SEVERITY
    return None


def tally(judged: Iterable[tuple[Severity, bool]]) -> tuple[Tally, ...]:
    """Return the counts of severities, each with whether it is excluded, the worst first; none for nothing."""
    found: dict[Severity, list[int]] = {}
    for severity, is_excluded in judged:
        counts = found.setdefault(severity, [0, 0])
        counts[0] += 1
        counts[1] += is_excluded
    return tuple(Tally(severity, *found[severity]) for severity in sorted(found, reverse=True))
