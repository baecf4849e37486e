"""`/api/v1/images/<id>/manifests/locks`: the locks of all tags of several digests."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.params import FromPath, JSONBody

from appliance.domain.access import Action
from appliance.domain.names import parse_digest
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.images import find_image
from appliance.http.api.manifests import MAX_DIGESTS
from appliance.services import locking


class LockOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Of which manifests to lock every tag, or to unlock it. With `dryRun` nothing changes."""

    digests: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_DIGESTS)]
    locked: bool
    dry_run: bool = False


class LocksShown(msgspec.Struct, frozen=True):
    """Of one digest: the tags whose lock changes, how many are so already, and those that no lock holds."""

    digest: str
    tags: tuple[str, ...]
    already: int
    exempt: tuple[str, ...]  # signatures: clients overwrite them


class LockReport(msgspec.Struct, frozen=True):
    """What locking or unlocking changed, or would change."""

    tags: int
    digests: list[LocksShown]


@post("/api/v1/images/{image_id:str}/manifests/locks", status_code=200, tags=["manifests"])
async def set_locks(stock: InStock, asking: InAsking, image_id: FromPath[str], data: JSONBody[LockOrder]) -> LockReport:
    """Lock or unlock every tag of up to 50 manifests; or tell what that would change."""
    grant = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY if data.dry_run else Action.MANAGE_REPOSITORY)
    digests = [parse_digest(text) for text in dict.fromkeys(data.digests)]
    if data.dry_run:
        done = await stock.db.read(lambda reader: locking.plan(reader, grant, digests, locked=data.locked))
    else:
        done = await locking.set_locks(stock, grant, digests, stock.clock(), locked=data.locked)
    shown = [LocksShown(one.digest, one.tags, one.already, one.exempt) for one in done]
    return LockReport(sum(len(one.tags) for one in shown), shown)
