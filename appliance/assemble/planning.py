"""What the resources of a scr.toml would change, told from the data folder while nobody serves it."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from appliance.assemble.basis import DATABASE
from appliance.assemble.folder import DataFolder
from appliance.assemble.settings import declaration_of
from appliance.assemble.stock import visibility_of
from appliance.assemble.timetable import Clock
from appliance.blobstore.files import Files
from appliance.config import Config
from appliance.db import snapshot
from appliance.db.database import Database
from appliance.errors import Conflict
from appliance.logs import Log
from appliance.services.declare import Change, plan
from appliance.services.provision import claim_site


async def plan_offline(config: Config) -> list[Change]:
    """Return what a start with `config` would change of what is declared. Nothing does.

    Raises ConfigInvalid where it would be refused, FolderBusy, and Conflict for a database of an older program.
    """
    folder = config.storage.data_dir
    if not (folder / DATABASE).exists():
        with tempfile.TemporaryDirectory() as empty:  # a first start
            return await _plan(config, Path(empty))
    if snapshot.is_outdated(folder / DATABASE):
        raise Conflict(f"the database in {folder} is an older program's; start scr once to upgrade it, then plan")
    with DataFolder(folder, Files()):
        return await _plan(config, folder)


async def _plan(config: Config, folder: Path) -> list[Change]:
    log = Log(level=config.log.level, form=config.log.format)
    now = Clock(log).now()
    with ThreadPoolExecutor(2) as executor, closing(Database(folder / DATABASE, executor, log)) as database:
        is_new = await database.read(lambda reader: reader.one("SELECT 1 FROM registries") is None)
        if is_new:
            await database.write(lambda tx: claim_site(tx, "scr", now, visibility_of(config)))
        return await plan(database, declaration_of(config), now)
