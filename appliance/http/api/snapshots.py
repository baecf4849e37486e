"""`/api/v1/snapshots`: the snapshots of the database that lie in the data folder."""

import asyncio
from datetime import datetime

import msgspec
from litestar import get

from appliance.domain.access import Action
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.page import Page, moment
from appliance.http.api.viewing import everywhere
from appliance.services.snapshots import FOLDER, list_snapshots


class SnapshotShown(msgspec.Struct, frozen=True, rename="camel"):
    """A snapshot. `size` is bytes."""

    name: str
    size: int
    taken_at: datetime
    is_before_upgrade: bool  # made by an upgrade: kept until somebody deletes it


@get("/api/v1/snapshots", tags=["upkeep"])
async def show_snapshots(stock: InStock, asking: InAsking) -> Page[SnapshotShown]:
    """List the snapshots, the newest first."""
    everywhere(asking).check(Action.VIEW_REGISTRY)
    found = await asyncio.to_thread(list_snapshots, stock.db.path.with_name(FOLDER))
    return Page([SnapshotShown(one.name, one.size, moment(one.taken_at), one.is_before_upgrade) for one in found], None)
