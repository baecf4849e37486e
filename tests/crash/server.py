"""The real server on a disk of the test's making, and what must be true of its folder afterwards."""

import asyncio
import os
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Self

import apsw

from appliance.domain.names import from_bytes
from tests.crash.faults import Plan, met_file
from tests.crash.inspection import check_database, check_files
from tests.crash.world import open_world
from tests.make.server import Server

PATIENCE_S = 7200 if os.environ.get("SCR_TEST_LONG") == "1" else 300  # of a test that may try hundreds of steps
CONFIG = """
[storage]
min_free = "0%"
recycle = "0s"
grace = "1s"
upload_expiry = "1h"
"""


class CrashingServer(Server):
    """`scr serve` whose disk follows a plan."""

    program = (sys.executable, "-m", "tests.crash.serve")

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        """Serve from `folder` with a disk that works."""
        self.plan_file = folder / "plan.json"
        super().__init__(folder, config, environment={"CRASH_PLAN": str(self.plan_file)})
        self.plan(Plan())

    def plan(self, plan: Plan) -> Self:
        """Let the disk do as `plan` says from now on."""
        met_file(self.plan_file).unlink(missing_ok=True)
        plan.save(self.plan_file)
        return self

    def end_plan(self) -> bool:
        """Let the disk work again; return whether the server is no more, which may be behind what was looked at."""
        self.plan(Plan())
        try:
            with self.client() as client:
                client.get("/health/live").expect(200)
        except (OSError, HTTPException):
            assert self.wait() == -9
            return True
        return False

    def has_met(self) -> bool:
        """Whether a step has failed since the plan was made, in whoever's work."""
        return met_file(self.plan_file).exists()

    def half_named(self) -> list[Path]:
        """Return what lies under a final name, or beside one, and is no row's (while the server runs)."""
        reader = apsw.Connection(str(self.data / "scr.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            owned = {
                f"{from_bytes(digest).partition(':')[2]}.{generation}"
                for table in ("blobs", "manifests", "condemned")
                for digest, generation in reader.execute(f"SELECT digest, generation FROM {table}")  # noqa: S608
            }
        finally:
            reader.close()
        lying = [path for kind in ("blobs", "manifests") for path in (self.data / kind).rglob("*") if path.is_file()]
        return [path for path in lying if path.name not in owned]


def check_folder(data: Path) -> None:
    """Fail unless the folder of a server that ended is sound, and collection and sweep leave nothing unowned."""

    async def check() -> None:
        async with open_world(data) as world:
            check_database(world.database)
            await world.collect()
            check_files(world)

    asyncio.run(check())
