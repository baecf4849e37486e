"""What documents of others say of vulnerabilities: accepted, taken back, replaced, and told to the pull limit."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from appliance.db import activity, repositories, vex_documents
from appliance.domain.access import LOCAL
from appliance.domain.admission import FULL_ACCESS, Caller
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest, RepositoryName
from appliance.domain.registry import RegistryId
from appliance.domain.vulnerability import Advisory, Severity
from appliance.errors import Conflict
from appliance.scan.exports import FORMS
from appliance.services import accepting, delete, scan_export, scan_view, vex_import
from appliance.services.accepting import Scope, Wish
from appliance.services.course import UNFOLLOWED
from appliance.services.scan_shown import View
from appliance.services.vex_import import Taken
from tests import make
from tests.scan.test_vex import document, statement
from tests.services.conftest import House
from tests.services.scanned import MemoryData, ScanHouse
from tests.services.test_scanning import APK, RELEASE

pytestmark = pytest.mark.anyio
FILES = {"etc/os-release": RELEASE, "lib/apk/db/installed": APK}
IMAGE = make.image([FILES], platform="linux/amd64")
OTHER = make.image([{**FILES, "n": b"1"}], platform="linux/arm64")
INDEX = make.index([IMAGE, OTHER])
FLAW = "CVE-2026-1"
ADVISORIES = [
    Advisory("alpine 3.20", name, f"CVE-2026-{number}", "alpine", fixed="2.0", severity=Severity.CRITICAL)
    for number, name in enumerate(("zlib", "musl"), 1)
]
ZLIB = "pkg:apk/alpine/zlib@1.3-r0?arch=x86_64&distro=alpine-3.20.1"
CALLER = Caller(LOCAL, FULL_ACCESS, "127.0.0.1")
EVERYWHERE = Scope()
HERE = Scope(RegistryId(1))


class Vex:
    """A house with images that have two flaws each, and documents about them."""

    def __init__(self, house: House, scans: ScanHouse) -> None:
        self.house = house
        self.scans = scans

    async def take(self, *said: object, scope: Scope = HERE, **changed: object) -> Taken:
        text = document(*said, **changed).decode()
        taken = await vex_import.take(self.house.stock, CALLER, scope, text, Timestamp(self.house.now))
        await self.tell()
        return taken

    async def tell(self) -> None:
        """Do the jobs that tell the pull limit."""
        reader = self.house.stock.db.reader
        waiting = [row[0] for row in reader.rows("SELECT subject FROM jobs WHERE subject LIKE 'accepted:%'")]
        for subject in waiting:
            await accepting.tell(self.house.stock, self.scans.file, subject, UNFOLLOWED)
        await self.house.stock.db.write(lambda tx: tx.execute("DELETE FROM jobs WHERE subject LIKE 'accepted:%'", ()))
        self.told = waiting

    async def view(self, manifest: make.Manifest = IMAGE, name: str = "pay/api") -> View:
        found = await scan_view.find_view(
            self.house.stock, self.scans.scanner, self.house.image_id(name), Digest(manifest.digest)
        )
        assert found is not None
        return found

    async def reasons(self, manifest: make.Manifest = IMAGE, name: str = "pay/api") -> dict[str, str]:
        """Return why findings do not count, by their ids; the pull limit has to count the others."""
        view = await self.view(manifest, name)
        summary = self.scans.summary(name, manifest)
        assert summary is not None
        assert summary.summary is not None
        accepted = {one.finding.id: one.acceptance.reason for one in view.findings if one.acceptance}
        assert summary.summary.count(Severity.CRITICAL) == len(view.findings) - len(accepted)
        return accepted

    def kinds(self) -> list[str]:
        return [
            one.kind for one in activity.list_page(self.house.stock.db.reader, activity.Wanted(), 0, 100, onward=True)
        ]


@pytest.fixture
async def vex(house: House, executor: ThreadPoolExecutor) -> AsyncIterator[Vex]:
    scans = ScanHouse(house, executor)
    scans.data = MemoryData(ADVISORIES)
    await house.push("pay/api", INDEX, "1")
    await house.push("pay/web", IMAGE, "1")
    for one in (IMAGE, OTHER):
        await scans.scan(one)
    yield Vex(house, scans)
    scans.file.close()


def of(*products: str, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a statement about the products."""
    return statement(products=[{"@id": one} for one in products], **changed)


def image_url(manifest: make.Manifest, **more: str) -> str:
    qualifiers = "&".join(f"{key}={value}" for key, value in more.items())
    return f"pkg:oci/api@{manifest.digest}?{qualifiers}"


async def test_what_is_not_affected_or_fixed_does_not_count_and_names_its_document(vex: Vex) -> None:
    fixed = of("pkg:apk/alpine/musl", status="fixed", vulnerability={"name": "cve-2026-2"})

    taken = await vex.take(of(ZLIB), fixed)

    assert (taken.is_new, taken.accepted, taken.counting, taken.untaken) == (True, 2, 0, ())
    assert await vex.reasons() == {FLAW: "vulnerable code not present", "CVE-2026-2": "fixed"}
    acceptance = (await vex.view()).findings[0].acceptance
    assert acceptance is not None
    assert acceptance.origin is not None
    assert (acceptance.origin.document, acceptance.origin.author) == ("https://example.com/vex/1", "Somebody")
    assert vex.kinds()[-1] == "vex.imported"


@pytest.mark.parametrize(
    ("product", "accepted"),
    [
        (ZLIB, [True, True, True]),
        ("pkg:apk/alpine/zlib@1.2", [False, False, False]),
        ("pkg:apk/alpine/zlib?arch=aarch64", [False, False, False]),
        ("pkg:apk/alpine/musl", [False, False, False]),
        (image_url(IMAGE), [True, False, True]),
        (image_url(IMAGE, arch="arm64"), [True, False, True]),
        (image_url(INDEX), [True, True, False]),
        (image_url(INDEX, arch="amd64"), [False, False, False]),
        ("pkg:oci/api", [True, True, False]),
        ("pkg:oci/web?repository_url=example.com/pay/web", [False, False, True]),
        ("pkg:oci/i", [False, False, False]),
        ("pkg:oci/api?repository_url=example.com/other/pay/api", [False, False, False]),
    ],
)
async def test_a_statement_counts_for_its_products_only(vex: Vex, product: str, accepted: list[bool]) -> None:
    await vex.take(of(product))

    found = [await vex.reasons(IMAGE), await vex.reasons(OTHER), await vex.reasons(IMAGE, "pay/web")]
    assert [FLAW in one for one in found] == accepted


async def test_a_package_of_one_image_is_not_the_same_of_another(vex: Vex) -> None:
    parts = [{"@id": image_url(IMAGE), "subcomponents": [{"@id": ZLIB}]}]

    await vex.take(statement(products=parts), statement(products=parts, vulnerability={"name": "CVE-2026-2"}))

    assert list(await vex.reasons()) == [FLAW]
    assert await vex.reasons(OTHER) == {}


async def test_a_document_counts_where_it_was_imported_only(vex: Vex) -> None:
    image = vex.house.image_id("pay/web")
    repository = repositories.find(vex.house.stock.db.reader, RegistryId(1), RepositoryName("pay"))

    await vex.take(of(ZLIB), scope=Scope(RegistryId(1), repository, image))

    assert await vex.reasons() == {}
    assert list(await vex.reasons(IMAGE, "pay/web")) == [FLAW]


async def test_the_same_document_again_changes_nothing(vex: Vex) -> None:
    await vex.take(of(ZLIB))
    before = vex.house.count("accepted_findings"), vex.kinds()
    acceptance = next(one.acceptance for one in (await vex.view()).findings if one.acceptance)
    await accepting.reopen(vex.house.stock, CALLER, acceptance, Timestamp(vex.house.now))

    again = await vex.take(of(ZLIB))
    elsewhere = await vex.take(of(ZLIB), scope=EVERYWHERE)

    assert (again.is_new, elsewhere.is_new) == (False, True)
    assert vex.house.count("accepted_findings") == before[0]
    assert vex.kinds() == [*before[1], "finding.reopened", "vex.imported"]


async def test_a_newer_version_takes_the_place_of_the_older(vex: Vex) -> None:
    both = [of(ZLIB), of("pkg:apk/alpine/musl", vulnerability={"name": "CVE-2026-2"})]
    await vex.take(*both)

    await vex.take(both[1], of(ZLIB, status="affected"), version=2)

    assert list(await vex.reasons()) == ["CVE-2026-2"]
    assert vex.house.count("vex_documents") == 1
    with pytest.raises(Conflict, match=r"version 2 of https://example\.com/vex/1 is here already"):
        await vex.take(*both)
    with pytest.raises(Conflict, match="another text"):
        await vex.take(of(ZLIB), version=2)
    assert list(await vex.reasons()) == ["CVE-2026-2"]


@pytest.mark.parametrize("status", ["affected", "under_investigation"])
async def test_what_is_said_later_counts_whichever_document_says_it(vex: Vex, status: str) -> None:
    later: dict[str, Any] = {"@id": "https://example.com/vex/2", "timestamp": "2026-08-02T10:00:00Z"}

    taken = await vex.take(of(ZLIB, status=status), **later)
    await vex.take(of(ZLIB))
    first = await vex.reasons()
    await vex.take(of(ZLIB), version=2, timestamp="2026-08-03T10:00:00Z")

    assert (taken.accepted, taken.counting) == (0, 1)
    assert first == {}
    assert list(await vex.reasons()) == [FLAW]


async def test_of_a_contradiction_what_counts_is_kept(vex: Vex) -> None:
    await vex.take(of("pkg:apk/alpine/zlib"), of(image_url(IMAGE), status="affected"))

    assert await vex.reasons() == {}
    assert list(await vex.reasons(OTHER)) == [FLAW]


async def test_no_document_takes_back_what_a_person_accepted(vex: Vex) -> None:
    wish = Wish(FLAW, "", "I looked at it", None)
    await accepting.accept(vex.house.stock, CALLER, HERE, wish, Timestamp(vex.house.now))

    await vex.take(of(ZLIB, status="affected"))

    assert await vex.reasons() == {FLAW: "I looked at it"}


async def test_a_document_is_withdrawn(vex: Vex) -> None:
    taken = await vex.take(of(ZLIB))

    await vex_import.withdraw(vex.house.stock, CALLER, taken.document, Timestamp(vex.house.now))
    await vex.tell()

    assert await vex.reasons() == {}
    assert (vex.house.count("accepted_findings"), vex.house.count("vex_documents")) == (0, 0)
    assert vex.kinds()[-1] == "vex.withdrawn"
    assert vex_documents.find(vex.house.stock.db.reader, taken.document.public_id) is None


async def accept(vex: Vex, scope: Scope) -> None:
    wish = Wish(FLAW, "", "not reachable", None)
    await accepting.accept(vex.house.stock, CALLER, scope, wish, Timestamp(vex.house.now))


def where(vex: Vex, table: str) -> list[str]:
    """Return the widest places that rows of `table` are of."""
    place = "iif(image_id IS NOT NULL, 'image', iif(repository_id IS NOT NULL, 'repository', 'registry'))"
    rows = vex.house.stock.db.reader.rows(f"SELECT {place} FROM {table}")  # noqa: S608 - the test's own text
    return sorted(row[0] for row in rows)


async def test_what_was_accepted_in_a_place_goes_with_it_for_good(vex: Vex) -> None:
    house = vex.house
    pay = repositories.find(house.stock.db.reader, RegistryId(1), RepositoryName("pay"))
    assert pay is not None
    image = Scope(HERE.registry, pay, house.image_id("pay/api"))
    for scope in (HERE, Scope(HERE.registry, pay), image):
        await accept(vex, scope)
        await vex.take(of(ZLIB), scope=scope)

    await delete.delete_image(house.stock, house.grant("pay/api"), Timestamp(house.now), purge=True)
    await house.collect(after=1)
    after_image = where(vex, "accepted_findings"), where(vex, "vex_documents")
    await delete.delete_repository(house.stock, house.grant("pay/x"), RepositoryName("pay"), Timestamp(house.now))
    for _ in range(2):
        await house.collect(after=2 * DAY)

    assert house.count("repositories") == 0
    assert after_image == (["registry"] * 2 + ["repository"] * 2, ["registry", "repository"])
    assert (where(vex, "accepted_findings"), where(vex, "vex_documents")) == (["registry"] * 2, ["registry"])


async def test_a_document_of_many_vulnerabilities_is_told_by_one_job(vex: Vex) -> None:
    said = [of(ZLIB, vulnerability={"name": f"CVE-2026-{number}"}) for number in range(1, 500)]

    await vex.take(*said)

    assert vex.told == ["accepted:*"]
    assert list(await vex.reasons()) == [FLAW]


async def test_what_this_registry_writes_it_reads_back(vex: Vex) -> None:
    wish = Wish(FLAW, "", "not reachable", None)
    made = await accepting.accept(vex.house.stock, CALLER, HERE, wish, Timestamp(vex.house.now))
    await vex.tell()
    written = FORMS["openvex"].write(scan_export.tell(await vex.view(), "registry.example.com/pay/api"))
    await accepting.reopen(vex.house.stock, CALLER, made, Timestamp(vex.house.now))
    await vex.tell()
    assert await vex.reasons() == {}

    taken = await vex_import.take(vex.house.stock, CALLER, EVERYWHERE, written.decode(), Timestamp(vex.house.now))
    await vex.tell()

    assert (taken.accepted, taken.counting) == (1, 1)
    assert await vex.reasons() == {FLAW: "not reachable"}
    assert await vex.reasons(OTHER) == {}
    assert msgspec.json.decode(written)["@id"] == taken.document.document
