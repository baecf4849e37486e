"""What a scan shows: its findings as the policy of an image counts them, by vulnerability, by package, by secret.

Exclusions are applied here, whenever results are read; found, excluded and counted stand side by side.
"""

import functools
from collections.abc import Callable, Iterable, Sequence

import msgspec

from appliance.db import acceptances, images, scan_summaries, scans
from appliance.db.database import Reader
from appliance.domain import exclusion, image_policy
from appliance.domain.exclusion import Acceptance, Accepted, Exclusion, Tally, exclusion_of
from appliance.domain.image_policy import ImagePolicy, Scanned
from appliance.domain.names import Digest
from appliance.domain.registry import ImageId, ManifestId
from appliance.domain.scan import Flaw, Scan, flaw_of
from appliance.domain.vulnerability import Finding, Package, Secret, Severity, summarise
from appliance.scan.versions import SCHEMES, VersionInvalid
from appliance.services.scanning import Scanner
from appliance.services.stock import Stock


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


class Known(msgspec.Struct, frozen=True):
    """What is known of a manifest's scan, without its findings: what lists show."""

    scanned: Scanned | None  # what the pull limit knows; None: no scan was ever asked for
    standing: scans.Standing | None
    is_stale: bool
    tallies: tuple[Tally, ...]
    secrets: int
    secrets_excluded: bool


async def find_view(stock: Stock, scanner: Scanner, image: ImageId, digest: Digest) -> View | None:
    """Return the scan of the manifest as `image` shows it, or None where there is none."""
    scan = await scanner.file.read(lambda reader: scans.find(reader, digest))
    if scan is None:
        return None

    def load(reader: Reader) -> tuple[ImagePolicy, Accepted]:
        policy = image_policy.from_json(images.policy_of(reader, image))
        ids = {finding.id for finding in scan.verdict.findings}
        return policy, Accepted(acceptances.list_of_image(reader, image, digest, ids, stock.clock()))

    policy, accepted = await stock.db.read(load)
    return await stock.db.read(lambda _: view(scan, policy, accepted))  # in a worker: thousands of findings


async def find_known(
    stock: Stock, scanner: Scanner, image: ImageId, wanted: Sequence[tuple[ManifestId, Digest]]
) -> list[Known]:
    """Return what is known of the scans of `wanted`, manifests of `image`, in their order."""

    def load(reader: Reader) -> tuple[ImagePolicy, list[Scanned | None]]:
        policy = image_policy.from_json(images.policy_of(reader, image))
        return policy, [scan_summaries.find(reader, manifest) for manifest, _ in wanted]

    policy, summaries = await stock.db.read(load)
    digests = [digest for (_, digest), scanned in zip(wanted, summaries, strict=True) if scanned is not None]
    standings = await scanner.file.read(functools.partial(scans.standings_of, digests=digests))
    return [
        _know(policy, scanned, standings.get(digest), scanner)
        for (_, digest), scanned in zip(wanted, summaries, strict=True)
    ]


def _know(policy: ImagePolicy, scanned: Scanned | None, standing: scans.Standing | None, scanner: Scanner) -> Known:
    if scanned is None or standing is None:
        return Known(scanned, None, is_stale=False, tallies=(), secrets=0, secrets_excluded=False)
    open_ones = scanned.summary or standing.summary  # the one that the pull limit reads is without what is accepted
    tallies = []
    for severity in sorted({count.severity for count in standing.summary.counts}, reverse=True):
        found = standing.summary.count(severity)
        still_open = min(found, open_ones.count(severity))  # one of the two may be newer for a moment
        left = min(still_open, image_policy.count_left(policy.scan, open_ones.counts, severity))
        tallies.append(Tally(severity, found, excluded=still_open - left, accepted=found - still_open))
    return Known(
        scanned,
        standing,
        scanner.is_stale(standing),
        tuple(tallies),
        standing.summary.secrets,
        policy.scan.exclude_secrets,
    )
