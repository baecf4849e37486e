"""Measure what each repository uses: at each look where that is quick, by a job where a registry is large."""

import asyncio
from functools import partial

import msgspec

from appliance.blobstore.session import list_idle
from appliance.db import registries, repositories, repository_measures, repository_usage
from appliance.db.database import Reader
from appliance.db.repository_measures import Measured
from appliance.domain.listing import Listing
from appliance.domain.registry import RegistryId, RepositoryId
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.stock import Stock

AT_ONCE = 1000  # images of a registry that are measured at each look: a tenth of a second with 20 manifests in each
_SLICE = 100  # repositories in one read


class MeasureReport(msgspec.Struct, frozen=True):
    """What a job has measured."""

    repositories: int


def has_large(reader: Reader) -> bool:
    """Whether there is a registry that is not measured at each look."""
    return bool(repository_measures.list_larger(reader, AT_ONCE))


async def measure_all(stock: Stock, course: Course = UNFOLLOWED) -> MeasureReport:
    """Measure every repository, and keep that. Done again it does the same again."""
    done = 0
    for registry in [one.id for one in await stock.db.read(registries.list_all)]:
        last, staged = "", await _measure_staged(stock, registry)
        while ids := await stock.db.read(partial(_list_after, registry=registry, last=last)):
            usage = await stock.db.read(partial(repository_usage.measure, repositories=list(ids)))
            found = [(one, usage[one], staged.get(name, 0)) for one, name in ids.items()]
            now = stock.clock()
            await stock.db.write(partial(repository_measures.keep, measured=found, now=now))
            last, done = max(ids.values()), done + len(ids)
            course.progress(done, 0)
            course.check()
    return MeasureReport(done)


def _list_after(reader: Reader, registry: RegistryId, last: str) -> dict[RepositoryId, str]:
    """Return some live repositories whose names come after `last`, with these."""
    rows = repositories.list_page(reader, registry, Listing(), last, _SLICE)
    return {row.repository.id: str(row.repository.name) for row in rows}


async def list_by_name(stock: Stock, registry: RegistryId, order: str, last: str, limit: int) -> list[Measured]:
    """Return up to `limit` repositories whose names come after `last`, in the order `name` or `-name`.

    Those of a small registry, and those that nobody has measured yet, are measured now.
    """
    is_kept = await stock.db.read(partial(_is_large, registry=registry))
    after = (0, last) if last else None
    rows = await stock.db.read(
        partial(repository_measures.list_page, registry=registry, order=order, after=after, limit=limit)
    )
    return await _renew(stock, registry, rows, [row for row in rows if not is_kept or row.measured_at is None])


async def list_all(stock: Stock, registry: RegistryId) -> list[Measured] | None:
    """Return every repository as it is now, or None: the registry is large, and was measured before."""
    if await stock.db.read(partial(_is_kept, registry=registry)):
        return None
    found: list[Measured] = []
    while rows := await list_by_name(stock, registry, "name", found[-1].name if found else "", _SLICE):
        found += rows
    return found


def _is_large(reader: Reader, registry: RegistryId) -> bool:
    return registry in repository_measures.list_larger(reader, AT_ONCE)


def _is_kept(reader: Reader, registry: RegistryId) -> bool:
    return _is_large(reader, registry) and repository_measures.has_any(reader, registry)


async def _renew(stock: Stock, registry: RegistryId, rows: list[Measured], stale: list[Measured]) -> list[Measured]:
    """Return `rows`, those that are `stale` as they are now."""
    if not stale:
        return rows
    ids = [row.id for row in stale]
    now = stock.clock()
    usage = await stock.db.read(partial(repository_usage.measure, repositories=ids))
    staged = await _measure_staged(stock, registry)

    def renewed(row: Measured) -> Measured:
        if row.id not in usage:
            return row
        return Measured(row.id, row.public_id, row.name, usage[row.id], staged.get(row.name, 0), now)

    return [renewed(row) for row in rows]


async def _measure_staged(stock: Stock, registry: RegistryId) -> dict[str, int]:
    """Return the bytes that lie in uploads of `registry`, by repository."""

    def read() -> dict[str, int]:
        found: dict[str, int] = {}
        for one in list_idle(stock.uploads.folder):
            if one.registry == registry:
                name = one.path.partition("/")[0]
                found[name] = found.get(name, 0) + one.size
        return found

    return await asyncio.to_thread(read)
