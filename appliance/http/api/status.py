"""`/api/v1/status`: what runs, how much it keeps, what it did last."""

from datetime import datetime

import msgspec
from litestar import get

from appliance import __version__
from appliance.blobstore.forms import PLAIN
from appliance.db import facts, usage
from appliance.db.database import Reader
from appliance.db.usage import Usage
from appliance.domain.access import Action
from appliance.domain.moment import SECOND, Timestamp
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.page import moment, moment_or_none
from appliance.http.api.running import InRunning
from appliance.http.health import Check
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
    last: Last


@get("/api/v1/status", tags=["status"])
async def show_status(stock: InStock, running: InRunning, asking: InAsking) -> Status:
    """Show version, uptime, storage, listeners, and when collection, scrub and backup last ran."""
    asking.check(Action.VIEW_REGISTRY)
    now = stock.clock()
    health = await running.ready()
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
        usage=await stock.db.read(usage.measure),
        storage=_storage(stock),
        awaiting_collection=await forecast(stock),
        last=await stock.db.read(_last),
    )


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
