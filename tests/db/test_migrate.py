import re
from pathlib import Path

import apsw
import pytest

from appliance import assets
from appliance.db import migrate
from appliance.errors import ConfigInvalid, StoreFailed

PACKAGE = "appliance.db.migrations"


@pytest.fixture
def connection(tmp_path: Path) -> apsw.Connection:
    return apsw.Connection(str(tmp_path / "scr.sqlite"))


def test_migrations_are_numbered_without_a_gap() -> None:
    names = assets.list_names(PACKAGE, ".sql")

    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name) for name in names)
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert migrate.latest() == len(names)


def test_a_new_database_gets_every_migration_once(connection: apsw.Connection) -> None:
    assert migrate.run(connection) == migrate.latest()
    assert connection.pragma("user_version") == migrate.latest()

    assert migrate.run(connection) == 0
    assert connection.pragma("integrity_check") == "ok"


def test_every_table_is_strict(connection: apsw.Connection) -> None:
    migrate.run(connection)

    tables = connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    assert {name for name, strict in tables if not strict} <= {"sqlite_schema", "sqlite_sequence"}


def test_an_upgrade_that_fails_leaves_everything_as_it_was(
    connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "0001_a.sql": b"CREATE TABLE a (x INTEGER) STRICT;",
        "0002_b.sql": b"CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE a (x INTEGER) STRICT;",
    }
    monkeypatch.setattr(assets, "list_names", lambda *_: sorted(files))
    monkeypatch.setattr(assets, "read", lambda _, name: files[name])

    with pytest.raises(StoreFailed, match=r"0002_b\.sql.*nothing was changed"):
        migrate.run(connection)

    assert connection.pragma("user_version") == 0
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == []
    files["0002_b.sql"] = b"CREATE TABLE b (x INTEGER) STRICT;"
    assert migrate.run(connection) == 2


def test_a_newer_programs_database_is_refused(connection: apsw.Connection) -> None:
    migrate.run(connection)
    connection.pragma("user_version", migrate.latest() + 1)

    with pytest.raises(ConfigInvalid, match="newer scr"):
        migrate.run(connection)


def test_another_programs_database_is_refused(connection: apsw.Connection) -> None:
    connection.pragma("application_id", 0x0F055112)  # Fossil's

    with pytest.raises(ConfigInvalid, match="another program"):
        migrate.run(connection)


def test_every_foreign_key_is_looked_up_by_an_index(connection: apsw.Connection) -> None:
    """Else whoever deletes a row that may be referred to reads the whole other table."""
    migrate.run(connection)
    partial = {("sign_ins", "key_id")}  # its index holds the rows that have a key, which are all that are looked for

    missing = {
        (str(table), str(column))
        for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for column in {row[3] for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
        if column not in {columns[0] for columns in _indexes(connection, str(table))}
    }

    assert missing <= partial


def _indexes(connection: apsw.Connection, table: str) -> list[list[str]]:
    """Return the columns of every index of `table` that holds all its rows, the primary key's too."""
    columns = connection.execute(f"SELECT name, pk FROM pragma_table_info('{table}') WHERE pk ORDER BY pk").fetchall()  # noqa: S608
    found = [[str(name) for name, _ in columns]] if columns else []
    whole = [row[1] for row in connection.execute(f"PRAGMA index_list({table})").fetchall() if not row[4]]
    return found + [[str(one[2]) for one in connection.execute(f"PRAGMA index_info({name})")] for name in whole]
