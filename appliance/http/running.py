"""What only the assembler knows of the running process, handed to the management API."""

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from appliance.domain.job import JobId
from appliance.domain.moment import Timestamp
from appliance.domain.registry import EndpointUrls, Registry, RegistrySettings, StoreState
from appliance.errors import Unavailable
from appliance.http.allowlist import Allowlists
from appliance.http.health import Health
from appliance.services.scanning import Scanner


async def _is_well() -> StoreState:
    return StoreState.WELL


def _no_scanner() -> Scanner:
    raise Unavailable("the scanner is not there yet; try again in a moment")


def _no_lists() -> Allowlists:
    raise Unavailable("the allowlists are not there yet; try again in a moment")


class Planned(msgspec.Struct, frozen=True):
    """A kind of job that a schedule asks for."""

    kind: str
    setting: str  # the key of scr.toml
    when: str  # as it is written there; "" for never
    due_at: Timestamp | None
    ran_at: Timestamp | None


class SettingShown(msgspec.Struct, frozen=True, rename="camel"):
    """A key of scr.toml in force; secrets are left out of its value."""

    key: str  # storage.recycle, user[0].name
    value: str  # as TOML writes it
    source: Literal["default", "file", "environment", "option"]
    where: str  # `<file>:<line>`, a variable or an option, "" for a default
    needs_restart: bool  # whether a change takes effect at the next start only
    waiting: str | None  # the value that does so at the next start; null: none waits


class Configuration(msgspec.Struct, frozen=True):
    """Every key in force; `fault` says why the newest file is not, "" where it is."""

    items: list[SettingShown]
    fault: str


class Running(msgspec.Struct, frozen=True):
    """The process: since when, where it listens, how it is called from outside, and how it is.

    What can change while it runs is asked anew each time.
    """

    started: Timestamp
    listeners: Callable[[], tuple[str, ...]]  # URLs, e.g. "http://127.0.0.1:5000"
    public_url: Callable[[], str]  # "" where none is configured
    ready: Callable[[], Awaitable[Health]]  # the checks of /health/ready
    settled: Callable[[JobId], Awaitable[None]]  # waits until the job has ended, or waits for another attempt
    schedules: Callable[[], tuple[Planned, ...]]
    urls_of: Callable[[Registry], EndpointUrls] = lambda _: EndpointUrls()
    urls_planned: Callable[[RegistrySettings], EndpointUrls] = lambda _: EndpointUrls()  # of one that is not made yet
    store_state: Callable[[], Awaitable[StoreState]] = _is_well
    allowlists: Callable[[], Allowlists] = _no_lists
    scanner: Callable[[], Scanner] = _no_scanner
    configuration: Callable[[], Configuration] = lambda: Configuration([], "")
