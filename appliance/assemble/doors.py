"""The doors: the front with what it consults, the control socket and every listener with its certificate."""

import sys
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from pathlib import Path

from appliance import __version__
from appliance.assemble.settings import limits_of, names_of
from appliance.assemble.stock import Opened
from appliance.config import Address, Config, ListenerSection
from appliance.http.admit import Doorkeeper, User
from appliance.http.api.app import make_app
from appliance.http.api.running import Running
from appliance.http.certificate import Certificate
from appliance.http.front import Door, Front
from appliance.http.health import Checks
from appliance.http.listen import Listeners
from appliance.http.proxy import TrustedProxies
from appliance.http.v2.app import DistributionApi
from appliance.logs import Log
from appliance.services.tally import Pulls


class Doors:
    """What clients come in by."""

    def __init__(
        self, config: Config, opened: Opened, running: Running, pulls: Pulls, executor: Executor, log: Log
    ) -> None:
        """Make the front and the listeners; `open` opens them."""
        self._site = opened.site
        self._executor = executor
        self._log = log
        self._certificates: dict[tuple[Path, Path], Certificate] = {}
        self._trusted = TrustedProxies(config.server.trusted_proxies)
        self.urls: tuple[str, ...] = ()
        self._front = Front(
            DistributionApi(opened.stock, pulls),
            make_app(opened.stock, running),
            self._doorkeeper(config),
            opened.site,
            names_of(config),
            self._trusted,
        )
        self.listeners = Listeners(self._front, log, limits_of(config), self._trusted)

    async def open(self, stack: AsyncExitStack, config: Config, checks: Checks) -> None:
        """Open the control socket and every listener; leaving `stack` closes them. Raises ConfigInvalid."""
        stack.push_async_callback(self.listeners.close, 0)
        await self.listeners.open_control(config.storage.data_dir / "control.sock", Door("control", is_control=True))
        for listener in config.listeners:
            await self._open_listener(listener, checks)

    def apply(self, config: Config, was: Config) -> None:
        """Take over what of `config` may change while it runs, each whole."""
        self.listeners.limits = limits_of(config)
        is_same = (config.user, config.is_open) == (was.user, was.is_open)  # then it keeps what it has verified
        doorkeeper = self._front.doorkeeper if is_same else self._doorkeeper(config)
        self._front.consult(doorkeeper, names_of(config), self._trusted)

    def renew_certificates(self) -> None:
        """Read certificates again whose files have changed."""
        for certificate in self._certificates.values():
            certificate.reload()

    def say_ready(self, config: Config) -> None:
        """Say on stderr what is served where."""
        for url in self.urls:
            sys.stderr.write(f'scr {__version__} serving {url} (registry "{self._site.name}")\n')
        sys.stderr.flush()
        if not config.user and not config.is_open:
            self._log.warn(
                "access.nobody", cure="add a [[user]] to scr.toml: behind a proxy nobody gets in without one"
            )

    async def _open_listener(self, listener: ListenerSection, checks: Checks) -> None:
        certificate = self._certificate(listener, checks)
        scheme = "https" if certificate else "http"
        found = await self.listeners.open(
            listener.address.host, listener.address.port, Door("main"), certificate, allow_plain=listener.allow_plain
        )
        self.urls += tuple(f"{scheme}://{Address(host, port)}" for host, port in found)

    def _certificate(self, listener: ListenerSection, checks: Checks) -> Certificate | None:
        """Return the certificate of `listener`, loaded once for all that share it. Raises ConfigInvalid."""
        if listener.tls_certificate is None or listener.tls_key is None:
            return None
        files = listener.tls_certificate, listener.tls_key
        if files not in self._certificates:
            self._certificates[files] = certificate = Certificate(*files, self._log)
            checks.add(f"tls certificate {files[0].name}", certificate.check)
        return self._certificates[files]

    def _doorkeeper(self, config: Config) -> Doorkeeper:
        users = tuple(User(user.name, user.password_hash, user.policies) for user in config.user)
        return Doorkeeper(users, self._executor, is_open=config.is_open, log=self._log)
