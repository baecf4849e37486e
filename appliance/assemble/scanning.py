"""The scanner in its place: its database, what it may take, and the jobs it does."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack

from appliance.assemble.folder import DataFolder
from appliance.assemble.scan_options import options_of
from appliance.config import Config
from appliance.db import layers, migrate
from appliance.db.side_file import SideFile
from appliance.domain.names import parse_digest
from appliance.scheduler import Run, Schedule, Work
from appliance.services import accepting, rematch, scan_orders
from appliance.services.scanning import Scanner
from appliance.services.stock import Stock


async def open_scanner(
    stack: AsyncExitStack,
    folder: DataFolder,
    config: Callable[[], Config],
    stock: Stock,
    executor: Executor,
) -> Scanner:
    """Open `scan.sqlite`; leaving `stack` closes it. What a crash left half written is dropped, or asked for again."""
    file = SideFile(folder.path / "scan.sqlite", executor, stock.log, migrate.SCANS)
    stack.callback(file.close)
    await file.write(layers.drop_unfinished)
    await rematch.ask_if_stale(stock, file)
    return Scanner(stock, file, lambda: options_of(config()), stock.vulndb.hold)


class ScanLabour:
    """What jobs of the kind scan do: one manifest, all that a repository or registry has, or all that grew old."""

    def __init__(self, config: Callable[[], Config], stock: Stock, scanner: Scanner) -> None:
        """Work with `scanner`."""
        self._config = config
        self._stock = stock
        self._scanner = scanner

    def work(self) -> Work:
        """Return who does it: one at a time, for whoever transfers comes first."""
        return Work(scan_orders.KIND, self._scan)

    def schedule(self) -> Schedule:
        """Return when it is done by itself."""
        return Schedule(scan_orders.KIND, lambda: self._config().schedule.scan)

    async def _scan(self, run: Run) -> None:
        subject = run.job.subject
        if not subject:
            stale = self._scanner.is_stale
            run.report({"ordered": await scan_orders.order_stale(self._stock, self._scanner.file, stale, run)})
        elif subject.startswith(scan_orders.EVERYWHERE):
            run.report({"ordered": await scan_orders.spread(self._stock, subject, run.job.created_by, run)})
        elif subject.startswith(accepting.ABOUT):
            run.report({"told": await accepting.tell(self._stock, self._scanner.file, subject, run)})
        else:
            done = await self._scanner.scan(parse_digest(subject), run)
            run.report(done)
            self._stock.log.info("scan.done", digest=done.digest, state=done.state, findings=done.findings)
