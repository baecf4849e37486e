"""The parts that work on the files of a data folder while nobody serves it: for `verify`, `rebuild`, `restore`."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from appliance.assemble.basis import DATABASE, prepare_database
from appliance.assemble.folder import DataFolder
from appliance.assemble.settings import rules_of
from appliance.assemble.storage import fetch_snapshot, open_storage
from appliance.assemble.timetable import Clock
from appliance.blobstore.files import Files
from appliance.blobstore.upload import Uploads
from appliance.config import Config
from appliance.db.database import Database
from appliance.errors import ConfigInvalid
from appliance.logs import Log
from appliance.services.stock import Stock

_THREADS = 4  # for files and hashing


@asynccontextmanager
async def open_offline(
    config: Config,
    prepare: Callable[[Path], None] | None = None,
    *,
    is_restore: bool = False,
    is_rebuild: bool = False,
) -> AsyncIterator[Stock]:
    """Lock the data folder and open its stock; `prepare` sees the folder before the database is opened.

    Raises FolderBusy while somebody serves it, ConfigInvalid where there is no data folder, or one that a restore has
    left half done; a restore itself may make it, and goes on with it. A rebuild may begin with a bucket alone: the
    newest snapshot of the database is fetched from there.
    """
    path = config.storage.data_dir
    fetches = is_rebuild and bool(config.storage.s3.bucket)
    if not is_restore and not fetches and not (path / "blobs").is_dir():
        raise ConfigInvalid(f"{path} is no data folder of scr; name it with --data-dir, or its scr.toml with --config")
    log = Log(level=config.log.level, form=config.log.format)
    files = Files()
    clock = Clock(log).now
    with DataFolder(path, files) as folder, ThreadPoolExecutor(_THREADS, thread_name_prefix="worker") as executor:
        if fetches:
            await fetch_snapshot(folder, config, files, executor, clock, log)
        if prepare is not None:
            prepare(path)
        source = path / DATABASE if is_restore else prepare_database(path, files, clock(), log)
        database = Database(source, executor, log)
        try:
            async with AsyncExitStack() as stack:
                storage = await open_storage(stack, folder, config, files, executor, database, clock, log)
                uploads = Uploads(path / "uploads", files, executor, 0, storage.forms)
                stock = Stock(database, storage.store, uploads, rules_of(config), log, clock)
                stock.vault = storage.vault
                yield stock
        finally:
            database.close()
