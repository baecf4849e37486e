"""What a scan came to: written down, and then told to the pull limit, last."""

import msgspec

from appliance.db import acceptances, scan_summaries, scans
from appliance.db.database import Transaction
from appliance.db.side_file import SideFile
from appliance.domain.exclusion import Accepted
from appliance.domain.image_policy import Scanned, ScanState
from appliance.domain.moment import Timestamp
from appliance.domain.scan import Scan
from appliance.domain.vulnerability import summarise
from appliance.services.scan_judging import state_of
from appliance.services.stock import Stock


async def record(stock: Stock, file: SideFile, scan: Scan) -> None:
    """Write down `scan`, then tell the pull limit: a crash in between leaves the older, never half of this one."""
    async with stock.telling:
        await file.write(lambda tx: scans.put(tx, scan))
        await stock.db.write(lambda tx: summarise_in(tx, scan, stock.clock()))


def summarise_in(tx: Transaction, scan: Scan, now: Timestamp) -> None:
    """Tell the pull limit of every image that asked for it what `scan` came to, without what is accepted there.

    Whoever calls holds `Stock.telling` since `scan` was read or written: an older one must not be told after a newer.
    """
    report = scan.report
    state = state_of(report)
    ids = {finding.id for finding in report.findings}
    for manifest, image, _state in scan_summaries.list_asked(tx, scan.digest):
        summary = None
        if state is ScanState.COMPLETE:
            accepted = Accepted(acceptances.list_of_image(tx, image, scan.digest, ids, now))
            counted = tuple(finding for finding in report.findings if accepted.find(finding) is None)
            summary = summarise(msgspec.structs.replace(report, findings=counted))
        scan_summaries.put(tx, manifest, Scanned(state, summary, scan.matched_at))
