"""Endpoints: what doors and Hosts mean, the allowlists that guard them, and the listeners that registries have."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

from appliance.assemble.reload import QUICK_STEP_MS, Lookout
from appliance.assemble.settings import names_of
from appliance.assemble.stock import Opened
from appliance.config import Address, Config, ListenerSection
from appliance.db import registries
from appliance.domain.endpoint import MANAGEMENT_LIST, Endpoint, ListName, list_names
from appliance.domain.names import RegistryName
from appliance.domain.ranges import Ranges
from appliance.errors import ConfigInvalid
from appliance.http.allowlist import Allowlists
from appliance.http.certificate import Certificate
from appliance.http.door import Door, make_door
from appliance.http.entrance import Entrance, Names
from appliance.http.health import Check
from appliance.http.listen import Listeners, Listening
from appliance.logs import Log
from appliance.services.allowlists import Shelf


def door_of(listener: ListenerSection) -> Door:
    """Return what a listener of the configuration means."""
    return make_door(listener.endpoint, registry=RegistryName(listener.registry) if listener.registry else None)


def meaning_of(config: Config) -> Names:
    """Return what `config` says about doors and Hosts."""
    endpoint = config.endpoint
    return Names(
        own=names_of(config),
        domains={Endpoint.PRIVATE: endpoint.private.domain, Endpoint.PUBLIC: endpoint.public.domain},
        has_management=config.has_management,
        guards_management=endpoint.management.access_control,
    )


def groups_of(config: Config) -> dict[str, Ranges]:
    """Return the resource groups of `config`."""
    return {group.name: Ranges(group.addresses) for group in config.resource_group}


class Endpoints:
    """The entrance and what it consults."""

    def __init__(self, config: Callable[[], Config], opened: Opened, executor: Executor, log: Log) -> None:
        """Let requests in to `opened`; `config` returns what is in force."""
        self._config = config
        self._reader = opened.stock.db.reader
        self._log = log
        self._executor = executor
        self._missing: set[RegistryName] = set()  # registries that listeners are of, as it was said
        self._is_idle = False  # the public endpoint serves no registry, as it was said
        shelf = Shelf(config().storage.data_dir / "allowlists", opened.files, executor)
        self.allowlists = Allowlists(shelf, groups_of(config()), self._wanted, log)
        self.entrance = Entrance(opened.stock.db, opened.site, self.allowlists, meaning_of(config()))

    def apply(self, was: Config) -> None:
        """Take over what the configuration says now; the files of allowlists are to be looked at again."""
        self.entrance.consult(meaning_of(self._config()))
        if self._config().resource_group != was.resource_group:
            self.allowlists.regroup(groups_of(self._config()))

    async def tidy(self) -> None:
        """Put lists of deleted registries aside where a crash came before that; delete those of purged ones."""
        for registry in registries.list_deleted(self._reader):
            until = None if registry.purging else registry.removed_at
            await self.allowlists.shelf.put_aside(registry, until, partial(self._has, registry.name))
        await self.allowlists.shelf.drop_aside(lambda one: registries.find_by_id(self._reader, one) is None)

    def _has(self, name: RegistryName) -> bool:
        return registries.find(self._reader, name) is not None

    def follow(self) -> None:
        """Say what decides about somebody and is not there: allowlists, and what listeners are for."""
        self.allowlists.follow()
        listeners = self._config().listeners
        named = {RegistryName(one.registry) for one in listeners if one.registry}
        missing = {name for name in named if registries.find(self._reader, name) is None}
        for name in sorted(missing - self._missing):
            self._log.warn("listen.registry_unknown", registry=name, cure="make it, or take it out of [[listener]]")
        self._missing = missing
        has_public = any(one.endpoint is Endpoint.PUBLIC for one in listeners)
        is_idle = has_public and not registries.is_any_public(self._reader)
        if is_idle and not self._is_idle:
            cure = "scr registry edit NAME --endpoint private+public"
            self._log.warn("listen.public_idle", reason="no registry is served at the public endpoint", cure=cure)
        self._is_idle = is_idle

    def make_lookout(self) -> Lookout:
        """Return what looks after the files of allowlists."""

        async def changed(is_asked: bool) -> None:  # noqa: FBT001 - the lookout's own word
            del is_asked
            try:
                await self.allowlists.refresh()
            except Exception as error:  # noqa: BLE001 - a mistake of ours in here must not take the server with it
                self._log.error("task.failed", what="allowlists", reason=repr(error))

        folder, executor = self.allowlists.shelf.folder, self._executor
        return Lookout(self.allowlists.paths, changed, folder=folder, step_ms=QUICK_STEP_MS, executor=executor)

    def _wanted(self) -> frozenset[ListName]:
        """Return the lists that decide about somebody."""
        found = {name for registry in registries.list_controlled(self._reader) for name in list_names(registry)}
        if self._config().endpoint.management.access_control:
            found.add(MANAGEMENT_LIST)
        return frozenset(found)


class Ports:
    """Listeners that registries have of their own: on the hosts of the private endpoint, with its certificate."""

    def __init__(self, config: Config, opened: Opened, listeners: Listeners, log: Log) -> None:
        """Listen as `[server]` of `config` says."""
        self._server = config.server
        self._reader = opened.stock.db.reader
        self._listeners = listeners
        self._log = log
        self._open: dict[int, list[Listening]] = {}
        self._owners: dict[int, RegistryName] = {}
        self._faults: dict[int, str] = {}
        self._turn = asyncio.Lock()

    def urls(self) -> dict[str, RegistryName]:
        """Return what is listened on, each with the name of its registry."""
        scheme = "https" if self._server.tls_certificate else "http"
        return {
            f"{scheme}://{Address(*place)}": self._owners[port]
            for port, listening in self._open.items()
            for one in listening
            for place in one.places
        }

    def planned(self, port: int) -> list[str]:
        """Return what would be listened on for a registry with `port`."""
        scheme = "https" if self._server.tls_certificate else "http"
        hosts = dict.fromkeys(address.host for address in self._server.listen)
        return [f"{scheme}://{Address(host, port)}" for host in hosts]

    async def follow(self, certificate: Certificate | None) -> None:
        """Open and shut listeners until there is one for each registry that has a port."""
        async with self._turn:
            wanted = self._owners = registries.list_ports(self._reader)
            for port in self._open.keys() - wanted.keys():
                for listening in self._open.pop(port):
                    self._listeners.shut(listening)
            self._faults = {port: fault for port, fault in self._faults.items() if port in wanted}
            for port in sorted(wanted.keys() - self._open.keys()):
                await self._listen(port, certificate)

    def fault_of(self, port: int) -> str:
        """Return why the port cannot be listened on, or ""."""
        return self._faults.get(port, "")

    async def check(self) -> Check:
        """Say whether every registry's own port is listened on."""
        ports = ", ".join(map(str, sorted(self._faults)))
        return Check("listeners", ok=not self._faults, detail=f"cannot listen on {ports}: see the log" if ports else "")

    async def _listen(self, port: int, certificate: Certificate | None) -> None:
        """Listen on `port` at every host of the private endpoint, or at none."""
        listening: list[Listening] = []
        try:
            for host in dict.fromkeys(address.host for address in self._server.listen):
                door = make_door(Endpoint.PRIVATE, port=port)
                allow_plain = self._server.allow_plain
                listening.append(await self._listeners.open(host, port, door, certificate, allow_plain=allow_plain))
        except ConfigInvalid as error:
            for one in listening:
                self._listeners.shut(one)
            if self._faults.get(port) != error.message:
                self._log.error("listen.failed", port=port, reason=error.message, cure="give the registry another port")
            self._faults[port] = error.message
            return
        self._faults.pop(port, None)
        self._open[port] = listening
        self._log.info("listen.opened", port=port)
