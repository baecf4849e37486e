"""From a pushed image to what is known of it: through the child, the database of scans and the pull limit."""

import asyncio
import gzip
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from appliance.db import jobs
from appliance.domain.image_policy import ScanState
from appliance.domain.layer import FileEntry
from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import Advisory, Ecosystem, Inventory, Severity
from appliance.errors import StorageFull
from appliance.scan.feeds import trivy
from appliance.scan.match import Matched
from appliance.services import rematch
from appliance.services.scan_child import Failed, ScanChild
from appliance.services.scan_protocol import Begin
from tests import make
from tests.make.images import OCI_LAYER, OCI_MANIFEST, Blob, Manifest, encode
from tests.make.layers import Entry
from tests.scan import test_hostile as hostile
from tests.scan.expected import FIXTURES, RECON_IMAGES, Row, dense_database, dense_rows, row
from tests.services.conftest import House
from tests.services.scanned import SETUP, MemoryData, ScanHouse, image_of

pytestmark = pytest.mark.anyio
AMAZON_CARETS = 38  # the one deviation, see tests/scan/test_match.py

APK = b"P:musl\nV:1.2.4-r0\nA:x86_64\no:musl\nL:MIT\n\nP:zlib\nV:1.3-r0\nA:x86_64\no:zlib\n\n"
RELEASE = b'ID=alpine\nVERSION_ID=3.20.1\nNAME="Alpine Linux"\n'
TOKEN = b"export GITHUB=ghp_" + b"Ab1" * 12 + b"\n"
BASE = {"etc/os-release": RELEASE, "lib/apk/db/installed": APK, "etc/motd": b"hello\n"}
IMAGE = make.image([BASE, {"app/.env": TOKEN}])
FLAW = Advisory("alpine 3.20", "zlib", "CVE-2026-1", "alpine", fixed="1.3-r1", severity=Severity.CRITICAL)


@pytest.fixture
async def scans(house: House, executor: ThreadPoolExecutor) -> AsyncIterator[ScanHouse]:
    opened = ScanHouse(house, executor)
    yield opened
    opened.file.close()


def from_layers(*layers: bytes, claimed: Sequence[str] = ()) -> Manifest:
    """Return an image of these very bytes."""
    config = Blob(encode({"rootfs": {"type": "layers", "diff_ids": [*claimed]}}))
    blobs = [Blob(layer) for layer in layers]
    content = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [blob.descriptor(OCI_LAYER) for blob in blobs],
    }
    return Manifest(OCI_MANIFEST, encode(content), (config, *blobs))


async def test_a_push_asks_for_a_scan_which_tells_packages_secrets_and_findings(house: House, scans: ScanHouse) -> None:
    scans.data = MemoryData([FLAW])
    await house.push("pay/api", IMAGE, "1")
    waiting = scans.summary("pay/api", IMAGE)

    done = await scans.scan(IMAGE)

    scan, summary = await scans.found(IMAGE), scans.summary("pay/api", IMAGE)
    assert scans.jobs() == [IMAGE.digest]
    assert waiting is not None
    assert waiting.state is ScanState.QUEUED
    assert (done.state, done.layers, done.read) == ("complete", 2, 2)
    assert [package.name for package in scan.inventory.packages] == ["musl", "zlib"]
    assert [secret.found_in for secret in scan.inventory.secrets] == ["app/.env"]
    assert "Ab1Ab1" not in scan.inventory.secrets[0].match
    assert [(one.id, one.fixed, one.package.name) for one in scan.verdict.findings] == [
        ("CVE-2026-1", "1.3-r1", "zlib")
    ]
    assert summary is not None
    assert summary.state is ScanState.COMPLETE
    assert summary.summary is not None
    assert summary.summary.count(Severity.CRITICAL) == 1


async def test_without_data_packages_and_secrets_are_told_and_it_counts_as_never_scanned(
    house: House, scans: ScanHouse
) -> None:
    await house.push("pay/api", IMAGE, "1")

    done = await scans.scan(IMAGE)

    summary = scans.summary("pay/api", IMAGE)
    assert (done.state, done.packages, done.secrets) == ("no data", 2, 1)
    assert (await scans.found(IMAGE)).data is None
    assert summary is not None
    assert (summary.state, summary.summary) == (ScanState.NO_DATA, None)


async def test_a_base_that_lies_under_two_images_is_read_once(house: House, scans: ScanHouse) -> None:
    other = make.image([BASE, {"app/main": b"x"}])
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/web", other, "1")
    await scans.scan(IMAGE)

    done = await scans.scan(other)

    assert (done.layers, done.read) == (2, 1)


async def test_a_second_scan_reads_nothing_and_tells_what_new_data_have_changed(house: House, scans: ScanHouse) -> None:
    gone = msgspec.structs.replace(FLAW, id="CVE-2026-2")
    await house.push("pay/api", IMAGE, "1")
    scans.data = MemoryData([gone])
    await scans.scan(IMAGE)
    scans.data = MemoryData([FLAW], "sha256:newer")
    house.now += 1000

    done = await scans.scan(IMAGE)

    scan = await scans.found(IMAGE)
    assert done.read == 0
    assert scan.read_at < scan.matched_at
    assert [flaw.id for flaw in scan.verdict.changes.new] == ["CVE-2026-1"]
    assert [flaw.id for flaw in scan.verdict.changes.gone] == ["CVE-2026-2"]


async def test_what_was_new_stays_so_while_nothing_else_has_changed(house: House, scans: ScanHouse) -> None:
    await house.push("pay/api", IMAGE, "1")
    scans.data = MemoryData([])
    await scans.scan(IMAGE)
    scans.data = MemoryData([FLAW], "sha256:newer")
    await scans.scan(IMAGE)

    await scans.scan(IMAGE)

    assert [flaw.id for flaw in (await scans.found(IMAGE)).verdict.changes.new] == ["CVE-2026-1"]


async def test_other_options_make_what_was_read_stale(house: House, scans: ScanHouse) -> None:
    await house.push("pay/api", IMAGE, "1")
    await scans.scan(IMAGE)
    scans.options = msgspec.structs.replace(scans.options, setup=msgspec.structs.replace(SETUP, rules="off"))

    done = await scans.scan(IMAGE)

    assert (done.read, done.secrets) == (2, 0)


async def test_a_config_that_lies_about_a_layer_is_told_and_never_believed(house: House, scans: ScanHouse) -> None:
    lying = from_layers(gzip.compress(make.tar(BASE)), claimed=["sha256:" + "0" * 64])
    await house.push("pay/api", lying, "1")

    done = await scans.scan(lying)

    assert done.state == "partial"
    assert "diff_id mismatch" in (await scans.found(lying)).inventory.limits[0]


async def test_a_layer_that_is_not_here_makes_the_scan_partial(house: House, scans: ScanHouse) -> None:
    house.set_rules(sparse_images=True)
    await house.put("pay/api", IMAGE, "1")

    done = await scans.scan(IMAGE)

    assert done.state == "partial"
    assert "its bytes are not here" in (await scans.found(IMAGE)).inventory.limits[0]


async def test_what_is_deleted_meanwhile_is_no_failure(scans: ScanHouse) -> None:
    assert (await scans.scan(IMAGE)).state == "gone"


async def test_a_failure_is_told_to_the_pull_limit_and_does_not_unsay_a_complete_scan(
    house: House, scans: ScanHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.push("pay/api", IMAGE, "1")

    async def fail(*_: object) -> None:
        raise StorageFull("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(scans.file, "write", fail)
        with pytest.raises(StorageFull):
            await scans.scan(IMAGE)
        first = scans.summary("pay/api", IMAGE)
    scans.data = MemoryData([FLAW])
    await scans.scan(IMAGE)
    with monkeypatch.context() as patch:
        patch.setattr(scans.file, "write", fail)
        with pytest.raises(StorageFull):
            await scans.scan(IMAGE)

    second = scans.summary("pay/api", IMAGE)
    assert first is not None
    assert first.state is ScanState.FAILED
    assert second is not None
    assert second.state is ScanState.COMPLETE


async def test_a_hard_link_to_a_file_that_had_passed_unread_is_followed(house: House, scans: ScanHouse) -> None:
    layer: dict[str, bytes | Entry] = {
        "etc/os-release": RELEASE,
        "some/file": APK,
        "lib/apk/db/installed": Entry(kind=b"1", target="some/file"),
    }
    image = make.image([layer])
    await house.push("pay/api", image, "1")

    done = await scans.scan(image)

    assert (done.packages, done.state) == (2, "no data")


async def test_packages_that_an_upper_layer_removed_are_gone_and_their_secrets_are_not(
    house: House, scans: ScanHouse
) -> None:
    image = make.image([{**BASE, "app/.env": TOKEN}, {"lib/apk/db/.wh.installed": b"", "app/.wh..wh..opq": b""}])
    await house.push("pay/api", image, "1")

    done = await scans.scan(image)

    assert (done.packages, done.secrets) == (0, 1)


@pytest.mark.parametrize("blocks", [hostile.a_gzip_bomb, hostile.json_without_end, hostile.nested_bombs])
async def test_a_layer_made_to_harm_is_told_as_partial(
    house: House, scans: ScanHouse, blocks: Callable[[], hostile.Blocks]
) -> None:
    image = from_layers(b"".join(blocks()), gzip.compress(make.tar(BASE)))
    await house.push("pay/api", image, "1")

    done = await scans.scan(image)

    assert (done.state, done.packages >= 2) == ("partial", True)
    assert (await scans.found(image)).inventory.limits


async def test_too_little_time_and_memory_are_told_and_nothing_half_read_is_kept(
    house: House, scans: ScanHouse
) -> None:
    greedy = from_layers(b"".join(hostile.text_that_pleases_every_pattern()))
    await house.push("pay/api", greedy, "1")
    scans.options = msgspec.structs.replace(scans.options, setup=msgspec.structs.replace(SETUP, cpu_s=1))

    await scans.scan(greedy)
    hurried = (await scans.found(greedy)).inventory.limits
    scans.options = msgspec.structs.replace(scans.options, setup=SETUP, timeout_s=0.001)
    await scans.scan(greedy)
    late = (await scans.found(greedy)).inventory.limits

    assert any("1 s of processor time" in sentence for sentence in hurried)
    assert any("took longer than" in sentence for sentence in late)
    assert await scans.file.read(lambda reader: reader.rows("SELECT * FROM layers")) == []
    assert await scans.file.read(lambda reader: reader.rows("SELECT * FROM files")) == []


async def pieces(*data: bytes) -> AsyncIterator[memoryview]:
    for piece in data:
        yield memoryview(piece)


async def nobody(_: list[FileEntry]) -> None:
    raise AssertionError("nothing was to be kept")


async def test_a_child_that_is_killed_is_a_sentence_and_the_next_one_begins_anew() -> None:
    async with ScanChild(SETUP, 300) as child:

        async def slowly() -> AsyncIterator[memoryview]:
            yield memoryview(make.tar(BASE))
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            await asyncio.sleep(0)

        with pytest.raises(Failed, match="SIGKILL"):
            await child.read(slowly(), Begin(), nobody)

        kept: list[FileEntry] = []

        async def keep(entries: list[FileEntry]) -> None:
            kept.extend(entries)

        contents = await child.read(pieces(make.tar(BASE)), Begin(), keep)

    assert contents.limits == ()
    assert sorted(entry.path for entry in kept) == sorted(BASE)


async def test_the_child_has_nothing_to_reach_out_with() -> None:
    async with ScanChild(SETUP, 300) as child:
        await child.read(pieces(make.tar({"etc": b""})), Begin(), _ignore)
        assert child.pid is not None
        limits = _limits(child.pid)
        names = set(os.listdir(f"/proc/{child.pid}/fd"))  # noqa: PTH208 - names are all it takes
        environment = await asyncio.to_thread(Path(f"/proc/{child.pid}/environ").read_bytes)
        policy = os.sched_getscheduler(child.pid)

    assert names <= {"0", "1", "2"}
    assert limits["Max open files"] == "3"
    assert limits["Max file size"] == "0"
    assert int(limits["Max address space"]) < 3 << 30
    assert policy == os.SCHED_IDLE
    assert {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry} <= {
        b"PYTHONPATH",
        b"SCR_CARRIED",
        b"LANG",
        b"LC_ALL",
        b"LC_CTYPE",
        b"MALLOC_MMAP_THRESHOLD_",
        b"MALLOC_TRIM_THRESHOLD_",
    }


async def _ignore(_: list[FileEntry]) -> None:
    return


def _limits(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return {line[:26].strip(): line[26:].split()[0] for line in lines[1:]}


@pytest.fixture(scope="module")
def dense() -> MemoryData:
    return MemoryData(trivy.read(dense_database()))


@pytest.mark.parametrize("name", [*RECON_IMAGES, "lang-image"])
async def test_the_findings_of_a_pushed_image_are_those_of_another_scanner(
    name: str, dense: MemoryData, house: House, scans: ScanHouse
) -> None:
    folder = "lang" if name == "lang-image" else "recon/oci"
    image = image_of(FIXTURES / f"{folder}/{name}.tar.gz")
    await house.push("fixtures/image", image, "1")
    scans.data = dense

    done = await scans.scan(image)

    scan = await scans.found(image)
    found: Counter[Row] = Counter(row(finding) for finding in scan.verdict.findings)
    expected = Counter(each[:6] for each in dense_rows(name).elements())
    assert expected - found == Counter()
    assert (found - expected).total() == (AMAZON_CARETS if name == "amazon-2" else 0)
    assert scan.inventory.limits == ()
    assert done.findings == sum(found.values())
    assert name != "lang-image" or any(one.ecosystem is Ecosystem.MAVEN for one in scan.inventory.packages)


class Overtaken(MemoryData):
    """Data that others take the place of while something is judged with them."""

    def __init__(self, scans: ScanHouse, newer: MemoryData | None) -> None:
        super().__init__([FLAW])
        self._scans, self._newer = scans, newer

    def judge(self, inventory: Inventory, now: Timestamp) -> tuple[Inventory, Matched]:
        self._scans.data = self._newer
        return super().judge(inventory, now)


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_scan_that_an_update_of_the_data_overtook_is_matched_again(
    house: House, scans: ScanHouse, *, is_known: bool
) -> None:
    """What the update asked for may have passed this manifest by, before its result was written."""
    await house.push("pay/api", IMAGE, "1")
    if is_known:
        await scans.scan(IMAGE)
    scans.data = Overtaken(scans, MemoryData([], "sha256:newer"))

    await scans.scan(IMAGE)

    assert jobs.find_alive(house.stock.db.reader, rematch.KIND, "") is not None


@pytest.mark.parametrize("newer", [None, MemoryData([])])
async def test_a_scan_with_the_data_of_now_asks_for_no_other(
    house: House, scans: ScanHouse, newer: MemoryData | None
) -> None:
    await house.push("pay/api", IMAGE, "1")
    scans.data = Overtaken(scans, newer)

    await scans.scan(IMAGE)

    assert jobs.find_alive(house.stock.db.reader, rematch.KIND, "") is None
