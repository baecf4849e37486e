"""Which findings do not count, and why: the exclusions of an image's policy, and what somebody has accepted.

They are applied whenever results are read, never when an image is scanned: a policy that changes needs no new scan.
"""

import enum
from collections.abc import Iterable

import msgspec

from appliance.domain.image_policy import ScanPolicy
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.purl import parse_purl
from appliance.domain.registry import ImageId, RegistryId, RepositoryId
from appliance.domain.vulnerability import Finding, Severity


class Exclusion(enum.StrEnum):
    """Why a finding does not count."""

    ACCEPTED = "accepted"
    LANGUAGE = "language package"
    UNFIXED = "no fix version"
    SEVERITY = "severity"
    SECRETS = "secrets"


class Judgement(enum.StrEnum):
    """What a document says of a vulnerability in a product (OpenVEX 0.2.0, "Status Labels")."""

    NOT_AFFECTED = "not_affected"
    FIXED = "fixed"
    AFFECTED = "affected"
    UNDER_INVESTIGATION = "under_investigation"

    @property
    def accepts(self) -> bool:
        """Whether it lets the vulnerability not count."""
        return self in (Judgement.NOT_AFFECTED, Judgement.FIXED)


class Product(msgspec.Struct, frozen=True):
    """What a statement is about; empty: any. `path` is how the path of an image ends, `purl` is of a package in it."""

    digest: Digest | None = None  # of a manifest or an index
    arch: str = ""  # of the image: then an index's digest does not stand for its other platforms
    path: str = ""
    purl: str = ""

    @property
    def image(self) -> str:
        """Return which image is meant, for people; "" for any."""
        return f"{self.digest or self.path}{f' ({self.arch})' if self.arch else ''}"


class Origin(msgspec.Struct, frozen=True):
    """The statement of a document that an acceptance is."""

    import_id: str  # public id of the document as it was imported
    document: str  # its @id
    version: int
    author: str
    judgement: Judgement
    said_at: Timestamp


class Acceptance(msgspec.Struct, frozen=True):
    """Somebody's word that a vulnerability does not count: of one package, or (`package` empty) of whichever has it.

    Where: everywhere (`registry` None), in a registry, a repository, or one image. What a document says may be about
    one product only, and may be that the vulnerability does count; then it takes back what documents said before.
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
    product: Product = Product()  # what the document says it of
    origin: Origin | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether it is about the package of `finding`."""
        if not self.product.purl:
            return self.package in ("", finding.package.name)
        said, found = parse_purl(self.product.purl), parse_purl(finding.package.purl)
        return said is not None and found is not None and said.covers(found)


class Accepted:
    """What is accepted of one manifest in one image."""

    def __init__(self, acceptances: Iterable[Acceptance]) -> None:
        """Look findings up among `acceptances`: a person's word before a document's, the latest document first."""
        self._known: dict[str, list[Acceptance]] = {}
        for one in sorted(acceptances, key=_rank, reverse=True):
            self._known.setdefault(one.vulnerability, []).append(one)

    def find(self, finding: Finding) -> Acceptance | None:
        """Return why `finding` is accepted, or None."""
        if not self._known:
            return None
        told = next((one for one in self._known.get(finding.id.upper(), ()) if one.covers(finding)), None)
        return told if told is not None and (told.origin is None or told.origin.judgement.accepts) else None


def _rank(one: Acceptance) -> tuple[bool, int, bool]:
    """Return what orders acceptances, the greatest counts: of several persons' the one that holds longest is told.

    Of two documents that contradict each other at the same moment, the one that lets the vulnerability count.
    """
    if one.origin is None:
        return True, one.expires_at or 1 << 62, True
    return False, one.origin.said_at, not one.origin.judgement.accepts


class Tally(msgspec.Struct, frozen=True):
    """How many findings of one severity there are: excluded by the policy, accepted by somebody, and those left."""

    severity: Severity
    found: int
    excluded: int = 0
    accepted: int = 0

    @property
    def counted(self) -> int:
        """Return how many count."""
        return self.found - self.excluded - self.accepted


def exclusion_of(policy: ScanPolicy, finding: Finding) -> Exclusion | None:
    """Return why `policy` does not count `finding`, or None where it does."""
    if policy.exclude_language_packages and finding.package.ecosystem.is_language:
        return Exclusion.LANGUAGE
    if policy.exclude_unfixed and not finding.is_fixable:
        return Exclusion.UNFIXED
    if policy.exclude_severity is not Severity.NONE and finding.severity <= policy.exclude_severity:
        return Exclusion.SEVERITY
    return None


def tally(judged: Iterable[tuple[Severity, Exclusion | None]]) -> tuple[Tally, ...]:
    """Return the counts of severities, each with why it does not count, the worst first; none for nothing."""
    found: dict[Severity, list[int]] = {}
    for severity, excluded in judged:
        counts = found.setdefault(severity, [0, 0, 0])
        counts[0] += 1
        if excluded is not None:
            counts[2 if excluded is Exclusion.ACCEPTED else 1] += 1
    return tuple(Tally(severity, *found[severity]) for severity in sorted(found, reverse=True))
