"""A file of vulnerability data gives back what was put into it, and says so where it cannot."""

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.db.advisories import AdvisoryFile, AdvisoryWriter
from appliance.domain.vulnerability import Advisory, FeedRecord, Platform, PlatformKind, Vulnerability
from appliance.errors import FeedInvalid
from tests.scan.outcome import outcome

WORD = st.text(min_size=1, max_size=6)


def write(path: Path, *records: FeedRecord) -> AdvisoryFile:
    writer = AdvisoryWriter(path)
    for record in records:
        writer.add(record)
    writer.finish({"form": "trivy"})
    return AdvisoryFile(path)


def read_all(path: Path) -> list[Advisory]:
    with closing(AdvisoryFile(path)) as file:
        return list(file.advisories("npm", {f"n{number}" for number in range(200)}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made.sqlite"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.builds(Advisory, namespace=st.sampled_from(["npm", "debian 12"]), name=WORD, id=WORD), max_size=20))
def test_every_advisory_comes_back_as_it_was(tmp_path: Path, given_ones: list[Advisory]) -> None:
    (tmp_path / "made.sqlite").unlink(missing_ok=True)
    file = write(tmp_path / "made.sqlite", *given_ones)

    names = {one.name for one in given_ones}
    found = [one for namespace in ("npm", "debian 12") for one in file.advisories(namespace, names)]
    file.close()

    assert sorted(found, key=repr) == sorted(given_ones, key=repr)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.builds(Vulnerability, id=WORD), max_size=10))
def test_every_vulnerability_comes_back_with_its_texts(tmp_path: Path, told: list[Vulnerability]) -> None:
    (tmp_path / "made.sqlite").unlink(missing_ok=True)
    file = write(tmp_path / "made.sqlite", *told)

    found = list(file.whole_vulnerabilities({one.id for one in told}))
    file.close()

    assert sorted(found, key=repr) == sorted(told, key=repr)


def test_what_matching_asks_for_leaves_the_long_texts_away(path: Path) -> None:
    told = Vulnerability("CVE-1", "title", "long " * 100, references=("https://example.com/1",))
    file = write(path, told)

    (brief,) = file.vulnerabilities({"CVE-1", "CVE-2"})

    assert (brief.title, brief.description, brief.references) == ("title", "", ())
    file.close()


def test_many_advisories_of_one_package_share_rows(path: Path) -> None:
    given_ones = [Advisory("debian 12", "linux", f"CVE-{number}") for number in range(1200)]
    file = write(path, *given_ones)

    assert [one.id for one in file.advisories("debian 12", {"linux"})] == [one.id for one in given_ones]
    assert file.covers("debian 12")
    assert not file.covers("debian 13")
    file.close()


def test_the_platforms_of_red_hat_are_found_by_kind_and_key(path: Path) -> None:
    file = write(
        path, Platform(PlatformKind.REPOSITORY, "rhel-8", (1, 2)), Platform(PlatformKind.BUILD, "rhel-8", (3,))
    )

    assert list(file.platforms(PlatformKind.REPOSITORY, {"rhel-8", "rhel-9"})) == [
        Platform(PlatformKind.REPOSITORY, "rhel-8", (1, 2))
    ]
    file.close()


def test_two_files_of_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    records = [Advisory("npm", f"n{number}", f"CVE-{number}") for number in range(50)]

    for name in ("one", "other"):
        write(tmp_path / name, *records).close()

    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"x" * 5000])
def test_what_is_no_such_file_is_refused_with_a_sentence(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(FeedInvalid, match="import them again"):
        AdvisoryFile(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(100, 40_000), st.binary(min_size=1, max_size=40))
def test_a_broken_file_is_said_and_nothing_else_happens(tmp_path: Path, place: int, noise: bytes) -> None:
    path = tmp_path / "made.sqlite"
    path.unlink(missing_ok=True)
    write(path, *[Advisory("npm", f"n{number}", f"CVE-{number}", feed="x" * 300) for number in range(200)]).close()
    body = bytearray(path.read_bytes())
    place = min(place, len(body) - len(noise))
    body[place : place + len(noise)] = noise
    path.write_bytes(body)

    told = outcome(lambda: read_all(path))

    assert len(told) <= 200 if isinstance(told, list) else told.endswith("import them again")
