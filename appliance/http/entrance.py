"""The first decisions of a request: listener, registry, endpoint type, allowlist. Only then anybody asks who calls.

What a door and a Host mean is looked up once and remembered until the next commit of the database; an allowlist is
asked anew each time.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping

import msgspec

from appliance.db import registries
from appliance.db.database import Database
from appliance.domain.admission import Site, split_host
from appliance.domain.decision import Stage, Step
from appliance.domain.endpoint import MANAGEMENT_LIST, Endpoint, ListName, is_controlled, judge_type, read_host
from appliance.domain.registry import Registry
from appliance.errors import Creating, Denied, Invalid, Misdirected, PageUnknown, RegistryUnknown, Removed, ScrError
from appliance.http.allowlist import Allowlists, Guard
from appliance.http.door import Door

_HOST = re.compile(
    r"(?:\[[0-9a-f:.]+(?:%25[a-z0-9._~-]+)?\]|[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?\.?)(?::[0-9]{1,5})?"
)
_REMEMBERED = 1000  # Hosts of a door; they are few, and whoever sends many pays for it alone


class Names(msgspec.Struct, frozen=True):
    """What the configuration says about doors and Hosts."""

    own: frozenset[str]  # lower-case names that mean the default registry, at every door
    domains: Mapping[Endpoint, str] = {}  # below which registries have names of their own
    has_management: bool = False  # console, API and metrics have a listener of their own
    guards_management: bool = False  # by an allowlist


class Place(msgspec.Struct, frozen=True):
    """What a door and a Host mean: a registry, or why none. `steps` are the decisions that led there."""

    steps: tuple[Step, ...]
    site: Site | None = None
    guard: Guard | None = None
    refusal: ScrError | None = None
    change_refusal: ScrError | None = None  # of requests that would change something, where it is another


class Entrance:
    """Lets requests in to registries and to management."""

    def __init__(self, db: Database, default: Site, allowlists: Allowlists, names: Names) -> None:
        """Serve the registries of `db`; `default` is the one that addresses, localhost and own names mean."""
        self._db = db
        self._default = default
        self._allowlists = allowlists
        self.consult(names)

    def consult(self, names: Names) -> None:
        """Consult these from the next request on."""
        self.names = names
        self._epoch = self._db.epoch
        self._places: dict[str, dict[bytes, Place]] = {}  # by door, then by Host as it was sent

    def admit(self, door: Door, host: bytes, address: str, *, is_registry: bool, is_reading: bool = True) -> Site:
        """Return the registry that a request for one, or for management beside it, means, if `address` may ask.

        Raises Invalid, Misdirected, Denied, PageUnknown, Creating, RegistryUnknown, Removed.
        """
        place = self._find(door, host)
        if place.change_refusal is not None and not is_reading:
            raise place.change_refusal
        if place.refusal is not None:
            raise place.refusal
        guard = place.guard if is_registry else self._management_guard(door)
        if is_registry and door.endpoint is Endpoint.MANAGEMENT:
            raise PageUnknown("this address is for console, API and metrics; call the registry at its own")
        if guard is not None and not guard.has(address):
            raise Denied(
                f"{address} may not use the {guard.name.endpoint} endpoint here: it is not on the allowlist; ask the"
                " administrator to add it"
            )
        if place.site is None:
            raise AssertionError("a place is a site or a refusal")
        return place.site

    def site_of(self, door: Door, host: bytes) -> Site | None:
        """Return the registry that a door and a Host mean, whether or not anybody may use it; None for none."""
        return self._find(door, host).site

    def has_console(self, door: Door) -> bool:
        """Whether console, API and metrics are at this door."""
        return self._why_no_console(door) == ""

    def steps(self, door: Door, host: bytes, address: str, *, is_registry: bool = True) -> Iterator[Step]:
        """Yield the decisions about a request to a registry, or to management; the last one may be a refusal."""
        place = self._find(door, host)
        yield from place.steps
        if place.refusal is not None:
            return
        guard, what = place.guard, f"the {door.endpoint} endpoint"
        if not is_registry:
            guard, what = self._management_guard(door), "management"
        if guard is None:
            yield Step(Stage.ALLOWLIST, allowed=True, reason=f"access control of {what} is off")
        else:
            yield guard.judge(address)

    def _find(self, door: Door, host: bytes) -> Place:
        epoch = self._db.epoch
        if epoch != self._epoch:
            self._places.clear()
            self._epoch = epoch
        known = self._places.get(door.name)
        if known is None:
            known = self._places[door.name] = {}
        place = known.get(host)
        if place is None:
            place = self._look(door, host)
            if place.refusal is None:
                if len(known) >= _REMEMBERED:
                    known.clear()
                known[host] = place
        return place

    def _look(self, door: Door, host: bytes) -> Place:
        """Decide what a door and a Host mean. Raises Invalid for a Host that is none."""
        text = host.decode("latin-1").lower()
        if not _HOST.fullmatch(text):
            raise Invalid(f"the Host header {text[:100]!r} is no host name or address")
        listener = Step(Stage.LISTENER, allowed=True, reason=f"it came to the {door.name}")
        registry, said = self._registry(door, split_host(text)[0])
        if registry is None:
            return Place((listener, Step(Stage.REGISTRY, allowed=False, reason=said)), refusal=_nobody(text, door))
        steps = (listener, Step(Stage.REGISTRY, allowed=True, reason=said), judge_type(registry, door.endpoint))
        if not steps[-1].allowed:
            return Place(steps, refusal=_nobody(text, door))
        if registry.removed_at is not None:
            return _leaving(registry, listener)
        if not registry.is_ready:
            error = Creating(f"registry {registry.name} is being created; try again in a moment")
            return Place(steps, refusal=error)
        site = Site(self._default.appliance, registry.id, registry.name)
        return Place(steps, site, self._guard(registry, door.endpoint))

    def _registry(self, door: Door, name: str) -> tuple[Registry | None, str]:
        """Return the registry that is meant, and by what: a port of its own, else the host name, else the default."""
        reader = self._db.reader
        if door.registry is not None:
            found = registries.find(reader, door.registry)
            return found, f"the listener is that of registry {door.registry}"
        if door.port is not None:
            found = registries.find_by_port(reader, door.port)
            return (
                found,
                f"port {door.port} is that of registry {found.name}" if found else f"no registry has {door.port}",
            )
        domain = self.names.domains.get(door.endpoint, "")
        if name in self.names.own or name in ("localhost", domain) or _is_address(name):
            found = registries.get(reader, self._default.registry)
            return found, f"{name} means the default registry, {self._default.name}"
        label = read_host(name, domain)
        found = registries.find_by_id(reader, label.public_id) if label else None
        if label is None or found is None or found.name != label.name:
            return None, f"no registry is called {name[:100]} at the {door.endpoint} endpoint"
        return found, f"{name[:100]} is the host name of registry {found.name}"

    def _guard(self, registry: Registry, endpoint: Endpoint) -> Guard | None:
        if not is_controlled(registry, endpoint):
            return None
        return self._allowlists.guard(ListName(endpoint, registry.name))

    def _why_no_console(self, door: Door) -> str:
        if door.endpoint is Endpoint.PUBLIC:
            return "console, API and metrics are not at the public endpoint; call the private one"
        if door.endpoint is Endpoint.PRIVATE and self.names.has_management:
            return "console, API and metrics have an address of their own; ask the administrator for it"
        return ""

    def _management_guard(self, door: Door) -> Guard | None:
        """Return the allowlist of management, if there is one. Raises PageUnknown where management is not."""
        why = self._why_no_console(door)
        if why:
            raise PageUnknown(why)
        return self._allowlists.guard(MANAGEMENT_LIST) if self.names.guards_management else None


def _leaving(registry: Registry, listener: Step) -> Place:
    """Return what a registry that is being deleted is: nothing to read, and nothing takes a change."""
    name = registry.name
    return Place(
        (listener, Step(Stage.REGISTRY, allowed=False, reason=f"registry {name} is being deleted")),
        refusal=RegistryUnknown(f"there is no registry {name} any more"),
        change_refusal=Removed(
            f"registry {name} is being deleted (Terminating) and takes nothing; push elsewhere, or ask the"
            " administrator to restore it"
        ),
    )


def _nobody(host: str, door: Door) -> Misdirected:
    """Return the one answer for a registry that is not there and for one that is not served here."""
    cure = "[server] names in scr.toml lists what else the default registry is called"
    if door.endpoint is Endpoint.PUBLIC:
        cure += "; a registry is served at the public endpoint with the endpoint type private+public"
    return Misdirected(f"no registry is called {split_host(host)[0][:100]!r} here; {cure}")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
