"""What a commit has changed is known by image: what is remembered of manifests rests on it."""

import apsw
import pytest

from appliance.db import changes, manifests
from appliance.db.changes import Changes
from appliance.db.database import Database, Transaction

pytestmark = pytest.mark.anyio
ROWS = """
INSERT INTO registries (id, public_id, name, visibility, created_at, created_by, modified_at, modified_by, ready_at)
  VALUES (1, 'g', 'local', 'private', 0, 't', 0, 't', 0);
INSERT INTO repositories (id, public_id, registry_id, name, sort_key, policy, by_push, created_at, created_by,
  modified_at, modified_by) VALUES (1, 'r', 1, 'pay', 'pay', '{}', 1, 0, 't', 0, 't');
INSERT INTO images (id, public_id, registry_id, repository_id, name, path, sort_key, policy, created_at, created_by,
  modified_at, modified_by, shown_at)
  VALUES (1, 'i1', 1, 1, 'a', 'pay/a', 'a', '{}', 0, 't', 0, 't', 0),
         (2, 'i2', 1, 1, 'b', 'pay/b', 'b', '{}', 0, 't', 0, 't', 0);
INSERT INTO manifests (id, image_id, digest, generation, media_type, artifact_type, config_media_type, content_size,
  pushed_at, pushed_by, body)
  VALUES (1, 1, x'0101', '00000000', 'm', '', '', 0, 0, 't', x'7b7d'),
         (2, 1, x'0102', '00000000', 'm', '', '', 0, 0, 't', x'7b7d'),
         (3, 2, x'0101', '00000000', 'm', '', '', 0, 0, 't', x'7b7d');
INSERT INTO tags (image_id, name, manifest_id, seq, pushed_at, pushed_by, sort_key)
  VALUES (1, 'x', 1, 1, 0, 't', 'x'), (2, 'x', 3, 2, 0, 't', 'x');
"""


@pytest.fixture
async def filled(database: Database) -> Database:
    def fill(tx: Transaction) -> None:
        for statement in ROWS.split(";")[:-1]:
            tx.execute(statement)

    await database.write(fill)
    return database


async def changed(database: Database, *statements: str) -> set[int] | None:
    """Return of which images the commit of `statements` has changed something."""
    mark = database.changes.mark

    def run(tx: Transaction) -> None:
        for statement in statements:
            tx.execute(statement)

    await database.write(run)
    return told(database.changes, mark)


def told(found: Changes, mark: int) -> set[int] | None:
    """Return of which images something changed behind `mark`; None for any."""
    images = found.since(mark)[1]
    return None if images is None else {int(image) for image in images}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tags SET manifest_id = 2, seq = 9 WHERE image_id = 1",
        "DELETE FROM tags WHERE image_id = 1",
        "UPDATE manifests SET removed_at = 5 WHERE id = 1",
        "DELETE FROM manifests WHERE id = 2",
        "UPDATE images SET removed_at = 5 WHERE id = 1",
        "UPDATE images SET limited = 1 WHERE id = 1",
    ],
)
async def test_a_change_of_what_a_reference_names_is_told_of_its_image_alone(filled: Database, statement: str) -> None:
    assert await changed(filled, statement) == {1}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE manifests SET pulls = pulls + 1, last_pulled_at = 7",
        "UPDATE images SET pulls = pulls + 1, last_pulled_at = 7, pushed_at = 7",
        "UPDATE images SET limited = 0, description = 'x'",
        "UPDATE tags SET locked = 1",
        "UPDATE manifests SET generation = '00000001'",
        "INSERT INTO tags VALUES (1, 'y', 1, 3, 0, 't', 0, 'y')",
    ],
)
async def test_what_no_reference_is_answered_by_is_not_told(filled: Database, statement: str) -> None:
    assert await changed(filled, statement) == set()


async def test_collection_of_what_was_removed_before_is_not_told(filled: Database) -> None:
    removal = await changed(filled, "UPDATE images SET removed_at = 5 WHERE id = 2")

    purge = await changed(
        filled,
        "DELETE FROM tags WHERE image_id = 2",
        "DELETE FROM manifests WHERE image_id = 2",
        "DELETE FROM images WHERE id = 2",
    )

    assert (removal, purge) == ({2}, set())


@pytest.mark.parametrize("statement", ["UPDATE repositories SET removed_at = 5", "DELETE FROM repositories"])
async def test_a_repository_that_goes_may_change_any_image(filled: Database, statement: str) -> None:
    await changed(filled, "DELETE FROM tags", "DELETE FROM manifests", "DELETE FROM images")

    assert await changed(filled, statement) is None


async def test_the_changes_of_several_commits_add_up(filled: Database) -> None:
    mark = filled.changes.mark

    await changed(filled, "DELETE FROM tags WHERE image_id = 1")
    await changed(filled, "UPDATE images SET pulls = 1")
    await changed(filled, "DELETE FROM tags WHERE image_id = 2")

    assert told(filled.changes, mark) == {1, 2}
    assert told(filled.changes, filled.changes.mark) == set()


def test_who_is_too_far_behind_hears_that_any_image_may_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEPT", 2)
    found = Changes()
    for number in range(3):
        found.tell(number + 1)
        found.publish()

    assert told(found, 0) is None
    assert told(found, 1) == {2, 3}


def test_nothing_is_told_before_it_is_committed() -> None:
    found = Changes()
    connection = apsw.Connection(":memory:")
    connection.execute(
        "CREATE TABLE images (id, removed_at, limited); CREATE TABLE repositories (removed_at);"
        "CREATE TABLE tags (image_id, manifest_id); CREATE TABLE manifests (image_id, removed_at);"
        "INSERT INTO images VALUES (4, NULL, 0)"
    )
    found.watch(connection)

    connection.execute("UPDATE images SET removed_at = 1")
    before = told(found, 0)
    found.publish()

    assert before == set()
    assert told(found, 0) == {4}


def test_every_column_that_a_look_up_reads_is_watched_or_never_changes(
    database: Database,
) -> None:
    """A column that is new here needs a trigger in changes.py, unless nothing ever changes it."""
    read: set[str] = set()

    def note(action: int, table: str | None, column: str | None, *_: object) -> int:
        if action == apsw.SQLITE_READ:
            read.add(f"{table}.{column}")
        return apsw.SQLITE_OK

    connection = apsw.Connection(str(database.path))
    connection.authorizer = note
    for sql in (manifests._BY_TAG, manifests._BY_DIGEST):  # noqa: SLF001 - what find() runs
        connection.execute(f"EXPLAIN {sql}", (1, "pay/a", "x"))
    connection.close()

    fixed = {
        *(f"manifests.{name}" for name in ("id", "image_id", "digest", "media_type", "body")),
        *(f"images.{name}" for name in ("id", "registry_id", "repository_id", "path")),
        *(f"tags.{name}" for name in ("image_id", "name")),
        "repositories.id",
    }
    watched = {"tags.manifest_id", "manifests.removed_at", "images.removed_at", "images.limited"}
    assert read - fixed == watched | {"repositories.removed_at"}
