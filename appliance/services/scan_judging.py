"""What the vulnerability data make of what was read of an image: a scan. Pure, and blocking: for a worker thread.

A scan reads and judges; after an update of the data every known manifest is judged again from the inventory that is
kept, without reading a blob. Nothing here knows a database, so that `scr scan PATH` need not load one.
"""

from typing import Protocol

import msgspec

from appliance.domain import scan as scanned
from appliance.domain.image_policy import ScanState
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.scan import Changes, Scan, Verdict
from appliance.domain.vulnerability import DataVersion, Inventory, Report
from appliance.scan import match
from appliance.scan.match import Matched


class VulnerabilityData(Protocol):
    """Vulnerability data of one version, open for reading: they do not change while somebody holds them."""

    @property
    def version(self) -> DataVersion:
        """Which they are."""

    def judge(self, inventory: Inventory, now: Timestamp) -> tuple[Inventory, Matched]:
        """Return what the data say of `inventory`, and it with the names that they know better (Java archives).

        Blocking: for a worker thread.
        """


class Read(msgspec.Struct, frozen=True):
    """What the layers of a manifest hold, and when and with what they were read."""

    digest: Digest  # of the manifest
    layers: tuple[Digest, ...]
    reader: str
    read_at: Timestamp
    inventory: Inventory


def judge(read: Read, data: VulnerabilityData | None, before: Scan | None, now: Timestamp) -> Scan:
    """Return the scan that `data` make of `read`; None: there are none yet, and nothing is said of vulnerabilities.

    Blocking: for a worker thread.
    """
    inventory, verdict = read.inventory, Verdict()
    if data is not None:
        inventory, matched = data.judge(inventory, now)
        verdict = Verdict(
            matched.distribution,
            matched.findings,
            matched.unjudged,
            matched.uncovered,
            _changes(before, data.version, inventory, matched),
        )
    return Scan(
        digest=read.digest,
        layers=read.layers,
        reader=read.reader,
        read_at=read.read_at,
        inventory=inventory,
        matcher=match.VERSION,
        data=None if data is None else data.version,
        matched_at=now,
        verdict=verdict,
    )


def _changes(before: Scan | None, version: DataVersion, inventory: Inventory, matched: Matched) -> Changes:
    """Return what is new since the scan before; where that was the same in all, what was new then is so still."""
    if before is not None and (before.data, before.matcher, before.inventory) == (version, match.VERSION, inventory):
        return before.verdict.changes
    return scanned.compare(before, matched.findings)


def judge_again(scan: Scan, data: VulnerabilityData | None, now: Timestamp) -> Scan:
    """Return `scan` as `data` judge it now. Blocking: for a worker thread."""
    read = Read(scan.digest, scan.layers, scan.reader, scan.read_at, scan.inventory)
    return judge(read, data, scan, now)


def state_of(report: Report) -> ScanState:
    """Return what the pull limit is to think of `report`."""
    if report.is_complete:
        return ScanState.COMPLETE
    return ScanState.NO_DATA if report.data is None and not report.inventory.limits else ScanState.PARTIAL
