"""Who may come in: the directory of accounts, tokens and their keys, what is noted of uses, users of the file."""

import asyncio
from concurrent.futures import Executor

from appliance.assemble.folder import DataFolder
from appliance.assemble.stock import Opened
from appliance.assemble.timetable import Entry
from appliance.blobstore.files import Files
from appliance.config import Config
from appliance.http.admit import Doorkeeper
from appliance.http.callers import Callers
from appliance.http.challenge import Challenger
from appliance.http.verify import Verifier
from appliance.logs import Log
from appliance.services import sign_ins
from appliance.services.directory import Directory
from appliance.services.signing import Signer
from appliance.services.tally import FLUSH_S
from appliance.services.uses import Uses

_DAY_S = 86_400.0
_HOUR_S = 3600.0


class Access:
    """The parts that tell who calls and what they may do."""

    def __init__(
        self, config: Config, folder: DataFolder, opened: Opened, files: Files, executor: Executor, log: Log
    ) -> None:
        """Read the signing keys, or make the first one. Blocks. Raises ConfigInvalid, StorageFull, StoreFailed."""
        self._stock = opened.stock
        self._executor = executor
        self._log = log
        clock = opened.stock.clock
        self._signer = Signer(folder.path / "keys" / "tokens", files, log, clock())
        self.uses = Uses()
        self.directory = Directory(opened.stock.db, opened.site.appliance)
        verifier = Verifier(opened.stock, self.directory, executor)
        doorkeeper = Doorkeeper(self.directory, self._signer, verifier, self.uses, opened.stock.db.reader, clock)
        self.challenger = Challenger(config.server.public_url, opened.site.registry)
        self.callers = Callers(doorkeeper, self.challenger, may_be_open=config.is_open)

    def apply(self, config: Config) -> None:
        """Take over what of `config` may change while it runs."""
        self.callers.may_be_open = config.is_open
        self.challenger.public_url = config.server.public_url

    def entries(self) -> tuple[Entry, ...]:
        """Return what is to be done by itself."""
        return (
            Entry("note uses", self.flush, lambda: FLUSH_S, FLUSH_S),
            Entry("signing keys", self._rotate, lambda: _HOUR_S, _HOUR_S),
            Entry("expired sign-ins", self._forget, lambda: _DAY_S, _HOUR_S),
        )

    async def flush(self) -> None:
        """Write what was noted of uses."""
        await self.uses.flush(self._stock.db)

    async def _rotate(self) -> None:
        """Sign with a new key where the newest is old enough; the tokens that are out stay good."""
        now = self._stock.clock()
        if self._signer.is_due(now):
            await asyncio.get_running_loop().run_in_executor(self._executor, self._signer.rotate, now)
            self._log.info("keys.rotated", keys=len(self._signer.keys))

    async def _forget(self) -> None:
        await sign_ins.forget(self._stock, self._stock.clock())
