"""What `/metrics` reads at the moment it is asked; what others measure is added to the meter as a source."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from appliance import __version__, metrics
from appliance.db import usage
from appliance.domain.registry import RegistryId
from appliance.http.meter import Meter
from appliance.metrics import COUNTED, Family, Sample
from appliance.services.books import Books
from appliance.services.stock import Stock

_PROC = Path("/proc/self")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def gather(stock: Stock, books: Books, meter: Meter, names: Mapping[RegistryId, str]) -> list[Family]:
    """Return every family of metrics; of the registries, those in `names`."""
    named = {registry: name for registry, name in names.items() if name}
    held = await stock.db.read(usage.count_by_registry)
    found = [
        *_counted(books, named),
        *_held(held, named),
        *_stock(stock),
        *_logs(books),
        *_process(),
        *meter.families(),
    ]
    for source in meter.sources:
        found += await source()
    return found


def _counted(books: Books, names: Mapping[RegistryId, str]) -> Iterable[Family]:
    """Yield the manual's counters since the start: zeros too, so that a first happening shows as an increase."""
    totals = books.tally.totals()
    zero = [0] * len(metrics.Counter)
    for metric, columns in COUNTED:
        yield Family(
            metric,
            [
                Sample(totals.get(registry, zero)[counter], (name, *labels))
                for registry, name in names.items()
                for counter, labels in columns
            ],
        )
    alive = books.alive.registries
    yield Family(metrics.REGISTRY_ALIVE, [Sample(registry in alive, (name,)) for registry, name in names.items()])


def _held(held: Mapping[RegistryId, tuple[int, int, int]], names: Mapping[RegistryId, str]) -> Iterable[Family]:
    for place, metric in enumerate((metrics.REPOSITORIES, metrics.IMAGES, metrics.STORAGE_USED)):
        samples = [Sample(held.get(registry, (0, 0, 0))[place], (name,)) for registry, name in names.items()]
        yield Family(metric, samples)


def _stock(stock: Stock) -> Iterable[Family]:
    free = stock.store.free_bytes()
    if free is not None:
        yield Family(metrics.STORAGE_FREE, [Sample(free)])
    yield Family(metrics.DATABASE, [Sample(stock.db.path.stat().st_size)])
    yield Family(metrics.WAL, [Sample(stock.db.wal_bytes())])
    yield Family(metrics.COMMITS, [Sample(stock.db.epoch)])
    yield Family(metrics.WRITES_WAITING, [Sample(stock.db.waiting())])


def _logs(books: Books) -> Iterable[Family]:
    yield Family(metrics.TRAFFIC_WAITING, [Sample(len(books.traffic))])
    yield Family(metrics.TRAFFIC_LOST, [Sample(books.traffic.lost)])
    yield Family(metrics.LOGS, [Sample(books.file.size_bytes())])
    yield Family(metrics.REFUSALS, [Sample(count, (rule,)) for rule, count in sorted(books.refusals.counts.items())])


def _process() -> Iterable[Family]:
    yield Family(metrics.BUILD, [Sample(1, (__version__,))])
    yield Family(metrics.CPU, [Sample(time.process_time())])
    yield Family(metrics.RESIDENT, [Sample(int((_PROC / "statm").read_text().split()[1]) * _PAGE_BYTES)])
    yield Family(metrics.FILES, [Sample(sum(1 for _ in (_PROC / "fd").iterdir()))])
