"""The life of the process: start, serve, reload, stop.

Start: folder (lock), database, store, front, sockets, and only then the ready lines and the timetable. Stop is the
reverse: no new connections, running transfers finish, what was counted is written, the database closes, the lock goes.
"""

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from appliance import program
from appliance.assemble.access import Access
from appliance.assemble.bookkeeping import bounds_of, open_books
from appliance.assemble.doors import Doors
from appliance.assemble.feeds import add_data, make_check, open_data
from appliance.assemble.folder import DataFolder
from appliance.assemble.in_force import show_settings
from appliance.assemble.jobs import list_planned, make_scheduler, sweep_after_crash
from appliance.assemble.measuring import add_jobs, add_sources
from appliance.assemble.reload import Lookout, read_again
from appliance.assemble.scanning import open_scanner
from appliance.assemble.service import ServiceManager
from appliance.assemble.settings import declaration_of, rules_of
from appliance.assemble.stock import Opened, look_at_store, open_stock, wait_for_replica
from appliance.assemble.timetable import Clock, Entry, Timetable
from appliance.assemble.upkeep import Upkeep
from appliance.blobstore.files import Files
from appliance.config import Config, Loaded, Sources
from appliance.domain.registry import EndpointUrls, Registry, RegistrySettings
from appliance.errors import ScrError
from appliance.http.health import Check, Checks
from appliance.http.running import Running
from appliance.logs import Log
from appliance.services.declare import declare
from appliance.services.provision import finish_creations

_LONGEST_LOG = 256 << 20  # bytes of a write-ahead log that Litestream looks after
_THREADS = 8  # workers for files, hashing, listings and passwords; two cores are busy with half of them


class Appliance:
    """The running program: its parts, and what connects them."""

    def __init__(self, sources: Sources, loaded: Loaded, log: Log, files: Files) -> None:
        """Prepare to run with what `sources` gave as `loaded`."""
        self._sources = sources
        self._loaded = self._started = loaded
        self._log = log
        self._files = files
        self._clock = Clock(log)
        self._executor = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="worker")
        self._checks = Checks()
        self._fault = ""  # of the last reload

    @property
    def _told(self) -> str:
        """What a service manager is told of a server that serves."""
        return f"serving {', '.join(self._doors.urls)}" + (f"; {self._fault}" if self._fault else "")

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
        self._manager = ServiceManager.of(os.environ)
        lookout = Lookout(lambda: self._loaded.files, self._reload, executor=self._executor)
        loop.add_signal_handler(signal.SIGHUP, lookout.ring)
        async with AsyncExitStack() as stack:
            stack.callback(self._executor.shutdown)
            self._folder = stack.enter_context(DataFolder(self._config.storage.data_dir, self._files))
            self._opened = await open_stock(
                stack, self._folder, self._config, self._files, self._executor, self._clock, self._log
            )
            await open_data(stack, self._opened)
            self._books = await open_books(stack, self._folder, self._config, self._opened.stock, self._executor)
            self._access = Access(self._config, self._folder, self._opened, self._files, self._executor, self._log)
            stack.push_async_callback(self._access.flush)
            self._opened.stock.declared_in = str(self._sources.path or "scr.toml")
            await declare(self._opened.stock, declaration_of(self._config), self._clock.now())
            self._add_checks()
            self._scanner = await open_scanner(
                stack, self._folder, lambda: self._config, self._opened.stock, self._executor
            )
            self._scheduler = make_scheduler(
                lambda: self._config, self._opened, self._books, self._scanner, self._clock, self._log
            )
            if not self._opened.was_clean:
                await sweep_after_crash(self._opened, self._config.storage.grace)
            wait_for_replica(self._opened.stock.db, self._config)  # from here on somebody is answered
            await self._open_doors(stack, self._opened)
            self._lists = self._doors.endpoints.make_lookout()
            self._timetable = Timetable(self._log)
            add_jobs(self._doors.meter, self._opened.stock.db, self._scheduler)
            add_data(self._doors.meter, self._opened.stock)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._timetable.follow(entry)) for entry in self._entries()]
                tasks.append(group.create_task(self._scheduler.run()))
                if self._opened.bucket is not None:
                    tasks.append(group.create_task(self._opened.bucket.follow()))
                tasks += [group.create_task(self._books.follow()), group.create_task(self._books.write_traffic())]
                tasks.append(group.create_task(lookout.look(self._doors.renew_certificates)))
                tasks.append(group.create_task(self._lists.look()))
                tasks += [group.create_task(self._watch(one)) for one in (lookout, self._lists)]
                tasks.append(group.create_task(self._manager.show_life(self._check_database)))
                self._doors.say_ready()
                self._manager.say_ready(self._told)
                program.release()
                await stopping.wait()
                self._manager.say_stopping()
                self._log.info("scr.stopping", grace_s=self._config.server.shutdown_grace.seconds)
                tasks.append(group.create_task(self._hurry(hurrying)))
                await self._doors.listeners.close(self._config.server.shutdown_grace.seconds)
                for task in tasks:
                    task.cancel()

    def _entries(self) -> tuple[Entry, ...]:
        return (*self._upkeep.entries(), *self._access.entries(), *self._doors.entries())

    async def _open_doors(self, stack: AsyncExitStack, opened: Opened) -> None:
        running = Running(
            opened.started,
            lambda: self._doors.urls,
            lambda: self._config.server.public_url,
            self._checks.report,
            self._scheduler.settled,
            partial(list_planned, self._scheduler),
            urls_of=self._urls_of,
            urls_planned=self._plan_urls,
            store_state=partial(look_at_store, opened, self._folder),
            allowlists=lambda: self._doors.endpoints.allowlists,
            scanner=lambda: self._scanner,
            configuration=lambda: show_settings(self._started, self._loaded, self._fault),
        )
        self._upkeep = Upkeep(
            lambda: self._config,
            self._folder,
            opened,
            self._books,
            self._clock,
            self._executor,
            self._log,
        )
        self._doors = Doors(lambda: self._config, opened, self._access, running, self._books, self._executor, self._log)
        add_sources(self._doors.meter, running, self._executor, self._doors.listeners.connections)
        self._doors.listeners.give(self._manager.sockets)
        await self._doors.open(stack, self._checks)
        opened.stock.equip = self._doors.equip
        await finish_creations(opened.stock)

    def _urls_of(self, registry: Registry) -> EndpointUrls:
        return self._doors.urls_of(registry)

    def _plan_urls(self, settings: RegistrySettings) -> EndpointUrls:
        return self._doors.urls_planned(settings)

    def _add_checks(self) -> None:
        self._checks.add("database", self._check_database, is_vital=True)
        self._checks.add("disk", self._check_disk)
        self._checks.add("configuration", self._check_configuration)
        self._checks.add("vulnerability data", make_check(self._opened.stock, lambda: self._config.vulndb.max_age))
        if self._opened.bucket is not None:
            self._checks.add("object store", self._check_object_store)
        if self._config.database.replicated:
            self._checks.add("replication", self._check_replication)

    async def _hurry(self, hurrying: asyncio.Event) -> None:
        """Break off running transfers at a second signal."""
        await hurrying.wait()
        await self._doors.listeners.close(0)

    async def _watch(self, lookout: Lookout) -> None:
        """Watch the files where the system can; where it cannot, the look every two seconds is enough."""
        try:
            await lookout.watch()
        except (OSError, RuntimeError) as error:  # too many watches, or the folder went away
            self._log.warn("config.watch_ended", reason=repr(error), cure="none needed: the files are looked at anyway")

    async def _reload(self, is_asked: bool) -> None:  # noqa: FBT001 - the lookout's own word
        """Take over what may change while running; whatever is wrong changes nothing."""
        self._manager.say_reloading()
        try:
            await self._take_over(is_asked)
        finally:
            self._manager.say_ready(self._told)

    async def _take_over(self, is_asked: bool) -> None:  # noqa: FBT001 - as above
        try:
            change = await asyncio.get_running_loop().run_in_executor(
                self._executor, read_again, self._sources, self._loaded
            )
            config = change.loaded.config
            await declare(
                self._opened.stock, declaration_of(config), self._clock.now(), needs_somebody=config.is_exposed
            )
        except ScrError as error:
            self._fault = error.message
            self._log.error("config.refused", reason=error.message, cure="mend it; what was in force stays in force")
            return
        except Exception as error:  # noqa: BLE001 - a mistake of ours in here must not take the server with it
            self._fault = repr(error)
            self._log.error("config.refused", reason=repr(error), cure="restart scr; what was in force stays in force")
            return
        was, self._loaded, self._fault = self._config, change.loaded, ""
        self._apply(was)
        await self._doors.follow()
        await finish_creations(self._opened.stock)
        if change.applied or is_asked:
            self._log.info("config.reloaded", changed=", ".join(change.applied) or "nothing")
        if change.waiting:
            self._log.warn("config.needs_restart", keys=", ".join(change.waiting), cure="restart scr to apply them")

    def _apply(self, was: Config) -> None:
        """Swap everything that follows the configuration, each whole."""
        config = self._config
        self._log.configure(level=config.log.level, form=config.log.format)
        self._opened.stock.rules = rules_of(config)
        self._books.bounds = bounds_of(config)
        self._upkeep.follow_disk()
        self._doors.apply(was)
        self._lists.ring()
        self._timetable.change()
        self._scheduler.change()

    async def _check_database(self) -> Check:
        await self._opened.stock.db.read(lambda reader: reader.one("SELECT 1"))
        return Check("database", ok=True)

    async def _check_disk(self) -> Check:
        is_well = self._folder.free_bytes() >= self._opened.stock.uploads.min_free
        return Check("disk", ok=is_well, detail="" if is_well else "nothing new is taken: free the disk, delete images")

    async def _check_replication(self) -> Check:
        is_well = self._opened.stock.db.wal_bytes() < _LONGEST_LOG
        return Check(
            "replication", ok=is_well, detail="" if is_well else "Litestream makes no checkpoints: does it run?"
        )

    async def _check_object_store(self) -> Check:
        fault = await self._opened.bucket.find_fault() if self._opened.bucket is not None else ""
        return Check("object store", ok=not fault, detail=fault)

    async def _check_configuration(self) -> Check:
        detail = "the last change of the configuration was refused: see the log" if self._fault else ""
        return Check("configuration", ok=not self._fault, detail=detail)

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what no task handled: once, without a traceback."""
        del loop
        self._log.error("task.failed", what=str(context.get("message", "")), reason=repr(context.get("exception")))
