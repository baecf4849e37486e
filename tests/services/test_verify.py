"""Verify: what is wrong is told, what is safe is mended, and nothing is told of a registry that is well."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from appliance.cli.main import main
from appliance.db import blobs, manifests
from appliance.db.database import Reader, Transaction
from appliance.domain.moment import HOUR, Timestamp
from appliance.domain.names import Digest
from appliance.services import verify
from tests.make import images
from tests.make.client import Client
from tests.make.server import Server
from tests.services.conftest import House

IMAGE = images.image([{"etc/motd": b"hello"}, {"big": bytes(3 << 20)}])
LAYER = IMAGE.blobs[-1]
BLOB = images.Blob(b"on its way")
T = TypeVar("T")


class Report(msgspec.Struct):
    """What `scr verify --json` prints."""

    code: int
    kinds: list[str]
    repaired: int
    blobs: int


class Folder:
    """A data folder with one image, which nobody serves now."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.server = Server(path, '[storage]\ngrace = "0s"\nrecycle = "0s"\n')
        self._capsys = capsys
        with self.server, self.server.client() as client:
            client.push("pay/api", IMAGE, "1")

    def blob(self, digest: str) -> Path:
        """Return the file of a blob."""
        return self._file("blobs", digest)

    def copy(self, digest: str) -> Path:
        """Return the copy of a manifest."""
        return self._file("manifests", digest)

    def _file(self, kind: str, digest: str) -> Path:
        algorithm, _, text = digest.partition(":")
        (found,) = (self.server.data / kind / algorithm / text[:2]).glob(f"{text}.*")
        return found

    def verify(self, *options: str, online: bool = False) -> Report:
        """Run `scr verify`."""
        code, found = self._run(*options, online=online)
        return Report(code, [one["kind"] for one in found["listed"]], found["repaired"], found["blobs"])

    def subjects(self) -> list[str]:
        """Return what `scr verify` finds something wrong with."""
        return [one["subject"] for one in self._run(online=False)[1]["listed"]]

    def _run(self, *options: str, online: bool) -> tuple[int, dict[str, Any]]:
        self._capsys.readouterr()
        where = ["--config", str(self.server.config), "--data-dir", str(self.server.data)]
        code = main(["verify", "--json", *where, *([] if online else ["--offline"]), *options])
        return code, json.loads(self._capsys.readouterr().out)


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.setenv("SCR_DEBUG", "1")
    made = Folder(tmp_path, capsys)
    yield made
    made.server.kill()


def test_a_registry_that_is_well_has_no_fault(folder: Folder) -> None:
    for options in ((), ("--deep",), ("--deep", "--repair")):
        assert folder.verify(*options) == Report(0, [], 0, 3)


def test_it_may_run_while_the_registry_serves(folder: Folder) -> None:
    with folder.server:
        assert folder.verify("--deep", online=True) == Report(0, [], 0, 3)
        folder.blob(LAYER.digest).unlink()
        assert folder.verify(online=True) == Report(1, ["blob-missing"], 0, 3)


def damage_missing(folder: Folder) -> None:
    folder.blob(LAYER.digest).unlink()


def damage_short(folder: Folder) -> None:
    os.truncate(folder.blob(LAYER.digest), 100)


def damage_bit(folder: Folder) -> None:
    path = folder.blob(LAYER.digest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "shallow", "deep"),
    [
        (damage_missing, ["blob-missing"], ["blob-missing"]),
        (damage_short, ["blob-size"], ["blob-size"]),
        (damage_bit, [], ["blob-broken"]),
    ],
)
def test_a_broken_blob_is_told_quarantined_and_healed_by_the_next_push(
    folder: Folder, damage: object, shallow: list[str], deep: list[str]
) -> None:
    assert callable(damage)
    damage(folder)

    assert folder.verify().kinds == shallow
    assert folder.verify("--deep") == Report(1, deep, 0, 3)
    assert folder.verify("--deep", "--repair") == Report(1, deep, 0, 3)
    assert folder.verify().kinds == ["manifest-blob", "blob-quarantined"]
    with folder.server, folder.server.client() as client:
        client.head(f"/v2/pay/api/blobs/{LAYER.digest}").expect(404)
        client.push("pay/api", IMAGE, "1")
        client.assert_holds("pay/api", "1", IMAGE)
        assert folder.verify("--deep", online=True).kinds == []


@pytest.mark.parametrize(
    ("damage", "kind"), [(Path.unlink, "copy-missing"), (lambda path: path.write_bytes(b"{}"), "copy-broken")]
)
def test_a_copy_of_a_manifest_is_written_again_from_the_database(folder: Folder, damage: object, kind: str) -> None:
    path = folder.copy(IMAGE.digest)
    assert callable(damage)
    damage(path)

    assert folder.verify() == Report(1, [kind], 0, 3)
    assert folder.verify("--repair") == Report(0, [kind], 1, 3)
    assert path.read_bytes() == IMAGE.body
    assert folder.verify().kinds == []


def test_a_copy_of_the_same_size_with_other_bytes_is_found_by_the_deep_look(folder: Folder) -> None:
    path = folder.copy(IMAGE.digest)
    path.write_bytes(IMAGE.body[:-1] + b"!")

    assert folder.verify().kinds == []
    assert folder.verify("--deep").kinds == ["copy-broken"]


def test_files_that_nothing_owns_are_told_and_taken_away(folder: Folder) -> None:
    blob = folder.blob(LAYER.digest)
    copy = folder.copy(IMAGE.digest)
    strays = [path.with_name(f"{path.name.partition('.')[0]}.00000000") for path in (blob, copy)]
    for path, stray in zip((blob, copy), strays, strict=True):
        stray.write_bytes(path.read_bytes())

    assert folder.verify().kinds == ["blob-stray", "manifest-stray"]
    assert folder.verify("--repair").repaired == 2
    assert not any(stray.exists() for stray in strays)
    assert blob.exists()
    assert copy.exists()


def test_a_manifest_changed_in_the_database_is_told(folder: Folder) -> None:
    path = folder.server.data / "scr.sqlite"
    content = path.read_bytes()
    assert content.count(IMAGE.body) == 1
    path.write_bytes(content.replace(IMAGE.body, IMAGE.body[:-2] + b" }"))

    report = folder.verify()

    assert report.code == 1
    assert "manifest-broken" in report.kinds


def test_use_that_is_counted_wrongly_is_told_and_counted_anew(folder: Folder) -> None:
    with closing(sqlite3.connect(folder.server.data / "scr.sqlite")) as connection, connection:
        before = _kept(connection)
        connection.execute("UPDATE registry_usage SET blob_bytes = 7, sole_bytes = 9")
        connection.execute("UPDATE registry_blobs SET links = 5")

    assert folder.verify().kinds == ["usage"]
    assert folder.verify("--repair").repaired == 1
    assert folder.verify().code == 0

    with closing(sqlite3.connect(folder.server.data / "scr.sqlite")) as connection:
        assert _kept(connection) == before


@pytest.mark.parametrize(
    ("damage", "subject"),
    [
        ("UPDATE registry_usage SET blob_bytes = 7, sole_bytes = 9", "registry local"),
        ("UPDATE registry_usage SET repositories = 7", "registry local"),
        ("UPDATE registry_usage SET images = 7", "registry local"),
        ("DELETE FROM registry_usage", "registry local"),
        ("UPDATE images SET tags = 7", "image pay/api"),
        ("UPDATE images SET manifests = 7", "image pay/api"),
        ("UPDATE images SET bytes = 7", "image pay/api"),
    ],
)
def test_whose_use_is_counted_wrongly_is_told(folder: Folder, damage: str, subject: str) -> None:
    with closing(sqlite3.connect(folder.server.data / "scr.sqlite")) as connection, connection:
        connection.execute(damage)

    assert folder.subjects() == [subject]
    assert folder.verify("--repair").repaired == 1
    assert folder.verify().code == 0


def _kept(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    """Return all that triggers keep."""
    return [
        connection.execute(sql).fetchall()
        for sql in (
            "SELECT * FROM registry_usage",
            "SELECT * FROM registry_blobs ORDER BY 1, 2",
            "SELECT id, manifests, tags, bytes FROM images",
            "SELECT id, images FROM repositories",
        )
    ]


def test_a_torn_page_of_the_database_is_told(folder: Folder) -> None:
    path = folder.server.data / "scr.sqlite"
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(size // 2 // 8192 * 8192)
        file.write(bytes(8192))

    code = main(["verify", "--offline", "--config", str(folder.server.config), "--data-dir", str(folder.server.data)])

    assert code == 1


def test_offline_is_refused_while_somebody_serves(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    with folder.server:
        code = main(["verify", "--offline", "--data-dir", str(folder.server.data)])

    assert code == 1
    assert "stop it first" in capsys.readouterr().err


def test_a_folder_without_a_database_is_not_given_an_empty_one(
    folder: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = folder.server.data / "scr.sqlite"
    path.unlink()

    assert main(["verify", "--offline", "--data-dir", str(folder.server.data)]) == 1
    assert "scr rebuild" in capsys.readouterr().err
    assert not path.exists()
    assert main(["verify", "--offline", "--data-dir", str(tmp_path / "none")]) == 1
    assert "is no data folder" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_the_table_for_people_says_what_to_do(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.blob(LAYER.digest).unlink()
    capsys.readouterr()

    main(["verify", "--offline", "--config", str(folder.server.config), "--data-dir", str(folder.server.data)])

    told = capsys.readouterr()
    assert told.out.startswith(f"blob-missing  {LAYER.digest}  ")
    assert "scr verify --repair" in told.err


def test_verifying_beside_pushes_and_deletes_finds_nothing(folder: Folder) -> None:
    with folder.server, folder.server.client() as client:
        for number in range(20):
            push_and_forget(client, number)

            assert folder.verify(online=True).kinds == []


def push_and_forget(client: Client, number: int) -> None:
    image = images.image([{"n": str(number).encode()}])
    client.push("come/go", image, "1")
    client.delete(f"/v2/come/go/manifests/{image.digest}").expect(202)
    client.request("POST", "/api/v1/collections", b"{}", {"Content-Type": "application/json"}).expect(200)


@pytest.mark.anyio
async def test_a_file_whose_row_is_on_its_way_is_no_stray(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client has left, so nobody seals any more; the writer still has its row to write."""
    stored = await house.push_blob("pay/api", BLOB)
    image, now = house.image_id("pay/api"), Timestamp(house.now)
    house.set_rules(grace=0)
    house.now += HOUR
    await house.stock.db.write(lambda tx: tx.execute("DELETE FROM links"))
    await house.stock.db.write(lambda tx: tx.execute("DELETE FROM blobs"))
    read = house.stock.db.read

    def arrive(tx: Transaction) -> None:
        blobs.link(tx, image, blobs.claim(tx, stored, now).id, now, now)

    async def come_late(function: Callable[[Reader], T]) -> T:
        found = await read(function)
        if isinstance(function, partial) and function.func is blobs.is_owned:
            await house.stock.db.write(arrive)
        return found

    monkeypatch.setattr(house.stock.db, "read", come_late)
    await verify.verify(house.stock, repair=True)

    assert await house.read_blob("pay/api", BLOB) == BLOB.data


@pytest.mark.anyio
async def test_a_copy_that_is_moved_meanwhile_is_not_missed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.push("pay/api", IMAGE, "1")
    (copy,) = [path for path in house.lying() if path.startswith("manifests/")]
    read = house.stock.db.read

    async def move_it(function: Callable[[Reader], T]) -> T:
        found = await read(function)
        if isinstance(function, partial) and function.func is manifests.load:
            path = house.folder / copy
            generation = path.name.rpartition(".")[2]
            digest = Digest(IMAGE.digest)
            await house.stock.db.write(lambda tx: manifests.relocate(tx, digest, generation, "ffffffff"))
            path.replace(path.with_name(path.name.replace(generation, "ffffffff")))
        return found

    monkeypatch.setattr(house.stock.db, "read", move_it)

    assert (await verify.verify(house.stock, deep=True)).listed == ()
