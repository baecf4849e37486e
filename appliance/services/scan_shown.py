"""What a scan shows: its findings as the policy of an image counts them, by vulnerability, by package, by secret.

Exclusions are applied here, whenever results are read; found, excluded and counted stand side by side.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence

import msgspec

from appliance.domain import exclusion, image_policy
from appliance.domain.exclusion import Acceptance, Accepted, Exclusion, Tally, exclusion_of
from appliance.domain.image_policy import ImagePolicy
from appliance.domain.scan import Flaw, Scan, flaw_of
from appliance.domain.vulnerability import Finding, Package, Secret, Severity, summarise
from appliance.scan.versions import SCHEMES, VersionInvalid

_KEPT_S = 10.0  # thousands of findings are megabytes


class Judged(msgspec.Struct, frozen=True):
    """A finding as one image counts it; `excluded` None: it counts."""

    finding: Finding
    excluded: Exclusion | None
    acceptance: Acceptance | None
    is_new: bool  # since the scan before


class Upgrade(msgspec.Struct, frozen=True):
    """What one package would have to become, and how many findings that mends."""

    version: str
    fixes: int


class JudgedPackage(msgspec.Struct, frozen=True):
    """A package with the findings it has; those that cannot be compared are `unjudged`."""

    package: Package
    tallies: tuple[Tally, ...]
    unjudged: int
    upgrade: Upgrade | None

    @property
    def findings(self) -> int:
        """Return how many findings it has, excluded ones too."""
        return sum(tally.found for tally in self.tallies)


class View(msgspec.Struct, frozen=True):
    """A scan as one image shows it."""

    scan: Scan
    policy: ImagePolicy
    findings: tuple[Judged, ...]  # worst first
    broken: frozenset[Severity] = frozenset()  # of which there are more than the pull limit lets pass

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Return the counts by severity, the worst first."""
        return exclusion.tally((one.finding.severity, one.excluded) for one in self.findings)

    @property
    def packages_affected(self) -> int:
        """Return how many packages have findings, excluded ones too."""
        return len({_key(one.finding.package) for one in self.findings})

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Return the secrets by file and line."""
        return tuple(sorted(self.scan.inventory.secrets, key=lambda one: (one.found_in, one.line, one.rule)))

    @property
    def secrets_excluded(self) -> bool:
        """Whether the policy does not count secrets."""
        return self.policy.scan.exclude_secrets

    def blocks(self, one: Judged) -> bool:
        """Whether the pull limit counts `one`, and refuses the image for it and its like."""
        counts = one.excluded is None and (one.finding.is_fixable or not self.policy.pull_limit.ignore_unfixed)
        return counts and one.finding.severity in self.broken

    def packages(self) -> list[JudgedPackage]:
        """Return every package, those with the worst findings first."""
        found: dict[_Key, list[Judged]] = {}
        for one in self.findings:
            found.setdefault(_key(one.finding.package), []).append(one)
        unjudged: dict[_Key, int] = {}
        for other in self.scan.verdict.unjudged:
            key = _key(other.package)
            unjudged[key] = unjudged.get(key, 0) + 1
        rows = [
            _package(package, found.get(_key(package), ()), unjudged.get(_key(package), 0))
            for package in self.scan.inventory.packages
        ]
        return sorted(rows, key=_weight)


_Key = tuple[str, str, str, str]


def _key(package: Package) -> _Key:
    return package.ecosystem.value, package.name, package.version, package.found_in


def _weight(row: JudgedPackage) -> tuple[list[tuple[int, int]], str]:
    worst = [(-tally.severity.rank, -tally.found) for tally in row.tallies]
    return [*worst, (1, 0)], row.package.name


def _package(package: Package, judged: Sequence[Judged], unjudged: int) -> JudgedPackage:
    tallies = exclusion.tally((one.finding.severity, one.excluded) for one in judged)
    return JudgedPackage(package, tallies, unjudged, find_upgrade(package, [one.finding for one in judged]))


def find_upgrade(package: Package, findings: Iterable[Finding]) -> Upgrade | None:
    """Return the version that mends as much of `findings` as one can, and how many it mends; None where none can.

    A text of several fixes ("1.2.3, 2.0.1") names one for each line of versions: it mends with the first that is newer
    than what is installed. A version in between mends only what it is sure to: from the last of the fixes on, or as one
    of them.
    """
    if package.ecosystem not in SCHEMES:
        return None
    compare = SCHEMES[package.ecosystem].compare
    newer = functools.cmp_to_key(compare)
    fixes = [sorted(found, key=newer) for one in findings if (found := _newer_fixes(compare, package, one))]
    if not fixes:
        return None
    best = max((versions[0] for versions in fixes), key=newer)
    mended = [versions for versions in fixes if best in versions or compare(best, versions[-1]) >= 0]
    return Upgrade(best, len(mended))


def _newer_fixes(compare: Callable[[str, str], int], package: Package, finding: Finding) -> list[str]:
    """Return the versions that mend `finding` and are newer than what is installed; what is no version is none."""
    found: list[str] = []
    for version in (text.strip() for text in finding.fixed.split(",")):
        try:
            if version and compare(version, package.version) > 0:
                found.append(version)
        except VersionInvalid:
            continue
    return found


class Last:
    """The scan that was shown last, and as what: a page asks for it several times, and so does whoever turns pages.

    It is only given again for the very `mark` of a scan, policy and acceptances; it is let go after some seconds.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._scan: tuple[object, Scan] | None = None
        self._view: tuple[object, View] | None = None
        self._ends: asyncio.TimerHandle | None = None

    def scan(self, mark: object) -> Scan | None:
        """Return the scan of that mark, if it is the last."""
        kept = self._scan
        return kept[1] if kept is not None and kept[0] == mark else None

    def view(self, key: object) -> View | None:
        """Return the view of that key, if it is the last."""
        return self._view[1] if self._view is not None and self._view[0] == key else None

    def keep(self, mark: object, key: object, shown: View) -> None:
        """Keep `shown` and its scan in the place of the last."""
        self._scan, self._view = (mark, shown.scan), (key, shown)
        if self._ends is not None:
            self._ends.cancel()
        self._ends = asyncio.get_running_loop().call_later(_KEPT_S, self._drop)

    def _drop(self) -> None:
        self._scan = self._view = None


def view(scan: Scan, policy: ImagePolicy, accepted: Accepted) -> View:
    """Return `scan` as an image with `policy` shows it, where `accepted` findings do not count."""
    new = set(scan.verdict.changes.new)
    judged = tuple(_judge(one, policy, accepted, new) for one in scan.verdict.findings)
    broken: frozenset[Severity] = frozenset()
    if scan.report.is_complete:
        counted = tuple(one.finding for one in judged if one.acceptance is None)
        summary = summarise(msgspec.structs.replace(scan.report, findings=counted))
        broken = frozenset(one.severity for one in image_policy.broken_limits(policy, summary))
    return View(scan, policy, judged, broken)


def _judge(finding: Finding, policy: ImagePolicy, accepted: Accepted, new: set[Flaw]) -> Judged:
    acceptance = accepted.find(finding)
    excluded = Exclusion.ACCEPTED if acceptance is not None else exclusion_of(policy.scan, finding)
    return Judged(finding, excluded, acceptance, bool(new) and flaw_of(finding) in new)
