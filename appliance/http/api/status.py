"""`/api/v1/status`: what runs, how much it keeps, what it did last."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import msgspec
from litestar import get

from appliance import __version__
from appliance.blobstore.forms import PLAIN
from appliance.db import facts, usage
from appliance.db.database import Reader
from appliance.db.usage import Usage
from appliance.domain.access import Action
from appliance.domain.moment import DAY, MINUTE, SECOND, Timestamp
from appliance.domain.registry import RegistryId
from appliance.http.api.asking import InAsking, InBooks, InRunning, InStock
from appliance.http.api.page import moment, moment_or_none
from appliance.http.api.viewing import find_viewed
from appliance.http.health import Check
from appliance.metrics import Counter
from appliance.services import metric_history
from appliance.services.books import Books
from appliance.services.collect import Collected
from appliance.services.forecast import forecast
from appliance.services.stock import Stock


class Storage(msgspec.Struct, frozen=True, rename="camel"):
    """Room. Sizes are bytes."""

    driver: str
    free_bytes: int | None  # null where the store has no such limit
    wal_bytes: int  # of the database's write-ahead log
    is_encrypted: bool


class Last(msgspec.Struct, frozen=True, rename="camel"):
    """When the appliance last looked after itself; null: never yet."""

    collection: datetime | None
    scrub: datetime | None
    backup: datetime | None


class Lately(msgspec.Struct, frozen=True, rename="camel"):
    """What the manual counts, in the last 24 hours, of the registries that the asker may view."""

    pulls: int
    pulls_denied: int
    pushes: int
    pushes_denied: int
    logins: int
    logins_denied: int


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """The appliance at a glance."""

    version: str
    appliance: str  # its id, as SRNs carry it
    registry: str
    started_at: datetime
    uptime_seconds: int
    listeners: tuple[str, ...]
    public_url: str
    health: str  # ready, degraded or down
    checks: tuple[Check, ...]
    usage: Usage
    storage: Storage
    awaiting_collection: Collected  # what a collection would free now
    lately: Lately
    last: Last


@get("/api/v1/status", tags=["status"])
async def show_status(stock: InStock, running: InRunning, books: InBooks, asking: InAsking) -> Status:
    """Show version, uptime, storage, listeners, and when collection, scrub and backup last ran."""
    asking.check(Action.VIEW_REGISTRY)
    now = stock.clock()
    health, kept, leaving, lately, last = await asyncio.gather(  # each by a reader of its own: they count whole tables
        running.ready(),
        stock.db.read(usage.measure),
        forecast(stock),
        _lately(books, find_viewed(stock, asking, None)),
        stock.db.read(_last),
    )
    return Status(
        version=__version__,
        appliance=asking.site.appliance,
        registry=asking.site.name,
        started_at=moment(running.started),
        uptime_seconds=(now - running.started) // SECOND,
        listeners=running.listeners(),
        public_url=running.public_url(),
        health=health.status,
        checks=health.checks,
        usage=kept,
        storage=_storage(stock),
        awaiting_collection=leaving,
        lately=lately,
        last=last,
    )


async def _lately(books: Books, registries: Mapping[RegistryId, str]) -> Lately:
    now = books.clock()
    found = await metric_history.read(books, list(registries), MINUTE, Timestamp(now - DAY), Timestamp(now + 1))
    names = Lately.__struct_fields__
    return Lately(*(sum(one.counts[Counter[name.upper()]] for one in found) for name in names))


def _storage(stock: Stock) -> Storage:
    return Storage(
        stock.store.driver,
        stock.store.free_bytes(),
        stock.db.wal_bytes(),
        is_encrypted=stock.uploads.forms.new != PLAIN,
    )


def _last(reader: Reader) -> Last:
    return Last(*(moment_or_none(_fact(reader, name)) for name in ("collected_at", "scrubbed_at", "backed_up_at")))


def _fact(reader: Reader, name: str) -> Timestamp | None:
    value = facts.find(reader, name)
    return Timestamp(int(value)) if value else None
