"""Moves between stores and forms: whatever happens meanwhile, every image stays whole."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from appliance.blobstore.cipher import E1
from appliance.blobstore.files import Files
from appliance.blobstore.forms import PLAIN, Forms
from appliance.blobstore.keyring import Keyring
from appliance.blobstore.local import LocalStore
from appliance.blobstore.patience import Budget
from appliance.blobstore.s3 import S3Store
from appliance.blobstore.stores import Stores
from appliance.db import blobs
from appliance.db.database import Transaction
from appliance.domain.moment import DAY, Timestamp
from appliance.errors import BlobBroken, StoreDown
from appliance.services.move import Moved, MoveOrder, move
from appliance.services.multiparts import Multiparts
from appliance.services.vault import Vault
from tests import make
from tests.make.object_store import ObjectStore
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
MASTER = bytes(32)
IMAGE = make.image([{"etc/motd": b"hello"}, {"usr/lib/big": bytes(range(256)) * 9000}])
OTHER = make.image([{"etc/motd": b"other"}])
ORDER = MoveOrder()
T = TypeVar("T")


class Halting:
    """A course that is called off after some steps, and knows what was kept."""

    def __init__(self, steps: int = 1_000_000) -> None:
        self.left = steps
        self.kept: Moved | None = None
        self.said: list[str] = []
        self.far = (0, 0)

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, done: int, total: int) -> None:
        self.far = (done, total)

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise InterruptedError

    def checkpoint(self, shape: type[T]) -> T | None:
        return self.kept if isinstance(self.kept, shape) else None

    def keep_in(self, tx: Transaction, checkpoint: object) -> None:
        del tx
        assert isinstance(checkpoint, Moved)
        self.kept = checkpoint


class Depot:
    """A house whose things can be moved between a folder and a bucket, plain or encrypted."""

    def __init__(self, house: House, local: LocalStore, bucket: S3Store, forms: Forms) -> None:
        self.house = house
        self.bucket = bucket
        self.forms = forms
        self.local = local
        house.stock.uploads.forms = forms

    def aim(self, driver: str, form: str) -> None:
        """Let new things go to `driver` in `form`, as another scr.toml would."""
        self.forms.new = form
        order = (self.bucket, self.local) if driver == "s3" else (self.local, self.bucket)
        self.house.stock.store = Stores(*order)

    def places(self) -> set[tuple[str, str]]:
        return set(blobs.list_places(self.house.stock.db.reader))

    async def lying(self) -> set[tuple[str, str, str]]:
        """Return the kinds of all that lies in the stores: what, where, in which form."""
        store = self.house.stock.store
        found = {("blob", one.driver, one.form) for one in store.walk_blobs()}
        return found | {("manifest", one.driver, one.form) for one in store.walk_manifests()}

    async def assert_settled(self, driver: str, form: str) -> None:
        """Collect, then look that everything lies in one place, and is whole."""
        await self.house.collect(after=2 * DAY)
        assert await self.lying() == {("blob", driver, form), ("manifest", driver, form)}
        await self.house.assert_whole("pay/api", IMAGE)
        await self.house.assert_whole("pay/web", OTHER)


@pytest.fixture
async def depot(
    house: House, object_store: ObjectStore, executor: ThreadPoolExecutor, tmp_path: Path
) -> AsyncIterator[Depot]:
    forms = Forms(Keyring.make(MASTER, Timestamp(0)))
    journal = Multiparts(house.stock.db, house.stock.clock)
    bucket = S3Store(object_store.bucket(f"{tmp_path.name}/"), forms, executor, Budget(64 << 20), journal)
    made = Depot(house, LocalStore(house.folder, Files(), executor, forms), bucket, forms)
    made.aim("local", PLAIN)
    await house.push("pay/api", IMAGE, "1")
    await house.push("pay/web", OTHER, "1")
    yield made
    bucket.close()


@pytest.mark.parametrize(
    "journey",
    [[("local", E1)], [("s3", PLAIN)], [("s3", E1), ("local", PLAIN)], [("local", E1), ("s3", E1), ("local", E1)]],
    ids=lambda journey: " ".join(f"{driver}-{form}" for driver, form in journey),
)
async def test_everything_arrives_and_nothing_is_left_behind(depot: Depot, journey: list[tuple[str, str]]) -> None:
    for driver, form in journey:
        depot.aim(driver, form)
        await depot.house.assert_whole("pay/api", IMAGE)

        done = await move(depot.house.stock, ORDER)

        assert (done.blobs, done.manifests, done.left) == (5, 2, 0)
        assert depot.places() == {(driver, form)}
        await depot.house.assert_whole("pay/api", IMAGE)
    await depot.assert_settled(*journey[-1])


async def test_a_second_move_finds_nothing_to_do(depot: Depot) -> None:
    depot.aim("s3", E1)
    await move(depot.house.stock, ORDER)

    assert await move(depot.house.stock, ORDER) == Moved()


async def test_an_interrupted_move_goes_on_with_the_rest(depot: Depot) -> None:
    depot.aim("s3", E1)
    course = Halting(3)
    with pytest.raises(InterruptedError):
        await move(depot.house.stock, ORDER, course)
    assert depot.places() == {("local", PLAIN), ("s3", E1)}
    assert course.kept is not None
    assert course.kept.blobs == 3
    await depot.house.assert_whole("pay/api", IMAGE)
    course.left = 1_000_000

    done = await move(depot.house.stock, ORDER, course)

    assert (done.blobs, done.manifests, course.far) == (5, 2, (2, 2))
    await depot.assert_settled("s3", E1)


async def test_a_target_that_fails_ends_the_move_and_loses_nothing(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot.aim("s3", E1)

    async def refuse(*_: object) -> None:
        raise StoreDown("down")

    with monkeypatch.context() as patch:
        patch.setattr(depot.bucket, "store_file", refuse)
        with pytest.raises(StoreDown):
            await move(depot.house.stock, ORDER)

    assert depot.places() == {("local", PLAIN)}
    assert not any("uploads" in name for name in depot.house.lying())
    await move(depot.house.stock, ORDER)
    await depot.assert_settled("s3", E1)


async def test_what_is_broken_stays_and_is_told(depot: Depot) -> None:
    blob = IMAGE.blobs[-1]
    path = next((depot.house.folder / "blobs").rglob(f"{blob.digest[7:]}.*"))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(bytes(content))
    depot.aim("s3", E1)
    course = Halting()

    done = await move(depot.house.stock, ORDER, course)

    assert (done.blobs, done.left) == (4, 1)
    assert blob.digest in course.said[0]
    with pytest.raises(BlobBroken):
        await depot.house.read_blob("pay/api", blob)
    await depot.house.push_blob("pay/api", blob)  # which heals it
    await depot.house.assert_whole("pay/api", IMAGE)


async def test_what_stays_is_told_once_however_often_the_move_is_interrupted(depot: Depot) -> None:
    """A blob that is put aside is met no more, the copy of a manifest each time."""
    for kind, digest in (("blobs", IMAGE.blobs[-1].digest), ("manifests", IMAGE.digest)):
        path = next((depot.house.folder / kind).rglob(f"{digest[7:]}.*"))
        path.write_bytes(b"x" * path.stat().st_size)
    depot.aim("s3", PLAIN)
    course, halts, done = Halting(), 0, Moved()
    for steps in range(1, 20):
        course.left = steps
        try:
            done = await move(depot.house.stock, ORDER, course)
            break
        except InterruptedError:
            halts += 1

    assert halts > 2
    assert (done.blobs, done.manifests, done.left) == (4, 1, 2)


async def test_what_is_deleted_meanwhile_leaves_nothing_in_the_target(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot.aim("s3", PLAIN)
    seal = depot.bucket.seal

    async def race(staged: Path, blob: object) -> None:
        await seal(staged, blob)  # type: ignore[arg-type]  # handed through
        await depot.house.stock.db.write(lambda tx: tx.execute("UPDATE blobs SET generation = 'ffffffff' WHERE id = 1"))

    with monkeypatch.context() as patch:
        patch.setattr(depot.bucket, "seal", race)
        await move(depot.house.stock, ORDER)

    assert all(one.generation != "ffffffff" for one in depot.bucket.walk_blobs())
    assert len(list(depot.bucket.walk_blobs())) == 4


async def test_blobs_under_an_older_data_key_are_encrypted_anew_when_asked(depot: Depot, tmp_path: Path) -> None:
    depot.aim("local", E1)
    stock = depot.house.stock
    (tmp_path / "keys").mkdir()
    vault = Vault(tmp_path / "keys", Files(), depot.forms, None, MASTER, stock.clock, stock.log)
    await vault.open()
    await move(stock, ORDER)
    old = vault.keys.active
    new = (await vault.add_key()).active

    assert await move(stock, ORDER) == Moved()
    done = await move(stock, MoveOrder(renew_keys=True))

    assert (done.blobs, old != new) == (5, True)
    headers = {row[0][8:12].hex() for row in stock.db.reader.rows("SELECT sums FROM blobs")}
    assert headers == {new}
    await depot.house.assert_whole("pay/api", IMAGE)
