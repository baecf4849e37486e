"""Opens the books: counters, traffic, refusals, audit; and what the timetable does for them."""

from concurrent.futures import Executor
from contextlib import AsyncExitStack

from appliance.assemble.folder import DataFolder
from appliance.config import Config
from appliance.db.side_file import SideFile
from appliance.services.books import Books, Bounds
from appliance.services.stock import Stock


async def open_books(
    stack: AsyncExitStack, folder: DataFolder, config: Config, stock: Stock, executor: Executor
) -> Books:
    """Open the books of `stock`; leaving `stack` writes and closes them. Raises StoreFailed, ConfigInvalid."""
    file = SideFile(folder.path / "logs.sqlite", executor, stock.log)
    books = Books(stock, file, bounds_of(config))
    stack.push_async_callback(books.close)
    await books.begin()
    return books


def bounds_of(config: Config) -> Bounds:
    """Return what `config` says about what is kept how long."""
    log = config.log
    return Bounds(log.activity_keep, log.activity_size, log.traffic_keep, log.traffic_size)
