"""`/api/v1/collections/leaving`: every byte that collection will free, with the reason and when."""

from datetime import datetime

import msgspec
from litestar import get

from appliance.domain.access import Action
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.page import Cursor, Limit, Page, moment
from appliance.http.api.viewing import everywhere
from appliance.services.leaving import Leaving, explain


class LeavingShown(msgspec.Struct, frozen=True, rename="camel"):
    """Bytes that go. `path` is of the image they go with, "" where no image has them any more."""

    kind: str  # blob, manifest, upload
    name: str  # the digest, or the id of the upload
    path: str
    size: int
    reason: str
    at: datetime  # the first collection after that takes them
    is_due: bool


@get("/api/v1/collections/leaving", tags=["upkeep"])
async def list_leaving(stock: InStock, asking: InAsking, cursor: Cursor = "", limit: Limit = 100) -> Page[LeavingShown]:
    """List what goes. A page may have some more entries than asked for, or none and a next one."""
    everywhere(asking).check(Action.VIEW_REGISTRY)
    page = await explain(stock, cursor, limit)
    return Page([_show(one) for one in page.items], page.next or None)


def _show(one: Leaving) -> LeavingShown:
    return LeavingShown(one.kind, one.name, one.path, one.size, one.reason, moment(one.at), one.is_due)
