"""Making and editing repositories: by hand, by a first push, or as scr.toml declares them."""

from collections.abc import Callable

from appliance.db import activity, facts, registries, repositories, resource_tags
from appliance.db.activity import About
from appliance.db.database import Reader, Transaction
from appliance.db.repositories import Made
from appliance.db.resource_tags import Tagged
from appliance.domain.access import Action
from appliance.domain.admission import Caller, Grant, Site, check_may
from appliance.domain.moment import Timestamp
from appliance.domain.names import of_repository, parse_repository_name
from appliance.domain.registry import ImageRef, Registry, RegistryId, Repository, RepositoryId, RepositorySettings
from appliance.domain.resource_tags import ResourceTags
from appliance.domain.revision import Expected, changes
from appliance.errors import Conflict, Creating, Managed, NameUnknown, RegistryUnknown, Removed, RepositoryAbsent
from appliance.services.stock import Rules, Stock, new_public_id


async def create_repository(
    stock: Stock, grant: Grant, settings: RepositorySettings, tags: ResourceTags, now: Timestamp
) -> Repository:
    """Make a repository. Raises Conflict where its name is taken, NameInvalid, Removed, Creating."""
    parse_repository_name(settings.name, strict=stock.rules.strict)

    def record(tx: Transaction) -> Repository:
        find_serving(tx, grant.image.registry)
        found = repositories.find(tx, grant.image.registry, settings.name)
        if found is not None:
            known = _get(tx, found)
            raise Conflict(f"there is a repository {settings.name} already (id {known.public_id}); edit that one")
        made = insert_repository(tx, grant.caller, grant.image.registry, settings, tags, now)
        return _get(tx, made)

    return await stock.db.write(record)


def insert_repository(
    tx: Transaction,
    caller: Caller,
    registry: RegistryId,
    settings: RepositorySettings,
    tags: ResourceTags,
    now: Timestamp,
    *,
    by_push: bool = False,
) -> RepositoryId:
    """Make a repository whose name is free; return its id."""
    made = Made(new_public_id(), str(caller.principal), now, by_push=by_push)
    repository = repositories.insert(tx, registry, settings, made)
    resource_tags.replace(tx, Tagged.REPOSITORY, repository, tags)
    by = "push" if by_push else "file" if settings.managed else "request"
    about = About(registry=registry, repository=repository)
    activity.record(tx, "repository.created", caller, about, {"name": settings.name, "by": by}, now)
    return repository


def claim_repository(tx: Transaction, rules: Rules, grant: Grant, now: Timestamp) -> Repository:
    """Return the repository of a push, made now with the policy of `[defaults.repository]` if it is not there.

    Raises RepositoryAbsent where pushes make none, AccessDenied where the caller may not push to the repository-to-be,
    Removed, Creating.
    """
    registry = find_serving(tx, grant.image.registry)
    name = grant.path.repository
    found = repositories.find(tx, registry.id, name)
    if found is None:
        check_claim(tx, rules, grant.image)
        site = Site(facts.find(tx, "appliance") or "", registry.id, registry.name)
        check_may(grant.caller, site, of_repository(name), Action.PUSH)
        settings = RepositorySettings(name, policy=rules.default_policy)
        found = insert_repository(tx, grant.caller, registry.id, settings, {}, now, by_push=True)
    return _get(tx, found)


def check_claim(reader: Reader, rules: Rules, image: ImageRef) -> None:
    """Raise RepositoryAbsent where a push makes no repository; Removed where there is one that is being deleted."""
    if not rules.strict and rules.create_on_push:
        return
    name = image.path.repository
    if repositories.is_leaving(reader, image.registry, name):
        raise Removed(
            f"repository {name} is being deleted (Deleting) and takes nothing; restore it (scr repository restore"
            f" {name}), or create it anew (scr repository create {name})"
        )
    raise RepositoryAbsent(f"there is no repository {name!r}; create it first: scr repository create {name}")


async def edit_repository(
    stock: Stock,
    grant: Grant,
    repository: RepositoryId,
    change: Callable[[RepositorySettings], RepositorySettings],
    tags: ResourceTags | None,
    expected: Expected,
    now: Timestamp,
) -> Repository:
    """Change the settings, and the resource tags where `tags` are given; return the repository as it is then.

    Raises NameUnknown, Stale, Managed, and what `change` raises.
    """

    def record(tx: Transaction) -> Repository:
        before = find_live(tx, repository)
        check_unmanaged(stock, before)
        expected.check(before.revision, f"repository {before.name}")
        return update_repository(tx, grant.caller, before, change(before.settings), tags, now)

    return await stock.db.write(record)


def update_repository(
    tx: Transaction,
    caller: Caller,
    before: Repository,
    settings: RepositorySettings,
    tags: ResourceTags | None,
    now: Timestamp,
) -> Repository:
    """Give the repository other settings, and other tags where they are given; no difference is no edit."""
    different = changes(before.settings, settings) or {"before": {}, "after": {}}
    current_tags = resource_tags.of(tx, Tagged.REPOSITORY, before.id)
    if tags is not None and tags != current_tags:
        resource_tags.replace(tx, Tagged.REPOSITORY, before.id, tags)
        different["before"]["resourceTags"], different["after"]["resourceTags"] = current_tags, dict(tags)
    if not different["after"]:
        return before
    repositories.update(tx, before.id, settings, str(caller.principal), now)
    about = About(registry=before.registry, repository=before.id)
    activity.record(tx, "repository.edited", caller, about, different, now)
    return _get(tx, before.id)


def find_live(tx: Transaction, repository: RepositoryId) -> Repository:
    """Return the repository. Raises NameUnknown where it is removed."""
    found = repositories.get(tx, repository)
    if found is None or found.removed_at is not None:
        raise NameUnknown("there is no such repository any more; see: scr repository list")
    return found


def find_serving(tx: Transaction, registry: RegistryId) -> Registry:
    """Return the registry of a change. Raises Removed, Creating, RegistryUnknown."""
    found = registries.get(tx, registry)
    if found is None:
        raise RegistryUnknown("there is no such registry any more; see: scr registry list")
    if found.removed_at is not None:
        raise Removed(
            f"registry {found.name} is being deleted (Terminating) and takes nothing; restore it, or push elsewhere"
        )
    if found.ready_at is None:
        raise Creating(f"registry {found.name} is being created; try again in a moment")
    return found


def check_unmanaged(stock: Stock, repository: Repository) -> None:
    """Raise Managed for what is declared in scr.toml."""
    if repository.settings.managed:
        raise Managed(f"repository {repository.name} is declared in {stock.declared_in}; change it there")


def _get(tx: Transaction, repository: RepositoryId) -> Repository:
    found = repositories.get(tx, repository)
    if found is None:
        raise NameUnknown("there is no such repository any more; see: scr repository list")
    return found
