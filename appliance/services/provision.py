"""Making and editing registries.

What a registry needs outside of the database (a listener, an allowlist) is done by `stock.equip`, which may be asked
again at any time: a creation that a crash ended is taken up again at the next start.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

from appliance.db import activity, facts, registries, resource_tags
from appliance.db.activity import About, Detail
from appliance.db.database import Reader, Transaction
from appliance.db.resource_tags import Tagged
from appliance.domain.access import Action
from appliance.domain.admission import Caller, Site, may_registry
from appliance.domain.endpoint import ListName
from appliance.domain.moment import Timestamp
from appliance.domain.names import DEFAULT_REGISTRY
from appliance.domain.registry import Registry, RegistryId, RegistrySettings, Visibility
from appliance.domain.resource_tags import ResourceTags
from appliance.domain.revision import Expected, changes
from appliance.errors import Conflict, Managed, RegistryUnknown, ScrError
from appliance.services import allowlists
from appliance.services.first_lists import FirstLists
from appliance.services.stock import Stock, new_public_id


def claim_site(tx: Transaction, by: str, now: Timestamp, visibility: Visibility = Visibility.PRIVATE) -> Site:
    """Return the default registry; a new appliance gets its id and that registry, with `visibility`, now."""
    appliance = facts.find(tx, "appliance")
    if appliance is None:
        appliance = new_public_id()
        facts.put(tx, "appliance", appliance)
    found = registries.find(tx, DEFAULT_REGISTRY)
    number = found.id if found else _make_default(tx, by, now, visibility)
    return Site(appliance, number, DEFAULT_REGISTRY)


def _make_default(tx: Transaction, by: str, now: Timestamp, visibility: Visibility) -> RegistryId:
    made = registries.insert(tx, RegistrySettings(DEFAULT_REGISTRY, visibility=visibility), new_public_id(), by, now)
    registries.set_ready(tx, made, now)
    return made


async def create_registry(
    stock: Stock,
    caller: Caller,
    settings: RegistrySettings,
    tags: ResourceTags,
    now: Timestamp,
    first: FirstLists | None = None,
) -> Registry:
    """Make a registry with its first allowlists; return it once it serves.

    Raises Conflict where its name or port is taken, and what writing the lists does.
    """

    async def begin(lists: Mapping[ListName, Detail]) -> Registry:
        def insert(tx: Transaction) -> Registry:
            made = insert_registry(tx, caller, settings, tags, now)
            for name, detail in lists.items():
                allowlists.record(tx, caller, made.id, name, detail, now)
            return made

        return await stock.db.write(insert)

    def check() -> None:
        _check_new(stock.db.reader, caller, settings)

    registry = await begin({}) if first is None else await first.lay(check, begin)
    try:
        await stock.equip(registry)
    except ScrError:
        await stock.db.write(lambda tx: registries.purge(tx, registry.id))
        if first is not None:
            await first.take_back()
        raise
    return await stock.db.write(lambda tx: _set_ready(tx, registry.id, now))


def insert_registry(
    tx: Transaction, caller: Caller, settings: RegistrySettings, tags: ResourceTags, now: Timestamp
) -> Registry:
    """Begin the creation of a registry. Raises Conflict where its name or port is taken."""
    _check_new(tx, caller, settings)
    made = registries.insert(tx, settings, new_public_id(), str(caller.principal), now)
    resource_tags.replace(tx, Tagged.REGISTRY, made, tags)
    detail = {"name": settings.name, "visibility": settings.visibility.value, "managed": settings.managed}
    activity.record(tx, "registry.created", caller, About(registry=made), detail, now)
    return get(tx, made)


def _check_new(reader: Reader, caller: Caller, settings: RegistrySettings) -> None:
    """Raise Conflict where another registry has the name or the port of one that shall be made."""
    if found := registries.find(reader, settings.name):
        raise Conflict(f"there is a registry {settings.name} already (id {found.public_id}); choose another name")
    check_port(reader, caller, settings, RegistryId(0))


async def finish_creations(stock: Stock) -> list[Registry]:
    """Take up creations that a crash ended; return the registries that serve now."""
    ready = []
    for registry in await stock.db.read(registries.list_unready):
        try:
            await stock.equip(registry)
        except ScrError as error:
            stock.log.error("registry.unfinished", registry=registry.name, reason=error.message)
            continue
        ready.append(await stock.db.write(partial(_set_ready, registry=registry.id, now=stock.clock())))
    return ready


async def edit_registry(
    stock: Stock,
    caller: Caller,
    registry: RegistryId,
    change: Callable[[RegistrySettings], RegistrySettings],
    tags: ResourceTags | None,
    expected: Expected,
    now: Timestamp,
) -> Registry:
    """Change the settings, and the resource tags where `tags` are given; return the registry as it is then.

    Raises RegistryUnknown, Stale, Managed, and Conflict for what cannot be changed so.
    """

    def record(tx: Transaction) -> tuple[Registry, ResourceTags, Registry]:
        before = find_live(tx, registry)
        check_unmanaged(stock, before)
        expected.check(before.revision, f"registry {before.name}")
        tags_before = resource_tags.of(tx, Tagged.REGISTRY, registry)
        return before, tags_before, update_registry(tx, caller, before, change(before.settings), tags, now)

    def put_back(tx: Transaction) -> Registry:
        current = get(tx, registry)
        if current.revision != after.revision:  # somebody else's edit came behind it
            return current
        return update_registry(tx, caller, after, before.settings, tags_before, now)

    with _editing(stock, registry):
        before, tags_before, after = await stock.db.write(record)
        try:
            await stock.equip(after)
        except ScrError:
            current = await stock.db.write(put_back)
            with suppress(ScrError):  # said by the first one
                await stock.equip(current)
            raise
    return after


def update_registry(
    tx: Transaction,
    caller: Caller,
    before: Registry,
    settings: RegistrySettings,
    tags: ResourceTags | None,
    now: Timestamp,
) -> Registry:
    """Give the registry other settings, and other tags where they are given; no difference is no edit.

    Raises Conflict.
    """
    if before.settings.visibility is Visibility.PRIVATE and settings.visibility is Visibility.PUBLIC:
        raise Conflict(
            f"registry {before.name} is private: it can be made public at its creation only; create another registry"
        )
    check_port(tx, caller, settings, before.id)
    different = changes(before.settings, settings) or {"before": {}, "after": {}}
    current_tags = resource_tags.of(tx, Tagged.REGISTRY, before.id)
    if tags is not None and tags != current_tags:
        resource_tags.replace(tx, Tagged.REGISTRY, before.id, tags)
        different["before"]["resourceTags"], different["after"]["resourceTags"] = current_tags, dict(tags)
    if not different["after"]:
        return before
    registries.update(tx, before.id, settings, str(caller.principal), now)
    activity.record(tx, "registry.edited", caller, About(registry=before.id), different, now)
    return get(tx, before.id)


def find_live(tx: Transaction, registry: RegistryId) -> Registry:
    """Return the registry. Raises RegistryUnknown where it is removed."""
    found = get(tx, registry)
    if found.removed_at is not None:
        raise RegistryUnknown(f"registry {found.name} is being deleted; restore it first: scr registry restore")
    return found


def get(tx: Transaction, registry: RegistryId) -> Registry:
    """Return the registry, a removed one too. Raises RegistryUnknown where it is purged."""
    found = registries.get(tx, registry)
    if found is None:
        raise RegistryUnknown("there is no such registry any more; see: scr registry list")
    return found


def _set_ready(tx: Transaction, registry: RegistryId, now: Timestamp) -> Registry:
    registries.set_ready(tx, registry, now)
    return get(tx, registry)


def check_port(reader: Reader, caller: Caller, settings: RegistrySettings, own: RegistryId) -> None:
    """Raise Conflict where another registry has the port; `own` is the registry that wants it."""
    if settings.port is not None and (taken := find_taken(reader, caller, settings.port, own)):
        raise Conflict(f"{taken}; choose another one for {settings.name}")


def find_taken(reader: Reader, caller: Caller, port: int, own: RegistryId) -> str:
    """Return what `caller` may know of another registry than `own` that has the port, "" where none has."""
    found = registries.find_by_port(reader, port)
    if found is None or found.id == own:
        return ""
    site = Site(facts.find(reader, "appliance") or "", found.id, found.name)
    is_seen = may_registry(caller, site, Action.VIEW_REGISTRY)
    return f"registry {found.name} has port {port}" if is_seen else f"another registry has port {port}"


def check_unmanaged(stock: Stock, registry: Registry) -> None:
    """Raise Managed for what is declared in scr.toml."""
    if registry.settings.managed:
        raise Managed(f"registry {registry.name} is declared in {stock.declared_in}; change it there")


@contextmanager
def _editing(stock: Stock, registry: RegistryId) -> Iterator[None]:
    stock.editing[registry] += 1
    try:
        yield
    finally:
        stock.editing[registry] -= 1
        if not stock.editing[registry]:
            del stock.editing[registry]
