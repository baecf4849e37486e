"""Brings a database's schema up to this program's: all numbered files that are missing, in one transaction.

So an upgrade that fails leaves the database as it was, and the program before can be started again.
"""

from pathlib import Path

import apsw

from appliance import assets
from appliance.domain.names import natural_key
from appliance.errors import ConfigInvalid, StoreFailed

APPLICATION_ID = 0x53435231  # "SCR1", in the file's header
# packages of SQL files
METADATA, LOGS, SCANS = "appliance.db.migrations", "appliance.db.log_migrations", "appliance.db.scan_migrations"


def latest(package: str = METADATA) -> int:
    """Return the number of the newest migration: the schema this program knows."""
    return int(assets.list_names(package, ".sql")[-1][:4])


def run(connection: apsw.Connection, package: str = METADATA) -> int:
    """Apply what is missing; return how many files that were. `user_version` is the number of the last one applied.

    Raises ConfigInvalid when the database is another program's, or newer than this one, StoreFailed where a file cannot
    be applied: then nothing has changed.
    """
    missing = list_missing(_judge(connection, package), package)
    connection.create_scalar_function("natural_key", _natural_key, 1, deterministic=True)
    with connection:
        for name in missing:
            try:
                connection.execute(assets.read(package, name).decode())
            except (apsw.SQLError, apsw.ConstraintError) as error:
                raise StoreFailed(
                    f"the database could not be brought up to date by {name}: {error}; nothing was changed:"
                    " start the scr that served it before, and report this"
                ) from error
            connection.pragma("user_version", int(name[:4]))
    return len(missing)


def list_missing(found: int, package: str = METADATA) -> tuple[str, ...]:
    """Return the migrations that a database of schema `found` lacks, in order."""
    return tuple(name for name in assets.list_names(package, ".sql") if int(name[:4]) > found)


def version_of(path: Path) -> int:
    """Return the schema of the database at `path`. Raises ConfigInvalid as `run` does, and for what is no database."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return _judge(connection, METADATA)
    except apsw.Error as error:
        raise ConfigInvalid(f"{path} cannot be read: {error}; restore a backup (scr restore)") from error
    finally:
        connection.close()


def upgrade(path: Path) -> int:
    """Bring the database at `path`, which nobody else has open, up to date. Returns and raises as `run` does."""
    connection = apsw.Connection(str(path))
    try:
        return run(connection)
    finally:
        connection.close()


def _judge(connection: apsw.Connection, package: str) -> int:
    """Return the schema of a database that this program may use. Raises ConfigInvalid."""
    found = int(str(connection.pragma("user_version")))
    if connection.pragma("application_id") not in (APPLICATION_ID, 0):
        raise ConfigInvalid(
            "scr.sqlite is the database of another program; point [storage] data_dir at a folder of scr's own"
        )
    if found > latest(package):
        raise ConfigInvalid(
            f"the data folder has format {found}, and this scr knows {latest(package)}: a newer scr wrote it;"
            " run that one",
        )
    return found


def _natural_key(*values: object) -> str:
    """Return the sort key of a name, for rows that were written before there was one."""
    return natural_key(str(values[0]))
