"""Whatever the bytes of a feed are, reading them makes a file or a sentence, and nothing else."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.services.feed_reading import MADE, FeedOrder, Made, read_feed
from tests.scan.bolt_file import write as write_bolt
from tests.scan.expected import FIXTURES
from tests.scan.feeds import feed_files
from tests.scan.outcome import outcome

EXAMPLES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
BOLT = write_bolt(
    {
        b"alpine 3.10": {b"musl": {b"CVE-1": b'{"FixedVersion":"1.2-r0"}'}},
        b"vulnerability": {b"CVE-1": b'{"Title":"t","Severity":"HIGH"}'},
    }
)
METADATA = st.sampled_from(["", feed_files.METADATA.decode(), "{", '{"Version": 2}', '{"Version": 1, "UpdatedAt": 1}'])


def read(folder: Path, body: bytes, metadata: str = "") -> Made | str:
    """What becomes of a feed of these bytes."""
    for left in (folder / MADE, folder / "unpacked"):
        left.unlink(missing_ok=True)
    path = folder / "feed"
    path.write_bytes(body)
    with path.open("rb") as source:
        return outcome(lambda: read_feed(source, FeedOrder("feed", str(folder), metadata)))


def spoiled(body: bytes, place: int, noise: bytes) -> bytes:
    """The same bytes with `noise` in them somewhere."""
    place %= max(1, len(body))
    return body[:place] + noise + body[place + len(noise) :]


@pytest.fixture(scope="module")
def grype(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("grype")
    feed_files.grype_archive(folder)
    return (folder / "vulnerability.db").read_bytes()


def test_sound_feeds_are_read(tmp_path: Path, grype: bytes) -> None:
    made = [read(tmp_path, body) for body in (BOLT, grype, feed_files.osv_zip("go"), feed_files.java_archive())]

    assert [one.form for one in made if isinstance(one, Made)] == ["trivy", "grype", "osv", "java"]


@EXAMPLES
@given(st.binary(max_size=2000), METADATA)
def test_any_bytes_are_a_sentence(tmp_path: Path, body: bytes, metadata: str) -> None:
    assert isinstance(read(tmp_path, body, metadata), str)


@EXAMPLES
@given(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=30), METADATA)
def test_a_spoiled_bbolt_file_is_read_or_a_sentence(tmp_path: Path, place: int, noise: bytes, metadata: str) -> None:
    assert isinstance(read(tmp_path, spoiled(BOLT, place, noise), metadata), Made | str)


@EXAMPLES
@given(st.integers(0, 1 << 22), st.binary(min_size=1, max_size=200))
def test_a_spoiled_grype_database_is_read_or_a_sentence(tmp_path: Path, grype: bytes, place: int, noise: bytes) -> None:
    assert isinstance(read(tmp_path, spoiled(grype, place, noise)), Made | str)


@EXAMPLES
@given(st.integers(0, 1 << 22), st.binary(min_size=1, max_size=200))
def test_a_spoiled_java_database_is_read_or_a_sentence(tmp_path: Path, place: int, noise: bytes) -> None:
    body = (FIXTURES / "java-db/trivy-java.db").read_bytes()

    assert isinstance(read(tmp_path, spoiled(body, place, noise)), Made | str)


@EXAMPLES
@given(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=30))
def test_a_spoiled_archive_is_read_or_a_sentence(tmp_path: Path, place: int, noise: bytes) -> None:
    archive = gzip.compress(feed_files.tar_of({"metadata.json": feed_files.METADATA, "trivy.db": BOLT}), 1, mtime=0)
    zipped = feed_files.osv_zip("go")[:100_000]

    assert isinstance(read(tmp_path, spoiled(archive, place, noise)), Made | str)
    assert isinstance(read(tmp_path, spoiled(zipped, place, noise)), Made | str)


def test_an_archive_that_lies_about_its_sizes_fills_no_disk(tmp_path: Path) -> None:
    huge = io.BytesIO()
    with gzip.GzipFile(fileobj=huge, mode="wb", compresslevel=9, mtime=0) as packed:
        packed.write(feed_files.tar_of({"trivy.db": b""})[:512].replace(b"00000000000", b"77777777777", 1))
        for _ in range(200):
            packed.write(bytes(1 << 20))

    told = read(tmp_path, huge.getvalue())

    assert isinstance(told, str)
    assert not (tmp_path / MADE).exists()
