"""What this program would do to a data folder that another version of it has served; nothing is changed by looking.

At its start a newer program copies the database into `backups/`, then applies all migrations that are missing in one
transaction. Here the same is tried on a copy, so that a person knows before whether it works and how long it takes.
"""

import time
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.db import migrate
from appliance.errors import ScrError
from appliance.services.snapshots import copy_database, remove_database

_COPY = "upgrade-check.sqlite"  # in the cache folder


class Upgrade(msgspec.Struct, frozen=True, rename="camel"):
    """What an upgrade would mean. Sizes are bytes."""

    found: int  # the schema of the folder's database, 0 where there is none
    known: int  # that of this program
    missing: tuple[str, ...]  # migrations that would be applied
    size: int  # of the database: the copy that is made before takes as much
    free: int
    took_ms: int | None = None  # of the migrations on a copy; None: they were not tried
    fault: str = ""  # why the upgrade would fail


def look(database: Path, free: int) -> Upgrade:
    """Return what the start of this program would do to `database`, on a disk with `free` bytes (blocking).

    Raises ConfigInvalid for the database of a newer program, or another one.
    """
    if not database.is_file():
        return Upgrade(0, migrate.latest(), (), 0, free)
    found = migrate.version_of(database)
    return Upgrade(found, migrate.latest(), migrate.list_missing(found), database.stat().st_size, free)


def rehearse(database: Path, cache: Path, plan: Upgrade) -> Upgrade:
    """Apply the missing migrations to a copy of `database` in the folder `cache`; return what came of it (blocking).

    The copy is removed. Raises StorageFull, StoreFailed where no copy can be made.
    """
    if 2 * plan.size > plan.free:
        return msgspec.structs.replace(plan, fault="no room for a copy; free the disk")
    files, copy = Files(), cache / _COPY
    try:
        copy_database(database, copy, files, lambda _, __: None)
        began = time.monotonic()
        migrate.upgrade(copy)
        return msgspec.structs.replace(plan, took_ms=round((time.monotonic() - began) * 1000))
    except ScrError as error:
        return msgspec.structs.replace(plan, fault=error.message)
    finally:
        remove_database(copy, files)
