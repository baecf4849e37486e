"""What is looked at before a database is opened: that the folder is whole, and that an upgrade can be taken back."""

import asyncio
from pathlib import Path

from appliance.blobstore.files import Files
from appliance.blobstore.store import BlobStore
from appliance.db import facts, snapshot
from appliance.db.database import Database
from appliance.domain.moment import Timestamp
from appliance.errors import ConfigInvalid
from appliance.logs import Log
from appliance.services.restore import MARK
from appliance.services.snapshots import FOLDER, free_name, remove_database, write_snapshot

DATABASE = "scr.sqlite"


def prepare_database(folder: Path, files: Files, now: Timestamp, log: Log) -> Path:
    """Return the path of the database, which may be opened: an older program's is copied into `backups` first.

    Raises ConfigInvalid for a restore that was not finished, StorageFull where the copy has no room, StoreFailed.
    """
    mark, path = folder / MARK, folder / DATABASE
    if mark.exists():
        source = mark.read_bytes()[:1024].decode(errors="replace")
        raise ConfigInvalid(
            f"a restore into {folder} was not finished; run it again: scr restore {source} --data-dir {folder}"
        )
    if snapshot.is_outdated(path):
        before = f"before-{snapshot.latest():04d}-"
        name = free_name(folder / FOLDER, before, now).name
        taken = write_snapshot(path, folder / FOLDER, files, 0, lambda _, __: None, name)
        log.info(
            "upgrade.backed_up", snapshot=taken.name, cure="none needed; delete it when the upgrade has proved well"
        )
    return path


async def check_not_lost(database: Database, store: BlobStore, files: Files) -> None:
    """Refuse a database that was made anew although blobs lie in the store: a sweep would take them for strays.

    Raises ConfigInvalid.
    """
    if await database.read(lambda reader: facts.find(reader, "appliance")) is not None:
        return
    if await asyncio.to_thread(next, store.walk_blobs(), None) is None:
        return
    database.close()
    remove_database(database.path, files)
    raise ConfigInvalid(
        f"the store of {database.path.parent} has blobs, and the database is lost; restore a backup (scr restore), or"
        " make a new one from what lies there (scr rebuild)"
    )
