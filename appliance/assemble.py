"""Config -> running appliance: the one file that knows every part; order of start and stop; timetable."""

import asyncio
import fcntl
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from appliance import __version__
from appliance.blobstore.files import Files
from appliance.blobstore.local import LocalStore
from appliance.blobstore.upload import Uploads
from appliance.config import Config, Sources, load
from appliance.db import facts, registries
from appliance.db.database import BALLAST, Database, Transaction
from appliance.domain.admission import Site
from appliance.domain.moment import SECOND, Timestamp
from appliance.domain.names import DEFAULT_REGISTRY
from appliance.domain.registry import RegistryId, Visibility
from appliance.errors import FolderBusy
from appliance.http.admit import Doorkeeper, User
from appliance.http.api.app import make_app
from appliance.http.api.running import Running
from appliance.http.front import Door, Front
from appliance.http.health import Health
from appliance.http.listen import Listeners
from appliance.http.v2.app import DistributionApi
from appliance.logs import Log
from appliance.services import collect, tally
from appliance.services.stock import Rules, Stock, new_public_id
from appliance.services.tally import Pulls


def serve(sources: Sources, files: Files | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    config = load(sources).config
    log = Log(level=config.log.level, form=config.log.format)
    return uvloop.run(_serve(config, log, files or Files()))


async def _serve(config: Config, log: Log, files: Files) -> int:
    folder = config.storage.data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(folder)
    executor = ThreadPoolExecutor(max_workers=8, thread_name_prefix="worker")
    database = Database(folder / "scr.sqlite", executor, log)
    stock = Stock(
        database,
        LocalStore(folder, files, executor),
        Uploads(folder / "uploads", files, executor, 256 << 20),
        _rules(config),
        log,
        _now,
    )
    site = await database.write(_prepare)
    pulls = Pulls()
    listening: tuple[str, ...] = ()
    users = tuple(User(user.name, user.password_hash, user.policies) for user in config.user)
    front = Front(
        DistributionApi(stock, pulls),
        make_app(stock, Running(_now(), lambda: listening, lambda: config.server.public_url, _ready)),
        Doorkeeper(users, executor, is_open=config.is_open),
        site,
        frozenset(config.server.names),
    )
    listeners = Listeners(front)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await listeners.open_control(folder / "control.sock", Door("control", is_control=True))
    for address in config.server.listen:
        for found, number in await listeners.open(address.host, address.port, Door("main")):
            listening += (f"http://{found}:{number}",)
            print(
                f'scr {__version__} serving http://{found}:{number} (registry "{site.name}")',
                file=sys.stderr,
                flush=True,
            )
    async with asyncio.TaskGroup() as group:
        flushing = group.create_task(_every(tally.FLUSH_S, lambda: pulls.flush(database)))
        await stopping.wait()
        flushing.cancel()
    await listeners.close(30)
    await pulls.flush(database)
    await loop.run_in_executor(None, database.close)
    os.close(lock)
    return 0


def _rules(config: Config) -> Rules:
    storage, limits = config.storage, config.limits
    return Rules(
        manifest_bytes=limits.manifest_bytes,
        sparse_indexes=limits.sparse_indexes,
        sparse_images=limits.sparse_images,
        strict=config.compat.scr_strict,
        create_on_push=config.compat.create_on_push,
        recycle=storage.recycle,
        grace=storage.grace,
        upload_expiry=storage.upload_expiry,
        history_keep=storage.history_keep,
        default_policy=config.defaults.repository,
    )


async def _ready() -> Health:
    return Health("ready", ())


async def _every(seconds: float, work) -> None:
    while True:
        await asyncio.sleep(seconds)
        await work()


def _prepare(tx: Transaction) -> Site:
    """Give the appliance its id and its default registry."""
    appliance = facts.find(tx, "appliance")
    if appliance is None:
        appliance = new_public_id()
        facts.put(tx, "appliance", appliance)
    registry = registries.find(tx, DEFAULT_REGISTRY)
    number = (
        registry.id
        if registry
        else registries.insert(tx, DEFAULT_REGISTRY, new_public_id(), Visibility.PRIVATE, "scr", _now())
    )
    return Site(appliance, RegistryId(number), DEFAULT_REGISTRY)


def _now() -> Timestamp:
    return Timestamp(int(time.time() * SECOND))


def _lock(folder: Path) -> int:
    """Lock the data folder for this process. Raises FolderBusy."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise FolderBusy(f"another scr serves {folder}; stop it first, or choose another --data-dir") from error
    return descriptor


_ = (BALLAST, collect)
