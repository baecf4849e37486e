"""Vulnerability data: imported in every form, stored, matched with, replaced whole, and never half there."""

import asyncio
import tarfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from appliance.blobstore.files import Files
from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.job import Cancelled
from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import Distribution, Ecosystem, Inventory, Package
from appliance.errors import AccessDenied, FeedInvalid, FeedUnknown, QueryInvalid, StorageFull, StoreFailed
from appliance.logs import Log
from appliance.services import feed_import, feed_orders
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.feed_import import Imported
from appliance.services.feed_orders import ImportOrder
from appliance.services.vulndb import CURRENT, DataSet, Vulndb
from tests.make.layout import write_layout
from tests.scan.expected import FIXTURES, RECON_IMAGES, Row, dense_database, dense_rows, row
from tests.scan.feeds import feed_files
from tests.scan.layouts import inventory
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
THEN = Timestamp(1_785_542_400_000)  # 2026-08-01, when the findings were written down
AMAZON_CARETS = 38  # the one deviation, see tests/scan/test_match.py
OPERATOR = Caller(Principal(PrincipalKind.OPERATOR, "root"), FULL_ACCESS, "")
ANN = Caller(Principal(PrincipalKind.USER, "ann"), FULL_ACCESS, "127.0.0.1")


async def do_import(house: House, path: Path, course: Course = UNFOLLOWED, **order: str) -> Imported:
    return await feed_orders.run_import(house.stock, ImportOrder(str(path), **order), "job1", course)


def write(path: Path, body: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def lying(house: House) -> set[str]:
    return {path.name for path in house.stock.vulndb.folder.iterdir()} - {CURRENT}


def held(house: House) -> DataSet:
    data = house.stock.vulndb.hold()
    assert data is not None
    return data


def files_of(house: House) -> set[str]:
    return {f"{source.digest}.sqlite" for source in house.stock.vulndb.sources}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with feeds as people carry them."""
    folder = tmp_path_factory.mktemp("shelf")
    write(folder / "db.tar.gz", feed_files.dense_archive())
    write(folder / "plain/trivy.db", dense_database())
    write(folder / "plain/metadata.json", feed_files.METADATA)
    write(folder / "PyPI.zip", feed_files.osv_zip("pypi"))
    write(folder / "Go.zip", feed_files.osv_zip("go"))
    write(folder / "grype.tar.zst", feed_files.grype_archive(folder))
    write(folder / "javadb.tar.gz", feed_files.java_archive())
    write_layout(folder / "layout", feed_files.dense_artifact(), "2")
    with tarfile.open(folder / "layout.tar", "w") as archive:
        archive.add(folder / "layout", arcname=".")
    return folder


@pytest.fixture
async def dense(house: House, shelf: Path) -> House:
    await do_import(house, shelf / "db.tar.gz")
    return house


async def test_without_data_there_is_nothing_to_match_with(house: House) -> None:
    assert house.stock.vulndb.version is None
    assert house.stock.vulndb.hold() is None
    assert house.stock.vulndb.namespaces() == []


@pytest.mark.parametrize("name", [*RECON_IMAGES, "lang-image"])
async def test_the_findings_through_the_stored_data_are_those_of_another_scanner(dense: House, name: str) -> None:
    folder = "lang" if name == "lang-image" else "recon/oci"

    _, matched = held(dense).judge(inventory(FIXTURES / f"{folder}/{name}.tar.gz"), THEN)

    found = Counter(row(finding) for finding in matched.findings)
    expected: Counter[Row] = Counter(each[:6] for each in dense_rows(name).elements())
    assert expected - found == Counter()
    assert (found - expected).total() == (AMAZON_CARETS if name == "amazon-2" else 0)


@pytest.mark.parametrize("name", ["db.tar.gz", "plain", "plain/trivy.db", "layout", "layout.tar"])
async def test_every_way_to_carry_a_database_gives_the_same_data(dense: House, shelf: Path, name: str) -> None:
    before = dense.stock.vulndb.sources[0].digest

    done = await do_import(dense, shelf / name, name="other")

    other = next(source for source in dense.stock.vulndb.sources if source.name == "other")
    assert done.built_at == "2026-08-01T00:00:00.000Z"
    assert (other.form, other.digest, other.advisories) == ("trivy", before, 5911)


async def test_an_artifact_of_this_registry_is_imported(house: House) -> None:
    await house.push("aquasec/trivy-db", feed_files.dense_artifact(), "2")
    order = ImportOrder(image="aquasec/trivy-db:2", registry="local")

    done = await feed_orders.run_import(house.stock, order, "job1", UNFOLLOWED)

    assert (done.name, done.is_new, done.advisories) == ("trivy", True, 5911)
    assert feed_files.dense_artifact().digest in house.stock.vulndb.sources[0].origin


async def test_archives_of_osv_are_sources_of_their_own(house: House, shelf: Path) -> None:
    await do_import(house, shelf / "PyPI.zip")
    await do_import(house, shelf / "Go.zip")

    assert [source.name for source in house.stock.vulndb.sources] == ["osv-go", "osv-pypi"]
    assert {"pypi", "golang"} <= set(house.stock.vulndb.namespaces())
    told = house.stock.vulndb.tell("CVE-2019-19844")
    assert told is not None
    assert told.description


async def test_a_grype_database_is_imported_with_its_date(house: House, shelf: Path) -> None:
    done = await do_import(house, shelf / "grype.tar.zst")

    assert (done.form, done.built_at) == ("grype", "2026-08-01T00:00:00.000Z")
    assert "redhat 8 *" in house.stock.vulndb.namespaces()


async def test_a_java_database_names_archives_and_is_no_data_of_its_own(house: House, shelf: Path) -> None:
    oro = Package(Ecosystem.MAVEN, "x", "", found_in="x.jar", sha1="5592374f834645c4ae250f4c9fbb314c9369d698")

    done = await do_import(house, shelf / "javadb.tar.gz")
    alone = house.stock.vulndb.hold()
    await do_import(house, shelf / "Go.zip")
    named, _ = held(house).judge(Inventory(None, (oro,)), THEN)

    assert (done.form, alone) == ("java", None)
    assert named.packages[0].name == "oro:oro"


async def test_the_same_file_is_not_read_again(dense: House, shelf: Path) -> None:
    version = dense.stock.vulndb.version

    done = await do_import(dense, shelf / "db.tar.gz")

    assert not done.is_new
    assert dense.stock.vulndb.version == version


async def test_data_survive_a_restart(dense: House) -> None:
    version = dense.stock.vulndb.version

    again = Vulndb(dense.stock.vulndb.folder, Files(), Log(out=dense.printed))

    assert again.version == version
    assert version is not None
    assert version.built_at == 1_785_542_400_000
    again.close()


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("trivy.db", dense_database()[:200_000], "broken"),
        ("db.tar.gz", feed_files.dense_archive()[:-50_000], "cannot be unpacked"),
        ("notes.txt", b"hello", "holds no"),
        ("empty", b"", "holds n"),
        ("all.zip", feed_files.osv_zip("go")[:5000], "cannot be read"),
        ("nothing.zip", feed_files.osv_zip(), "no advisory"),
        ("x.json", b'{"id": 1}', "is no OSV record"),
        ("vulnerability.db", b"SQLite format 3\0" + bytes(100), "cannot be read|neither"),
    ],
)
async def test_what_cannot_be_read_changes_nothing_and_says_why(
    dense: House, tmp_path: Path, name: str, body: bytes, message: str
) -> None:
    version = dense.stock.vulndb.version
    path = write(tmp_path / "carried" / name, body)

    with pytest.raises(FeedInvalid, match=message):
        await do_import(dense, path)

    assert dense.stock.vulndb.version == version
    assert lying(dense) == files_of(dense)


async def test_metadata_of_an_unknown_schema_are_refused(house: House, tmp_path: Path) -> None:
    write(tmp_path / "carried/trivy.db", dense_database())
    write(tmp_path / "carried/metadata.json", feed_files.METADATA.replace(b'"Version":2', b'"Version":3'))

    with pytest.raises(FeedInvalid, match="schema 3"):
        await do_import(house, tmp_path / "carried")


@pytest.mark.parametrize("where", ["order", "beside"])
async def test_a_check_sum_that_does_not_hold_is_refused(house: House, tmp_path: Path, where: str) -> None:
    path = write(tmp_path / "carried/db.tar.gz", feed_files.dense_archive())
    if where == "beside":
        write(path.with_name("db.tar.gz.sha256"), b"0" * 64 + b"  db.tar.gz\n")

    with pytest.raises(FeedInvalid, match="changed or cut on the way"):
        await do_import(house, path, sha256="0" * 64 if where == "order" else "")

    assert house.stock.vulndb.version is None


async def test_a_changed_byte_of_a_layout_is_refused(house: House, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", feed_files.dense_artifact(), "2")
    layer = max((layout / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    body = bytearray(layer.read_bytes())
    body[1000] ^= 1
    layer.write_bytes(body)

    with pytest.raises(FeedInvalid, match="changed on the way"):
        await do_import(house, layout)


async def test_who_holds_the_old_version_reads_it_to_its_end(dense: House, shelf: Path) -> None:
    image = inventory(FIXTURES / "recon/oci/alpine-310.tar.gz")
    before, (old,) = held(dense), files_of(dense)

    await do_import(dense, shelf / "PyPI.zip", name="trivy")
    _, matched = before.judge(image, THEN)

    assert matched.findings
    assert before.version != dense.stock.vulndb.version
    assert old not in lying(dense)
    assert lying(dense) == files_of(dense)
    before.close()


async def test_two_imports_at_once_both_count(house: House, shelf: Path) -> None:
    orders = [ImportOrder(str(shelf / name)) for name in ("db.tar.gz", "PyPI.zip", "Go.zip")]

    async with asyncio.TaskGroup() as group:
        for number, order in enumerate(orders):
            group.create_task(feed_orders.run_import(house.stock, order, f"job{number}", UNFOLLOWED))

    assert [source.name for source in house.stock.vulndb.sources] == ["osv-go", "osv-pypi", "trivy"]
    assert lying(house) == files_of(house)


async def test_matching_goes_on_while_data_are_replaced(dense: House, shelf: Path) -> None:
    image = inventory(FIXTURES / "recon/oci/alpine-310.tar.gz")
    alone = len(held(dense).judge(image, THEN)[1].findings)
    versions = set()

    async def match_on() -> None:
        for _ in range(40):
            data = held(dense)
            _, matched = await asyncio.to_thread(data.judge, image, THEN)
            versions.add(data.version)
            assert len(matched.findings) == alone

    async with asyncio.TaskGroup() as group:
        group.create_task(match_on())
        for name in ("PyPI.zip", "Go.zip"):
            await do_import(dense, shelf / name)

    assert len(versions) >= 1
    assert lying(dense) == files_of(dense)


async def test_an_import_that_is_called_off_leaves_nothing(dense: House, tmp_path: Path) -> None:
    class Impatient:
        def say(self, text: str) -> None:
            del text

        def progress(self, done: int, total: int) -> None:
            del done, total

        def check(self) -> None:
            raise Cancelled

        checkpoint = UNFOLLOWED.checkpoint
        keep_in = UNFOLLOWED.keep_in

    path = write(tmp_path / "carried/Go.zip", feed_files.osv_zip("go"))

    with pytest.raises(Cancelled):
        await do_import(dense, path, Impatient())

    assert lying(dense) == files_of(dense)


async def test_a_removed_source_counts_no_more_and_its_file_goes(dense: House, shelf: Path) -> None:
    await do_import(dense, shelf / "PyPI.zip")

    removed = await feed_orders.remove(dense.stock, OPERATOR, "trivy")

    assert removed.form == "trivy"
    assert [source.name for source in dense.stock.vulndb.sources] == ["osv-pypi"]
    assert lying(dense) == files_of(dense)
    with pytest.raises(FeedUnknown, match="scr vulndb list"):
        await feed_orders.remove(dense.stock, OPERATOR, "trivy")


async def test_the_version_tells_which_data_and_how_old_the_oldest_are(dense: House, shelf: Path) -> None:
    first = dense.stock.vulndb.version

    await do_import(dense, shelf / "PyPI.zip")

    second = dense.stock.vulndb.version
    assert first is not None
    assert second is not None
    assert first.digest != second.digest
    built = [source.built_at for source in dense.stock.vulndb.sources]
    assert second.built_at == min(one for one in built if one is not None)


@pytest.mark.parametrize("step", ["rename", "write_whole", "sync", "sync_folder"])
async def test_a_disk_that_fails_at_any_step_leaves_the_data_as_they_were(
    dense: House, shelf: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    version = dense.stock.vulndb.version

    def fail(*_: object) -> None:
        raise StoreFailed("the store failed")

    monkeypatch.setattr(dense.stock.uploads.files, step, fail)
    with pytest.raises(StoreFailed):
        await do_import(dense, shelf / "PyPI.zip")
    monkeypatch.undo()

    again = Vulndb(dense.stock.vulndb.folder, Files(), Log(out=dense.printed))
    assert again.version == dense.stock.vulndb.version == version
    assert lying(dense) == files_of(dense)
    again.close()


async def test_a_disk_without_room_is_said(house: House, shelf: Path) -> None:
    house.stock.uploads.min_free = 1 << 62

    with pytest.raises(StorageFull, match="no room"):
        await do_import(house, shelf / "PyPI.zip")

    assert lying(house) == set()


async def test_a_disk_that_fills_while_a_feed_is_read_is_said(
    house: House, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_import, "_room", lambda *_: 256 << 10)

    with pytest.raises(StoreFailed, match="disk"):
        await do_import(house, shelf / "db.tar.gz")

    assert lying(house) == set()


async def test_what_a_crash_left_is_removed_at_the_next_start(dense: House) -> None:
    folder = dense.stock.vulndb.folder
    write(folder / "job9.part/made.sqlite", b"half")
    write(folder / f"{'0' * 64}.sqlite", b"not named yet")

    again = Vulndb(folder, Files(), Log(out=dense.printed))

    assert lying(dense) == files_of(dense)
    again.close()


@pytest.mark.parametrize("damage", ["missing", "broken", "current"])
async def test_data_that_cannot_be_read_are_said_and_count_as_none(dense: House, damage: str) -> None:
    folder = dense.stock.vulndb.folder
    (name,) = files_of(dense)
    if damage == "missing":
        (folder / name).unlink()
    elif damage == "broken":
        (folder / name).write_bytes(b"x" * 10_000)
    else:
        (folder / CURRENT).write_bytes(b"{")

    again = Vulndb(folder, Files(), Log(out=dense.printed))

    assert again.version is None
    assert "vulndb.unreadable" in dense.printed.getvalue()
    again.close()


async def test_an_order_is_written_down_and_the_same_waits_once(house: House, shelf: Path) -> None:
    order = ImportOrder(str(shelf / "db.tar.gz"))

    first = await feed_orders.order_import(house.stock, OPERATOR, order, None)
    second = await feed_orders.order_import(house.stock, OPERATOR, order, None)

    assert first.id == second.id
    assert msgspec.json.decode(first.detail) == {"path": str(shelf / "db.tar.gz")}
    assert house.count("activity WHERE kind = 'vulndb.import_ordered'") == 2


@pytest.mark.parametrize(
    ("caller", "order", "error"),
    [
        (OPERATOR, ImportOrder(), QueryInvalid),
        (OPERATOR, ImportOrder("/a", image="b:1"), QueryInvalid),
        (OPERATOR, ImportOrder("relative"), QueryInvalid),
        (OPERATOR, ImportOrder("/a", sha256="x"), QueryInvalid),
        (OPERATOR, ImportOrder("/a", name="../x"), FeedInvalid),
        (ANN, ImportOrder("/a"), AccessDenied),
        (OPERATOR, ImportOrder(image="b:1"), AccessDenied),
    ],
)
async def test_orders_that_may_not_be_are_refused(
    house: House, caller: Caller, order: ImportOrder, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await feed_orders.order_import(house.stock, caller, order, None)


async def test_a_distribution_without_data_is_named(dense: House) -> None:
    image = Inventory(Distribution("fedora", "35"), (Package(Ecosystem.RPM, "bash", "1-1"),))

    assert "fedora 35" in held(dense).judge(image, THEN)[1].uncovered[0]
