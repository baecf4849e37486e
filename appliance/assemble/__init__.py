"""Sources -> running appliance: the one module that knows every part; order of start and stop, timetable, reload.

Start: folder (lock), database, store, front, sockets, and only then the ready lines and the timetable. Stop is the
reverse: no new connections, running transfers finish, what was counted is written, the database closes, the lock goes.
"""

import asyncio
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from appliance import __version__
from appliance.assemble.folder import DataFolder
from appliance.assemble.reload import Lookout, read_again
from appliance.assemble.timetable import Clock, Entry, Timetable
from appliance.blobstore.files import Files
from appliance.blobstore.local import LocalStore
from appliance.blobstore.upload import Uploads
from appliance.config import Address, Config, ListenerSection, Loaded, Sources, load
from appliance.db import facts, registries
from appliance.db.database import BALLAST, Database, Transaction
from appliance.domain.admission import Site
from appliance.domain.moment import Timestamp
from appliance.domain.names import DEFAULT_REGISTRY
from appliance.domain.registry import RegistryId, Visibility
from appliance.errors import ConfigInvalid, ScrError
from appliance.http.admit import Doorkeeper, User
from appliance.http.api.app import make_app
from appliance.http.api.running import Running
from appliance.http.certificate import Certificate
from appliance.http.front import Door, Front
from appliance.http.health import Check, Checks
from appliance.http.listen import Listeners
from appliance.http.proxy import TrustedProxies
from appliance.http.v2.app import DistributionApi
from appliance.http.watch import Limits
from appliance.logs import Log, Relay
from appliance.services import collect, scrub, tally
from appliance.services.stock import Rules, Stock, new_public_id
from appliance.services.tally import Pulls

_THREADS = 8  # workers for files, hashing, listings and passwords; two cores are busy with half of them
_DAY_S = 86_400.0
_HOUR_S = 3600.0
_UPKEEP_S = 600.0  # between two looks at the disk: ballast, reserve
_ROOM_S = 30.0  # between two looks whether the disk still has room for new bytes
_SOON_S = 60.0  # after the start, when what is not urgent begins
_STOPPED = "stopped_at"  # the fact that says a stop was clean; taken away at the start


def serve(sources: Sources, files: Files | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises ConfigInvalid, FolderBusy and what else a person can mend; any other error is said once in the log.
    """
    loaded = load(sources)
    log = Log(level=loaded.config.log.level, form=loaded.config.log.format)
    logging.basicConfig(handlers=[Relay(log)], level=logging.WARNING, force=True)
    try:
        uvloop.run(Appliance(sources, loaded, log, files or Files()).run())
    except ScrError:
        raise
    except Exception as error:
        if "SCR_DEBUG" in os.environ:
            raise
        log.error("scr.failed", reason=repr(error), cure="start it again with SCR_DEBUG=1 to see where")
        return 1
    return 0


class Appliance:
    """The running program: its parts, and what connects them."""

    def __init__(self, sources: Sources, loaded: Loaded, log: Log, files: Files) -> None:
        """Prepare to run with what `sources` gave as `loaded`."""
        self._sources = sources
        self._loaded = loaded
        self._log = log
        self._files = files
        self._clock = Clock(log)
        self._executor = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="worker")
        self._pulls = Pulls()
        self._checks = Checks()
        self._certificates: dict[tuple[Path, Path], Certificate] = {}
        self._urls: tuple[str, ...] = ()
        self._fault = ""  # of the last reload

    @property
    def _config(self) -> Config:
        return self._loaded.config

    async def run(self) -> None:
        """Start, serve until told to stop, stop."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._complain)
        stopping, hurrying = asyncio.Event(), asyncio.Event()

        def stop() -> None:
            (hurrying if stopping.is_set() else stopping).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        lookout = Lookout(lambda: self._loaded.files, self._reload)
        loop.add_signal_handler(signal.SIGHUP, lookout.ring)
        async with AsyncExitStack() as stack:
            stack.callback(self._executor.shutdown)
            self._folder = stack.enter_context(DataFolder(self._config.storage.data_dir, self._files))
            was_clean = await self._open_stock(stack, self._folder)
            await self._open_doors(stack)
            self._timetable = Timetable(self._log)
            async with asyncio.TaskGroup() as group:
                entries = self._entries(was_clean=was_clean)
                tasks = [group.create_task(self._timetable.follow(entry)) for entry in entries]
                tasks.append(group.create_task(lookout.look(self._renew_certificates)))
                tasks.append(group.create_task(self._watch(lookout)))
                self._say_ready()
                await stopping.wait()
                self._log.info("scr.stopping", grace_s=self._config.server.shutdown_grace.seconds)
                tasks.append(group.create_task(self._hurry(hurrying)))
                await self._listeners.close(self._config.server.shutdown_grace.seconds)
                for task in tasks:
                    task.cancel()

    async def _open_stock(self, stack: AsyncExitStack, folder: DataFolder) -> bool:
        """Open database and store; return whether the last stop was clean."""
        database = Database(folder.path / "scr.sqlite", self._executor, self._log)
        stack.push_async_callback(self._close_database, database)
        config = self._config
        store = LocalStore(folder.path, self._files, self._executor)
        reserve = config.storage.min_free.of(folder.size_bytes())
        uploads = Uploads(folder.path / "uploads", self._files, self._executor, reserve)
        self._stock = Stock(database, store, uploads, rules_of(config), self._log, self._clock.now)
        self._started = self._clock.now()
        self._site, stopped_at = await database.write(self._prepare)
        if stopped_at is not None and self._started < stopped_at - Clock.JUMP:
            self._clock.distrust(self._started - stopped_at, config.storage.recycle)
        self._checks.add("database", self._check_database, is_vital=True)
        self._checks.add("disk", self._check_disk)
        self._checks.add("configuration", self._check_configuration)
        return stopped_at is not None

    async def _close_database(self, database: Database) -> None:
        await self._pulls.flush(database)
        await database.write(lambda tx: facts.put(tx, _STOPPED, str(self._clock.now())))
        await asyncio.get_running_loop().run_in_executor(None, database.close)

    def _prepare(self, tx: Transaction) -> tuple[Site, Timestamp | None]:
        """Give the appliance its id and its default registry; return them and when it was last stopped, if it was."""
        appliance = facts.find(tx, "appliance")
        if appliance is None:
            appliance = new_public_id()
            facts.put(tx, "appliance", appliance)
        found = registries.find(tx, DEFAULT_REGISTRY)
        number = found.id if found else None
        if number is None:
            number = registries.insert(
                tx, DEFAULT_REGISTRY, new_public_id(), Visibility.PRIVATE, "scr", self._clock.now()
            )
        stopped_at = facts.find(tx, _STOPPED)
        facts.put(tx, _STOPPED, "")
        site = Site(appliance, RegistryId(number), DEFAULT_REGISTRY)
        return site, Timestamp(int(stopped_at)) if stopped_at else None

    async def _open_doors(self, stack: AsyncExitStack) -> None:
        """Open the control socket and every listener."""
        config = self._config
        self._trusted = TrustedProxies(config.server.trusted_proxies)
        self._running = Running(
            self._started, lambda: self._urls, lambda: self._config.server.public_url, self._checks.report
        )
        self._front = Front(
            DistributionApi(self._stock, self._pulls),
            make_app(self._stock, self._running),
            self._doorkeeper(),
            self._site,
            names_of(config),
            self._trusted,
        )
        self._listeners = Listeners(self._front, self._log, limits_of(config), self._trusted)
        stack.push_async_callback(self._listeners.close, 0)
        await self._listeners.open_control(config.storage.data_dir / "control.sock", Door("control", is_control=True))
        for listener in config.listeners:
            await self._open_listener(listener)

    async def _open_listener(self, listener: ListenerSection) -> None:
        certificate = self._certificate(listener)
        scheme = "https" if certificate else "http"
        found = await self._listeners.open(
            listener.address.host, listener.address.port, Door("main"), certificate, allow_plain=listener.allow_plain
        )
        self._urls += tuple(f"{scheme}://{Address(host, port)}" for host, port in found)

    def _certificate(self, listener: ListenerSection) -> Certificate | None:
        """Return the certificate of `listener`, loaded once for all that share it. Raises ConfigInvalid."""
        if listener.tls_certificate is None or listener.tls_key is None:
            return None
        files = listener.tls_certificate, listener.tls_key
        if files not in self._certificates:
            self._certificates[files] = certificate = Certificate(*files, self._log)
            self._checks.add(f"tls certificate {files[0].name}", certificate.check)
        return self._certificates[files]

    def _renew_certificates(self) -> None:
        for certificate in self._certificates.values():
            certificate.reload()

    def _doorkeeper(self) -> Doorkeeper:
        users = tuple(User(user.name, user.password_hash, user.policies) for user in self._config.user)
        return Doorkeeper(users, self._executor, is_open=self._config.is_open, log=self._log)

    def _say_ready(self) -> None:
        for url in self._urls:
            sys.stderr.write(f'scr {__version__} serving {url} (registry "{self._site.name}")\n')
        sys.stderr.flush()
        if not self._config.user and not self._config.is_open:
            self._log.warn(
                "access.nobody", cure="add a [[user]] to scr.toml: behind a proxy nobody gets in without one"
            )

    async def _hurry(self, hurrying: asyncio.Event) -> None:
        """Break off running transfers at a second signal."""
        await hurrying.wait()
        await self._listeners.close(0)

    def _entries(self, *, was_clean: bool) -> tuple[Entry, ...]:
        """Return the timetable."""

        async def keep_house() -> None:
            """Lay out the ballast where there is room, and follow a disk that was made larger or smaller."""
            reserve = self._config.storage.min_free.of(self._folder.size_bytes())
            self._stock.uploads.min_free = reserve
            laid = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._folder.lay_ballast, BALLAST, reserve
            )
            if laid:
                self._log.debug("disk.ballast_laid", size=BALLAST)

        def is_short() -> bool:
            return self._folder.free_bytes() < self._stock.uploads.min_free

        async def make_room() -> None:
            """Give up what waits in recycle, the oldest first, where nothing new would be taken for want of room."""
            if is_short() and self._clock.is_steady(self._config.storage.recycle):
                freed = await collect.make_room(self._stock, is_short, started=self._started)
                self._log.warn("disk.nearly_full", freed=freed.bytes, cure="free the disk, or delete images")

        async def flush_pulls() -> None:
            await self._pulls.flush(self._stock.db)

        sweep_s = self._config.storage.grace.seconds + _SOON_S  # what the crash left is old enough then
        return (
            Entry("count pulls", flush_pulls, lambda: tally.FLUSH_S, tally.FLUSH_S),
            Entry("collection", self._collect, self._collect_every, self._collect_every()),
            Entry("stray sweep", self._sweep, lambda: _DAY_S, _DAY_S if was_clean else sweep_s),
            Entry("scrub", self._scrub, lambda: _HOUR_S, _HOUR_S),
            Entry("room", make_room, lambda: _ROOM_S, _ROOM_S),
            Entry("upkeep", keep_house, lambda: _UPKEEP_S, _SOON_S),
        )

    def _collect_every(self) -> float:
        return self._config.storage.collect_every.seconds

    async def _collect(self) -> None:
        """Collect, unless somebody does already or the clock has jumped."""
        if "collection" in self._running.under_way or not self._clock.is_steady(self._config.storage.recycle):
            return
        self._running.under_way.add("collection")
        try:
            done = await collect.collect(self._stock, started=self._started)
        finally:
            self._running.under_way.discard("collection")
        if done != collect.Collected():
            self._log.info(
                "collection.done", blobs=done.blobs, freed=done.bytes, manifests=done.manifests, uploads=done.uploads
            )

    async def _sweep(self) -> None:
        """Delete files that no row owns."""
        if not self._clock.is_steady(self._config.storage.grace):
            return
        done = await collect.sweep_strays(self._stock)
        if done.strays:
            self._log.info("collection.strays", files=done.strays, freed=done.bytes)

    async def _scrub(self) -> None:
        """Scrub at its bounded rate where the last whole one is long enough ago; go on with one that a stop ended."""
        storage = self._config.storage
        progress = await self._stock.db.read(scrub.find_progress)
        is_due = progress.after or self._clock.now() - progress.ended_at >= storage.scrub_every
        if not storage.scrub_every or not is_due or "scrub" in self._running.under_way:
            return
        self._running.under_way.add("scrub")
        try:
            done = await scrub.scrub(self._stock, after=progress.after, rate=storage.scrub_rate)
        finally:
            self._running.under_way.discard("scrub")
        self._log.info("scrub.done", blobs=done.blobs, bytes=done.bytes, broken=len(done.broken))

    async def _watch(self, lookout: Lookout) -> None:
        """Watch the files where the system can; where it cannot, the look every two seconds is enough."""
        try:
            await lookout.watch()
        except (OSError, RuntimeError) as error:  # too many watches, or the folder went away
            self._log.warn("config.watch_ended", reason=repr(error), cure="none needed: the files are looked at anyway")

    async def _reload(self, is_asked: bool) -> None:  # noqa: FBT001 - the lookout's own word
        """Take over what may change while running; whatever is wrong changes nothing."""
        try:
            change = await asyncio.get_running_loop().run_in_executor(
                self._executor, read_again, self._sources, self._loaded
            )
        except ConfigInvalid as error:
            self._fault = error.message
            self._log.error("config.refused", reason=error.message, cure="mend it; what was in force stays in force")
            return
        except Exception as error:  # noqa: BLE001 - a mistake of ours in here must not take the server with it
            self._fault = repr(error)
            self._log.error("config.refused", reason=repr(error), cure="restart scr; what was in force stays in force")
            return
        was, self._loaded, self._fault = self._config, change.loaded, ""
        self._apply(was)
        if change.applied or is_asked:
            self._log.info("config.reloaded", changed=", ".join(change.applied) or "nothing")
        if change.waiting:
            self._log.warn("config.needs_restart", keys=", ".join(change.waiting), cure="restart scr to apply them")

    def _apply(self, was: Config) -> None:
        """Swap everything that follows the configuration, each whole."""
        config = self._config
        self._log.configure(level=config.log.level, form=config.log.format)
        self._stock.rules = rules_of(config)
        self._stock.uploads.min_free = config.storage.min_free.of(self._folder.size_bytes())
        self._listeners.limits = limits_of(config)
        is_same = (config.user, config.is_open) == (was.user, was.is_open)  # then it keeps what it has verified
        doorkeeper = self._front.doorkeeper if is_same else self._doorkeeper()
        self._front.consult(doorkeeper, names_of(config), self._trusted)
        self._timetable.change()

    async def _check_database(self) -> Check:
        await self._stock.db.read(lambda reader: reader.one("SELECT 1"))
        return Check("database", ok=True)

    async def _check_disk(self) -> Check:
        is_well = self._folder.free_bytes() >= self._stock.uploads.min_free
        return Check("disk", ok=is_well, detail="" if is_well else "nothing new is taken: free the disk, delete images")

    async def _check_configuration(self) -> Check:
        detail = "the last change of the configuration was refused: see the log" if self._fault else ""
        return Check("configuration", ok=not self._fault, detail=detail)

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what no task handled: once, without a traceback."""
        del loop
        self._log.error("task.failed", what=str(context.get("message", "")), reason=repr(context.get("exception")))


def names_of(config: Config) -> frozenset[str]:
    """Return the host names that mean the default registry: those listed, the public one, those listened on."""
    public = urlsplit(config.server.public_url).hostname
    listened = (listener.address.host for listener in config.listeners)
    return frozenset((*config.server.names, *filter(None, (public, *listened))))


def rules_of(config: Config) -> Rules:
    """Return what `config` says about what is taken and how long it is kept."""
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


def limits_of(config: Config) -> Limits:
    """Return what `config` allows clients to take."""
    server = config.server
    return Limits(
        header_timeout_s=server.header_timeout.seconds,
        idle_timeout_s=server.idle_timeout.seconds,
        min_rate=server.min_rate,
    )
