"""Taking registries away, at once for everybody who reads, and giving them back until their data begins to go."""

from appliance.db import activity, registries
from appliance.db.activity import About
from appliance.db.database import Transaction
from appliance.domain.admission import Caller
from appliance.domain.moment import Timestamp
from appliance.domain.names import DEFAULT_REGISTRY
from appliance.domain.registry import Registry, RegistryId
from appliance.errors import Conflict
from appliance.services import deletion, guard
from appliance.services.provision import check_port, check_unmanaged, find_live, get
from appliance.services.stock import Stock


async def delete_registry(
    stock: Stock, caller: Caller, registry: RegistryId, now: Timestamp, *, force: bool = False, purge: bool = False
) -> None:
    """Take the registry away at once; its data goes when the recycle time is over, with `purge` at the next collection.

    Raises RegistryUnknown, Managed, TagLocked, and Conflict for the default registry, and for one that holds
    repositories unless `force`.
    """

    def record(tx: Transaction) -> Registry:
        found = find_live(tx, registry)
        check_unmanaged(stock, found)
        if found.name == DEFAULT_REGISTRY:
            raise Conflict(f"{found.name} is the default registry and stays; delete its repositories instead")
        if not force and registries.live_repositories(tx, registry, 1):
            raise Conflict(
                f"registry {found.name} holds repositories; delete them first, or force it to delete all of them"
            )
        since = Timestamp(now - stock.rules.recycle) if purge else now
        guard.drop_registry(tx, registry, since, purging=purge)
        due = Timestamp(since + stock.rules.recycle)
        deletion.order(tx, deletion.REGISTRY, found.public_id, due, now, by=str(caller.principal))
        activity.record(tx, "registry.deleted", caller, About(registry=registry), {"name": found.name}, now)
        return get(tx, registry)

    await stock.equip(await stock.db.write(record))


async def restore_registry(stock: Stock, caller: Caller, registry: RegistryId, now: Timestamp) -> Registry:
    """Give a deleted registry back with all that was in it.

    Raises RegistryUnknown, and Conflict where its name or port was taken meanwhile or its data has begun to go.
    """

    def record(tx: Transaction) -> Registry:
        found = get(tx, registry)
        if found.removed_at is None:
            return found
        if other := registries.find(tx, found.name):
            raise Conflict(f"there is a new registry {found.name} (id {other.public_id}); delete that one first")
        check_port(tx, caller, found.settings, registry)
        if not registries.restore(tx, registry):
            raise Conflict(f"registry {found.name} cannot come back: its recycle time is over, and its data is going")
        deletion.call_off(tx, deletion.REGISTRY, found.public_id, now)
        activity.record(tx, "registry.restored", caller, About(registry=registry), {"name": found.name}, now)
        return get(tx, registry)

    restored = await stock.db.write(record)
    await stock.equip(restored)
    return restored


async def try_deletion_again(stock: Stock, kind: str, public_id: str, what: str) -> None:
    """Let the deletion of what is removed already begin anew. Raises Conflict where it has not given up."""
    now = stock.clock()
    if not await stock.db.write(lambda tx: deletion.try_again(tx, kind, public_id, now)):
        raise Conflict(f"{what} is deleted already; its data goes when its recycle time is over")
