"""What a collection would free: the figures for the status, without changing anything."""

from functools import partial

from appliance.db import blobs, manifests
from appliance.db.database import Reader
from appliance.domain.moment import Timestamp
from appliance.services.collect import Collected
from appliance.services.stock import Stock


async def forecast(stock: Stock) -> Collected:
    """Return what a collection now would free, as far as the rows tell."""
    return await stock.db.read(partial(_forecast, stock=stock, now=stock.clock()))


def _forecast(reader: Reader, *, stock: Stock, now: Timestamp) -> Collected:
    rules = stock.rules
    gone = manifests.count_removed(reader, Timestamp(now - rules.recycle))
    links, count, size = blobs.forecast(reader, now, Timestamp(now - rules.restore_window))
    return Collected(manifests=gone, links=links, blobs=count, bytes=size)
