"""Opens what every service works with: the database and the store, and gives a new appliance its id and registry."""

import asyncio
import os
from concurrent.futures import Executor
from contextlib import AsyncExitStack

import msgspec

from appliance.assemble.basis import check_not_lost, prepare_database
from appliance.assemble.folder import DataFolder
from appliance.assemble.settings import rules_of
from appliance.assemble.storage import open_storage
from appliance.assemble.timetable import Clock
from appliance.blobstore.files import Files
from appliance.blobstore.s3 import S3Store
from appliance.blobstore.upload import Uploads
from appliance.config import Config
from appliance.db import facts
from appliance.db.database import Database, Transaction
from appliance.db.replica import Replica
from appliance.domain.admission import Site
from appliance.domain.moment import Timestamp
from appliance.domain.names import DEFAULT_REGISTRY
from appliance.domain.registry import StoreState, Visibility
from appliance.logs import Log
from appliance.services.multiparts import abort_left
from appliance.services.provision import claim_site
from appliance.services.stock import Stock

_PATIENCE_S = 2.0  # seconds for one look at the folder of blobs
_STOPPED = "stopped_at"  # the fact that says a stop was clean; taken away at the start


class Opened(msgspec.Struct, frozen=True):
    """Stock and files, the default registry, when it was opened, whether the last stop was clean; the bucket if any."""

    stock: Stock
    files: Files
    site: Site
    started: Timestamp
    was_clean: bool
    bucket: S3Store | None = None


async def open_stock(
    stack: AsyncExitStack,
    folder: DataFolder,
    config: Config,
    files: Files,
    executor: Executor,
    clock: Clock,
    log: Log,
) -> Opened:
    """Open database and store; leaving `stack` closes them.

    Raises ConfigInvalid where the folder is not whole or the database is lost, StorageFull, StoreFailed.
    """
    path = prepare_database(folder.path, files, clock.now(), log)
    database = Database(path, executor, log, replicated=config.database.replicated)
    stack.callback(database.close)  # where the start does not get as far as that it could be stopped
    storage = await open_storage(stack, folder, config, files, executor, database, clock.now, log)
    await check_not_lost(database, storage.store, files)

    async def close() -> None:
        database.replica = None  # nobody is answered any more
        await database.write(lambda tx: facts.put(tx, _STOPPED, str(clock.now())))
        await asyncio.get_running_loop().run_in_executor(None, database.close)

    stack.push_async_callback(close)
    reserve = config.storage.min_free.of(folder.size_bytes())
    is_local = config.storage.driver == "local"
    uploads = Uploads(folder.path / "uploads", files, executor, reserve, storage.forms, syncs=is_local)
    stock = Stock(database, storage.store, uploads, rules_of(config), log, clock.now)
    stock.vault = storage.vault
    started = clock.now()
    site, stopped_at = await database.write(lambda tx: _prepare(tx, started, visibility_of(config)))
    if stopped_at and started < int(stopped_at) - Clock.JUMP:
        clock.distrust(started - int(stopped_at), config.storage.recycle)
    if storage.bucket is not None:
        await abort_left(database, storage.bucket.parts.abort, log)
    return Opened(stock, files, site, started, was_clean=stopped_at != "", bucket=storage.bucket)


async def look_at_store(opened: Opened, folder: DataFolder) -> StoreState:
    """Return whether the store can be used, as far as can be told at once."""
    if opened.bucket is not None:
        return StoreState.SILENT if await opened.bucket.find_fault() else StoreState.WELL
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.to_thread(os.stat, folder.path / "blobs")
    except TimeoutError:  # a network file system whose server is away
        return StoreState.SILENT
    except OSError:
        return StoreState.FAILED
    return StoreState.WELL


def visibility_of(config: Config) -> Visibility:
    """Return what a default registry that is made now shall be: it can be public from its creation on only."""
    declared = (one.visibility for one in config.registry if str(one.name) == DEFAULT_REGISTRY)
    return next(declared, Visibility.PRIVATE)


def wait_for_replica(database: Database, config: Config) -> None:
    """Let every write from now on wait for Litestream, where that is asked for."""
    if config.database.wait_for_replica:
        database.replica = Replica(config.database.replica_socket, database.path)


def _prepare(tx: Transaction, now: Timestamp, visibility: Visibility) -> tuple[Site, str | None]:
    """Give the appliance its id and its default registry; return them and when it stopped: "" for a crash, None new."""
    site = claim_site(tx, "scr", now, visibility)
    stopped_at = facts.find(tx, _STOPPED)
    facts.put(tx, _STOPPED, "")
    return site, stopped_at
