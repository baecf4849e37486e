"""What is kept of the scan of a manifest: what was read, what the data say of it, and what has changed since."""

import msgspec

from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.vulnerability import (
    DataVersion,
    Distribution,
    Finding,
    Inventory,
    Report,
    Severity,
    Unjudged,
)


class Flaw(msgspec.Struct, frozen=True, gc=False):
    """A finding in few words: what is compared between two scans."""

    id: str
    package: str
    version: str
    found_in: str
    severity: Severity


class Changes(msgspec.Struct, frozen=True):
    """How the findings differ from those of the scan before; `since` is when that was matched, None without one."""

    since: Timestamp | None = None
    new: tuple[Flaw, ...] = ()
    gone: tuple[Flaw, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """What matching said. Without data it says nothing, and `data` is None."""

    distribution: Distribution | None = None
    findings: tuple[Finding, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    uncovered: tuple[str, ...] = ()
    changes: Changes = Changes()


class Scan(msgspec.Struct, frozen=True):
    """The newest scan of a manifest.

    `reader` tells which detectors, rules and options its layers were read with, `matcher` which rules matched it: where
    either is another one now, or the data are, the scan is stale.
    """

    digest: Digest  # of the manifest
    layers: tuple[Digest, ...]  # blobs, the lowest first
    reader: str
    read_at: Timestamp
    inventory: Inventory
    matcher: int
    data: DataVersion | None
    matched_at: Timestamp
    verdict: Verdict

    @property
    def report(self) -> Report:
        """Return it as a report."""
        inventory = self.inventory
        if self.verdict.distribution is not None:
            inventory = msgspec.structs.replace(inventory, distribution=self.verdict.distribution)
        verdict = self.verdict
        return Report(
            inventory,
            verdict.findings,
            verdict.unjudged,
            verdict.uncovered,
            self.data,
            self.read_at,
            self.matched_at,
        )


def compare(before: Scan | None, findings: tuple[Finding, ...]) -> Changes:
    """Return what `findings` have that the scan `before` had not, and the other way round.

    A scan without data found nothing because it looked for nothing: there is nothing to compare with.
    """
    if before is None or before.data is None:
        return Changes()
    old = {_key(flaw): flaw for flaw in map(flaw_of, before.verdict.findings)}
    now = {_key(flaw): flaw for flaw in map(flaw_of, findings)}
    return Changes(
        before.matched_at,
        tuple(flaw for key, flaw in now.items() if key not in old),
        tuple(flaw for key, flaw in old.items() if key not in now),
    )


def flaw_of(finding: Finding) -> Flaw:
    """Return `finding` in few words."""
    package = finding.package
    return Flaw(finding.id, package.name, package.version, package.found_in, finding.severity)


def _key(flaw: Flaw) -> tuple[str, str, str, str]:
    return flaw.id, flaw.package, flaw.version, flaw.found_in
