"""Brings a database's schema up to this program's, one numbered file a transaction."""

import apsw

from appliance import assets
from appliance.domain.names import natural_key
from appliance.errors import ConfigInvalid

APPLICATION_ID = 0x53435231  # "SCR1", in the file's header
METADATA, LOGS = "appliance.db.migrations", "appliance.db.log_migrations"  # packages of SQL files


def latest(package: str = METADATA) -> int:
    """Return the number of the newest migration: the schema this program knows."""
    return int(assets.list_names(package, ".sql")[-1][:4])


def run(connection: apsw.Connection, package: str = METADATA) -> int:
    """Apply what is missing; return how many files that were. `user_version` is the number of the last one applied.

    Raises ConfigInvalid when the database is another program's, or newer than this one.
    """
    found = connection.pragma("user_version")
    if connection.pragma("application_id") not in (APPLICATION_ID, 0):
        raise ConfigInvalid(
            "scr.sqlite is the database of another program; point [storage] data_dir at a folder of scr's own"
        )
    if found > latest(package):
        raise ConfigInvalid(
            f"the data folder has format {found}, and this scr knows {latest(package)}: a newer scr wrote it;"
            " run that one",
        )
    connection.create_scalar_function("natural_key", _natural_key, 1, deterministic=True)
    applied = 0
    for name in assets.list_names(package, ".sql"):
        number = int(name[:4])
        if number <= found:
            continue
        with connection:
            connection.execute(assets.read(package, name).decode())
            connection.pragma("user_version", number)
        applied += 1
    return applied


def _natural_key(*values: object) -> str:
    """Return the sort key of a name, for rows that were written before there was one."""
    return natural_key(str(values[0]))
