import re
from pathlib import Path

import apsw
import pytest

from appliance import assets
from appliance.db import migrate, usage_check
from appliance.db.database import Reader
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


def test_what_was_accepted_in_places_that_are_gone_goes(
    connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_before("0011_places_of_findings.sql", connection, monkeypatch)
    connection.pragma("foreign_keys", True)  # noqa: FBT003 - the pragma's value
    connection.execute(_BEFORE)
    connection.execute(_ACCEPTED)

    migrate.run(connection)

    assert connection.execute("SELECT public_id FROM accepted_findings ORDER BY 1").fetchall() == [
        ("all",), ("image",), ("registry",), ("repository",),
    ]  # fmt: skip
    assert connection.execute("SELECT public_id FROM vex_documents ORDER BY 1").fetchall() == [("all",), ("image",)]


def begin_before(name: str, connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make a database as it was before the migration `name`; return how many are missing from there."""
    names = assets.list_names(PACKAGE, ".sql")
    before = names.index(name)
    with monkeypatch.context() as patch:
        patch.setattr(assets, "list_names", lambda *_: names[:before])
        migrate.run(connection)
    return len(names) - before


def test_what_was_there_before_the_counts_were_kept_is_counted(
    connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = begin_before("0012_kept_counts.sql", connection, monkeypatch)
    connection.execute(_BEFORE)

    assert migrate.run(connection) == missing

    kept = connection.execute("SELECT path, manifests, tags, bytes FROM images ORDER BY id").fetchall()
    assert kept == [("pay/api", 1, 2, 30), ("pay/web", 0, 0, 0), ("old/x", 1, 1, 20)]
    assert connection.execute("SELECT name, images FROM repositories ORDER BY id").fetchall() == [
        ("pay", 1),
        ("old", 1),
    ]
    assert connection.execute("SELECT repositories, images FROM registry_usage").fetchall() == [(1, 1)]
    assert usage_check.list_wrong(Reader(connection)) == []


_BEFORE = """
INSERT INTO registries (id, public_id, name, created_at, created_by, modified_at, modified_by)
VALUES (1, 'g', 'local', 1, '', 1, '');
INSERT INTO repositories (id, public_id, registry_id, name, sort_key, policy, created_at, created_by, modified_at,
  modified_by, removed_at)
VALUES (1, 'p', 1, 'pay', '', '', 1, '', 1, '', NULL), (2, 'o', 1, 'old', '', '', 1, '', 1, '', 5);
INSERT INTO images (id, public_id, registry_id, repository_id, name, path, sort_key, policy, created_at, created_by,
  modified_at, modified_by, shown_at, removed_at)
VALUES (1, 'a', 1, 1, 'api', 'pay/api', '', '', 1, '', 1, '', 1, NULL),
  (2, 'w', 1, 1, 'web', 'pay/web', '', '', 1, '', 1, '', NULL, NULL),
  (3, 'x', 1, 2, 'x', 'old/x', '', '', 1, '', 1, '', 1, NULL);
INSERT INTO manifests (id, image_id, digest, generation, media_type, artifact_type, config_media_type, content_size,
  pushed_at, pushed_by, removed_at, body)
VALUES (1, 1, x'0101', '', '', '', '', 0, 1, '', NULL, x'00'), (2, 1, x'0102', '', '', '', '', 0, 1, '', 9, x'00'),
  (3, 3, x'0101', '', '', '', '', 0, 1, '', NULL, x'00');
INSERT INTO tags (image_id, name, manifest_id, seq, pushed_at, pushed_by)
VALUES (1, 'a', 1, 1, 1, ''), (1, 'b', 1, 1, 1, ''), (3, 'a', 3, 1, 1, '');
INSERT INTO blobs (id, digest, generation, driver, form, size, sealed_at, sums)
VALUES (1, x'0111', '', 'local', 'plain', 10, 1, x''), (2, x'0112', '', 'local', 'plain', 20, 1, x''),
  (3, x'0113', '', 's3', 'e1', 40, 1, x'');
INSERT INTO links (image_id, blob_id, since, removed_at) VALUES (1, 1, 1, NULL), (1, 2, 1, NULL), (1, 3, 1, 7),
  (3, 2, 1, NULL);
"""


_ACCEPTED = """
INSERT INTO vex_documents (id, public_id, document, version, author, issued_at, sha256, registry_id, repository_id,
  image_id, imported_at, imported_by)
VALUES (1, 'all', 'd', 1, '', 1, '', NULL, NULL, NULL, 1, ''), (2, 'image', 'd', 1, '', 1, '', 1, 1, 1, 1, ''),
  (3, 'image gone', 'd', 1, '', 1, '', 1, 1, 9, 1, ''), (4, 'registry gone', 'd', 1, '', 1, '', 9, NULL, NULL, 1, '');
INSERT INTO accepted_findings (public_id, vulnerability, package, registry_id, repository_id, image_id, reason,
  created_at, created_by, document_id)
VALUES ('all', 'V', '', NULL, NULL, NULL, '', 1, '', 1), ('registry', 'V', '', 1, NULL, NULL, '', 1, '', NULL),
  ('repository', 'V', '', 1, 1, NULL, '', 1, '', NULL), ('image', 'V', '', 1, 1, 1, '', 1, '', 2),
  ('image gone', 'V', '', 1, 1, 9, '', 1, '', 3), ('repository gone', 'V', '', 1, 9, NULL, '', 1, '', NULL),
  ('registry gone', 'V', '', 9, NULL, NULL, '', 1, '', 4);
"""


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
