"""What the Java database makes of archives that do not name themselves."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator

import msgspec
import pytest
from msgspec.structs import replace

from appliance.domain.vulnerability import Ecosystem, Inventory, Package
from appliance.errors import FeedInvalid
from appliance.scan.feeds import java_db
from appliance.scan.feeds.java_db import JavaArchive
from tests.scan.expected import FIXTURES

_SELECT = """
SELECT a.group_id, a.artifact_id, i.version, lower(hex(i.sha1))
FROM indices i JOIN artifacts a ON a.id = i.artifact_id
"""

ORO = Package(Ecosystem.MAVEN, "oro", "2.0.8", found_in="lib/oro.jar", sha1="5592374f834645c4ae250f4c9fbb314c9369d698")


class Database:
    """The database of the fixtures."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def by_sha1(self, sums: Collection[str]) -> Iterable[JavaArchive]:
        for one in sums:
            yield from self._select("WHERE i.sha1 = ?", bytes.fromhex(one))

    def by_artifact(self, artifacts: Collection[str]) -> Iterable[JavaArchive]:
        for one in artifacts:
            yield from self._select("WHERE a.artifact_id = ? AND i.archive_type = 'jar'", one)

    def _select(self, condition: str, value: str | bytes) -> Iterator[JavaArchive]:
        return (JavaArchive(*row) for row in self._connection.execute(_SELECT + condition, (value,)))


class _Listed:
    """A few archives."""

    def __init__(self, *archives: JavaArchive) -> None:
        self._archives = archives

    def by_sha1(self, sums: Collection[str]) -> Iterable[JavaArchive]:
        return [archive for archive in self._archives if archive.sha1 in sums]

    def by_artifact(self, artifacts: Collection[str]) -> Iterable[JavaArchive]:
        return [archive for archive in self._archives if archive.artifact in artifacts]


@pytest.fixture
def database() -> Iterator[Database]:
    connection = sqlite3.connect(f"file:{FIXTURES / 'java-db/trivy-java.db'}?mode=ro", uri=True)
    yield Database(connection)
    connection.close()


def _resolve(lookup: java_db.JavaLookup, *packages: Package) -> tuple[Package, ...]:
    return java_db.resolve(Inventory(None, packages), lookup).packages


def test_an_archive_is_known_by_its_sum_whatever_it_is_called(database: Database) -> None:
    renamed = replace(ORO, name="something", version="")

    [package] = _resolve(database, renamed)

    assert (package.name, package.version, package.found_in) == ("oro:oro", "2.0.8", "lib/oro.jar")
    assert package.purl == "pkg:maven/oro/oro@2.0.8"


def test_a_changed_archive_gets_the_group_that_publishes_its_name_and_version(database: Database) -> None:
    [package] = _resolve(database, replace(ORO, sha1="0" * 40))

    assert package.name == "oro:oro"


def test_of_several_groups_the_one_that_published_most_is_taken_and_the_first_of_equals() -> None:
    lookup = _Listed(
        JavaArchive("jstl", "jstl", "1.2", "a"),
        JavaArchive("javax.servlet", "jstl", "1.2", "b"),
        JavaArchive("org.copy", "jstl", "1.2", "c"),
        JavaArchive("org.copy", "jstl", "1.2", "d"),
        JavaArchive("b.group", "lib", "1", "e"),
        JavaArchive("a.group", "lib", "1", "f"),
    )
    jstl = Package(Ecosystem.MAVEN, "jstl", "1.2", sha1="0" * 40)

    found = _resolve(lookup, jstl, replace(jstl, name="lib", version="1"))

    assert [package.name for package in found] == ["org.copy:jstl", "a.group:lib"]


@pytest.mark.parametrize(
    "package",
    [
        Package(Ecosystem.MAVEN, "unknown", "1.0", sha1="0" * 40),
        Package(Ecosystem.MAVEN, "oro", "9.9", sha1="0" * 40),
        Package(Ecosystem.MAVEN, "guessed.group:oro", "2.0.8", sha1="0" * 40),
        Package(Ecosystem.MAVEN, "own.group:oro", "2.0.8"),
        Package(Ecosystem.NPM, "oro", "2.0.8"),
    ],
)
def test_what_is_not_known_better_stays_as_it_is(database: Database, package: Package) -> None:
    assert _resolve(database, package) == (package,)


def test_the_metadata_of_schema_1_are_read_and_no_others() -> None:
    metadata = java_db.read_metadata((FIXTURES / "java-db/metadata.json").read_bytes())

    assert metadata.version == 1
    with pytest.raises(FeedInvalid, match="schema 2; this program reads schema 1"):
        java_db.read_metadata(msgspec.json.encode({"Version": 2, "UpdatedAt": metadata.updated_at}))
    with pytest.raises(FeedInvalid, match="cannot be read"):
        java_db.read_metadata(b"\xff")
