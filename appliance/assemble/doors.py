"""The doors: the front with what it consults, the control socket and every listener with its certificate."""

import sys
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from appliance import __version__
from appliance.assemble.access import Access
from appliance.assemble.endpoints import Endpoints, Ports, door_of
from appliance.assemble.management import Management, make_management
from appliance.assemble.reload import LOOK_S
from appliance.assemble.settings import limits_of
from appliance.assemble.stock import Opened
from appliance.assemble.timetable import Entry
from appliance.assemble.urls import Listened, console_url, draft_of, urls_of
from appliance.config import Address, Config, ListenerSection
from appliance.domain.endpoint import Endpoint
from appliance.domain.registry import EndpointUrls, Registry, RegistrySettings
from appliance.errors import Conflict
from appliance.http.certificate import Certificate
from appliance.http.door import Door
from appliance.http.explain import Explainer
from appliance.http.front import Front
from appliance.http.health import Checks
from appliance.http.listen import Listeners
from appliance.http.meter import Measured, Meter
from appliance.http.noting import Noting
from appliance.http.proxy import TrustedProxies
from appliance.http.running import Running
from appliance.http.v2.app import DistributionApi
from appliance.http.v2.token import TokenApi
from appliance.logs import Log
from appliance.services.books import Books
from appliance.services.first_link import PATH

_DAY_S = 86_400.0


class Doors:
    """What clients come in by."""

    def __init__(
        self,
        config: Callable[[], Config],
        opened: Opened,
        access: Access,
        running: Running,
        books: Books,
        executor: Executor,
        log: Log,
    ) -> None:
        """Make the front and the listeners; `open` opens them. `config` returns what is in force."""
        self._config = config
        self._access = access
        self._stock = opened.stock
        self._log = log
        self._certificates: dict[tuple[Path, Path], Certificate] = {}
        self._trusted = TrustedProxies(config().server.trusted_proxies)
        self._places: list[Listened] = []
        self.endpoints = Endpoints(config, opened, executor, log)
        books.own_url = lambda: next(iter(self.urls), "http://localhost")
        self.meter = Meter()
        noting = Noting(books, self.endpoints.entrance, access.challenger, opened.site)
        explainer = Explainer(opened.stock, self.endpoints.entrance, access.callers)
        self._management = Management(
            partial(make_management, opened.stock, running, noting, self.meter, explainer, log)
        )
        self._front = Front(
            DistributionApi(opened.stock, noting, self.meter, access.challenger),
            TokenApi(opened.stock, noting, access.callers.doorkeeper, access.challenger),
            Measured(self._management, self.meter),
            noting,
            access.callers,
            opened.site,
            self.endpoints.entrance,
            self._trusted,
        )
        self._default = opened.site.name
        self.listeners = Listeners(self._front, log, limits_of(config()), self._trusted)
        self.ports = Ports(config(), opened, self.listeners, log)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it listens."""
        return tuple(place.url for place in self.places())

    def places(self) -> list[Listened]:
        """Return where it listens, and for what."""
        return [*self._places, *(Listened(url, None, registry) for url, registry in self.ports.urls().items())]

    def urls_of(self, registry: Registry) -> EndpointUrls:
        """Return how clients call `registry`."""
        return urls_of(registry, self._default, self._config(), self.places())

    def urls_planned(self, settings: RegistrySettings) -> EndpointUrls:
        """Return how clients would call a registry that is not made yet; `<id>` stands for its id."""
        own = self.ports.planned(settings.port) if settings.port else []
        places = [*self.places(), *(Listened(url, None, settings.name) for url in own)]
        return urls_of(draft_of(settings), self._default, self._config(), places)

    async def open(self, stack: AsyncExitStack, checks: Checks) -> None:
        """Open the control socket and every listener; leaving `stack` closes them. Raises ConfigInvalid."""
        config = self._config()
        stack.push_async_callback(self.listeners.close, 0)
        await self.endpoints.tidy()
        await self.endpoints.allowlists.refresh()
        checks.add("allowlists", self.endpoints.allowlists.check)
        checks.add("listeners", self.ports.check)
        await self.listeners.open_control(config.storage.data_dir / "control.sock", Door("control", is_control=True))
        for listener in config.listeners:
            await self._open_listener(listener, checks)
        await self._follow_ports()  # what is missing is said later: scr.toml may declare it
        self.listeners.refuse_rest()
        self._management.warm_up()

    def entries(self) -> tuple[Entry, ...]:
        """Return what is looked after again and again."""
        return (
            Entry("registries", self.follow, lambda: LOOK_S, LOOK_S),
            Entry("allowlists put aside", self.endpoints.tidy, lambda: _DAY_S, _DAY_S),
        )

    async def follow(self) -> None:
        """Follow the registries: the listeners they have of their own, and what decides about them."""
        await self._follow_ports()
        self.endpoints.follow()

    async def _follow_ports(self) -> None:
        server = self._config().server
        files = (server.tls_certificate, server.tls_key)
        await self.ports.follow(self._certificates.get(files) if None not in files else None)  # type: ignore[arg-type]

    async def equip(self, registry: Registry) -> None:
        """Follow `registry`, which was made, edited, deleted or restored just now. Raises Conflict where it cannot."""
        await self.endpoints.allowlists.equip(registry)
        await self.follow()
        port = registry.settings.port
        if registry.removed_at is None and port is not None and (fault := self.ports.fault_of(port)):
            raise Conflict(f"registry {registry.name} cannot have port {port}: {fault}")

    def apply(self, was: Config) -> None:
        """Take over what of the configuration may change while it runs, each whole."""
        config = self._config()
        self.listeners.limits = limits_of(config)
        if config.server.trusted_proxies != was.server.trusted_proxies:
            self.listeners.trust(config.server.trusted_proxies)
        self._access.apply(config)
        self.endpoints.apply(was)

    def renew_certificates(self) -> None:
        """Read certificates again whose files have changed."""
        for certificate in self._certificates.values():
            certificate.reload()

    def say_ready(self) -> None:
        """Say on stderr what is served where."""
        config = self._config()
        if not config.is_open and not self._access.callers.doorkeeper.is_anybody():
            self._log.warn("access.nobody", cure="make an administrator: scr user create NAME --admin, or by the link")
            self._say_first_link(config)
        for place in self.places():
            sys.stderr.write(f"scr {__version__} serving {place.url} ({self._meaning(place)})\n")
        sys.stderr.flush()

    def _say_first_link(self, config: Config) -> None:
        """Print the link that makes the first administrator: to stderr as it is, for a log would keep its secret."""
        secret = self._access.callers.first_link.make(self._stock.clock())
        link = f"{console_url(config, self.places())}{PATH}{secret}"
        sys.stderr.write(f"scr: nobody can sign in yet; make the first administrator, once and within a day: {link}\n")

    async def _open_listener(self, listener: ListenerSection, checks: Checks) -> None:
        certificate = self._certificate(listener, checks)
        scheme = "https" if certificate else "http"
        found = await self.listeners.open(
            listener.address.host,
            listener.address.port,
            door_of(listener),
            certificate,
            allow_plain=listener.allow_plain,
        )
        self._places += [
            Listened(f"{scheme}://{Address(*place)}", listener, listener.registry) for place in found.places
        ]

    def _meaning(self, place: Listened) -> str:
        """Return what is served at a place, for the ready line."""
        endpoint = place.listener.endpoint if place.listener else Endpoint.PRIVATE
        if endpoint is Endpoint.MANAGEMENT:
            return "management"
        registry = f'registry "{place.registry or self._default}"'
        return registry if endpoint is Endpoint.PRIVATE else f"{registry}, public endpoint"

    def _certificate(self, listener: ListenerSection, checks: Checks) -> Certificate | None:
        """Return the certificate of `listener`, loaded once for all that share it. Raises ConfigInvalid."""
        if listener.tls_certificate is None or listener.tls_key is None:
            return None
        files = listener.tls_certificate, listener.tls_key
        if files not in self._certificates:
            self._certificates[files] = certificate = Certificate(*files, self._log)
            checks.add(f"tls certificate {files[0].name}", certificate.check)
        return self._certificates[files]
