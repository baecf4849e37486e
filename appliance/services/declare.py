"""Resources that `scr.toml` declares: made or changed to match it, marked as managed; what leaves it is let go.

One transaction: what the file says counts whole or not at all. Nothing that is as it should be is touched, so that a
start records nothing. `plan` does the same and keeps nothing: what it would record is what would change, so the plan
cannot differ from the run. A registry or a repository that leaves the file stays and is managed no more.

Another kind of resource joins by a table of its own in Declaration and a function that takes the transaction.
"""

from collections.abc import Sequence

import msgspec

from appliance.db import activity, principals, registries, repositories
from appliance.db.activity import Happening, Wanted
from appliance.db.database import Database, Transaction
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName, parse_registry_name, parse_repository_name
from appliance.domain.registry import RegistryId, RegistrySettings, RepositorySettings
from appliance.domain.resource_tags import check_tags
from appliance.errors import ConfigInvalid, RegistryUnknown
from appliance.services.arrange import insert_repository, update_repository
from appliance.services.declare_accounts import DeclaredAccounts, declare_accounts
from appliance.services.declaring import FILE, naming
from appliance.services.provision import insert_registry, update_registry
from appliance.services.stock import Stock

_MOST = 100_000  # changes of one plan; a file of 4 MiB declares fewer


class DeclaredRegistry(msgspec.Struct, frozen=True):
    """A `[[registry]]`."""

    settings: RegistrySettings
    tags: dict[str, str] = {}


class DeclaredRepository(msgspec.Struct, frozen=True):
    """A `[[repository]]`."""

    registry: RegistryName
    settings: RepositorySettings
    tags: dict[str, str] = {}


class Declaration(msgspec.Struct, frozen=True):
    """All that a file declares."""

    registries: tuple[DeclaredRegistry, ...] = ()
    repositories: tuple[DeclaredRepository, ...] = ()
    accounts: DeclaredAccounts = DeclaredAccounts()


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """Something that a declaration changes: what the activity says of it."""

    kind: str  # "registry.created", "repository.edited"
    subject: str  # "registry pay", "repository local/pay", "user:ann"
    detail: msgspec.Raw  # of an edit: what was before and is after


async def declare(stock: Stock, declaration: Declaration, now: Timestamp, *, needs_somebody: bool = False) -> None:
    """Make what is there match `declaration`. Raises ConfigInvalid, and then nothing has changed.

    With `needs_somebody` it may not take away the last one who can sign in: other machines are served.
    """

    def run(tx: Transaction) -> None:
        was_anybody = principals.is_any_in_force(tx)
        declare_in(tx, declaration, now)
        if needs_somebody and was_anybody and not principals.is_any_in_force(tx):
            raise ConfigInvalid(
                "other machines are served, and nobody could sign in any more; leave a [[user]] in scr.toml, or make"
                " an administrator first: scr user create NAME --admin"
            )

    await stock.db.write(run)


async def plan(db: Database, declaration: Declaration, now: Timestamp) -> list[Change]:
    """Return what `declare` would change; nothing does. Raises ConfigInvalid where it would refuse."""

    def run(tx: Transaction) -> None:
        _, last = activity.bounds(tx)
        declare_in(tx, declaration, now)
        raise _Planned([_change(one) for one in activity.list_page(tx, Wanted(), last, _MOST, onward=True)])

    try:
        await db.write(run)
    except _Planned as planned:
        return planned.changes
    raise AssertionError("a plan always ends by being undone")


class _Planned(Exception):
    """Undoes the transaction of a plan, and carries what it would have changed."""

    def __init__(self, changes: list[Change]) -> None:
        super().__init__()
        self.changes = changes


def declare_in(tx: Transaction, declaration: Declaration, now: Timestamp) -> None:
    """Do it in `tx`. Raises ConfigInvalid."""
    _declare_registries(tx, declaration.registries, now)
    _declare_repositories(tx, declaration.repositories, now)
    declare_accounts(tx, declaration.accounts, now)


def _declare_registries(tx: Transaction, declared: Sequence[DeclaredRegistry], now: Timestamp) -> None:
    kept: set[RegistryId] = set()
    for one in declared:
        with naming(f"[[registry]] {one.settings.name}"):
            parse_registry_name(one.settings.name)
            check_tags(one.tags)
            found = registries.find(tx, one.settings.name)
            if found is None:
                found = insert_registry(tx, FILE, one.settings, one.tags, now)
            else:
                update_registry(tx, FILE, found, one.settings, one.tags, now)
            kept.add(found.id)
    for left in registries.list_managed(tx):
        if left.id not in kept:
            update_registry(tx, FILE, left, msgspec.structs.replace(left.settings, managed=False), None, now)


def _declare_repositories(tx: Transaction, declared: Sequence[DeclaredRepository], now: Timestamp) -> None:
    kept = set()
    for one in declared:
        name = one.settings.name
        with naming(f"[[repository]] {name}"):
            parse_repository_name(name)
            check_tags(one.tags)
            registry = registries.find(tx, one.registry)
            if registry is None:
                raise RegistryUnknown(f"there is no registry {one.registry!r}; declare it as well: [[registry]]")
            found = repositories.find(tx, registry.id, name)
            if found is None:
                found = insert_repository(tx, FILE, registry.id, one.settings, one.tags, now)
            elif (before := repositories.get(tx, found)) is not None:
                update_repository(tx, FILE, before, one.settings, one.tags, now)
            kept.add(found)
    for left in repositories.list_managed(tx):
        if left.id not in kept:
            update_repository(tx, FILE, left, msgspec.structs.replace(left.settings, managed=False), None, now)


def _change(one: Happening) -> Change:
    subject = one.subject
    if one.repository is not None:
        subject = f"repository {one.registry_name}/{one.repository}"
    elif one.registry_name is not None:
        subject = f"registry {one.registry_name}"
    return Change(one.kind, subject, one.detail)
