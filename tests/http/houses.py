"""Servers with several registries: what the database holds is written while nobody serves it."""

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from appliance.db import registries
from appliance.db.database import Database, Transaction
from appliance.domain.moment import Timestamp
from appliance.domain.registry import RegistrySettings
from appliance.logs import Log
from tests.http.raw import wait_for_line
from tests.make.server import Server

T = TypeVar("T")
_NOON = Timestamp(1_700_000_000_000)


def change(data: Path, function: Callable[[Transaction], T]) -> T:
    """Run `function` on the database of a data folder that nobody serves."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        database = Database(data / "scr.sqlite", executor, Log(out=io.StringIO()))
        try:
            return asyncio.run(database.write(function))
        finally:
            database.close()


def furnish(server: Server, *wanted: RegistrySettings, local: str = "") -> None:
    """Let `server` make its folder, and put registries into it: `<name>1` is the id of each.

    `local` is what changes of the default registry, in SQL.
    """
    with server:
        pass

    def make(tx: Transaction) -> None:
        if local:
            tx.execute(f"UPDATE registries SET {local} WHERE name = 'local'")  # noqa: S608 - the tests' own text
        for settings in wanted:
            registries.set_ready(tx, registries.insert(tx, settings, f"{settings.name}1", "test", _NOON), _NOON)

    change(server.data, make)
    server.log.clear()  # where it listened this time


def url_of(server: Server, meaning: str) -> str:
    """Return the URL of the ready line that says `(meaning)`, once it is there."""
    line = wait_for_line(server, f" ({meaning})")
    return line.partition(" serving ")[2].partition(" (")[0]
