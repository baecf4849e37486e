"""Layers are kept by the digest of their blob: seen whole or not at all, files found by folder and name."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from appliance.db import layers, migrate
from appliance.db.layers import LayerId
from appliance.db.side_file import SideFile
from appliance.domain.layer import FileEntry, FileKind, LayerContents, Reading
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.vulnerability import Ecosystem, Package
from appliance.logs import Log

pytestmark = pytest.mark.anyio
BLOB = Digest("sha256:" + "ab" * 32)
DIFF = Digest("sha256:" + "cd" * 32)
NOON = Timestamp(1_785_542_400_000)
READING = Reading("lib/apk/db/installed", "apk", 1, packages=(Package(Ecosystem.APK, "musl", "1.2"),))
FILES = (
    FileEntry("etc", FileKind.FOLDER, 0, 0o755),
    FileEntry("etc/motd", FileKind.FILE, 5, 0o644, b"h" * 32, is_searched=True),
    FileEntry("usr/lib/deep/a.so", FileKind.FILE, 9, 0o755, b"a" * 32),
    FileEntry("usr/lib/b.so", FileKind.SYMLINK, 0, 0o777, target="deep/a.so"),
    FileEntry("init", FileKind.HARD_LINK, 9, 0o755, b"a" * 32, "usr/lib/deep/a.so"),
)
CONTENTS = LayerContents(DIFF, 4096, FILES, ("old",), ("var",), (READING,), limits=("the layer is odd",))


@pytest.fixture
def file(tmp_path: Path, executor: ThreadPoolExecutor) -> Iterator[SideFile]:
    opened = SideFile(tmp_path / "scan.sqlite", executor, Log(out=io.StringIO()), migrate.SCANS)
    yield opened
    opened.close()


async def keep(file: SideFile, reader: str = "1", files: tuple[FileEntry, ...] = FILES) -> LayerId:
    layer = await file.write(lambda tx: layers.begin(tx, BLOB, reader, NOON))
    await file.write(lambda tx: layers.add_files(tx, layer, files[:2]))
    await file.write(lambda tx: layers.add_files(tx, layer, files[2:]))
    await file.write(lambda tx: layers.finish(tx, layer, CONTENTS))
    return layer


async def test_a_layer_that_is_not_whole_is_not_seen_and_a_crash_leaves_nothing(file: SideFile) -> None:
    layer = await file.write(lambda tx: layers.begin(tx, BLOB, "1", NOON))
    await file.write(lambda tx: layers.add_files(tx, layer, FILES))

    assert await file.read(lambda reader: layers.find(reader, BLOB)) is None

    assert await file.write(layers.drop_unfinished) == 1
    assert await file.read(lambda reader: reader.rows("SELECT * FROM files")) == []


async def test_all_that_was_read_comes_back(file: SideFile) -> None:
    layer = await keep(file)

    found = await file.read(lambda reader: layers.find(reader, BLOB))
    walked = await file.read(lambda reader: list(layers.walk(reader, layer)))

    assert found is not None
    assert (found.id, found.reader, found.files, found.read_at) == (layer, "1", 5, NOON)
    assert found.contents.readings == (READING,)
    assert (found.contents.whiteouts, found.contents.opaque) == (("old",), ("var",))
    assert found.contents.limits == ("the layer is odd",)
    assert sorted(walked, key=lambda entry: entry.path) == sorted(FILES, key=lambda entry: entry.path)


async def test_a_tree_can_be_walked_down_though_folders_are_missing_in_the_layer(file: SideFile) -> None:
    layer = await keep(file)

    found = {
        folder: [
            (entry.path, entry.mode)
            for entry in await file.read(partial(layers.list_folder, layer=layer, folder=folder))
        ]
        for folder in ("", "usr", "usr/lib", "etc", "nowhere")
    }

    assert found == {
        "": [("etc", 0o755), ("init", 0o755), ("usr", layers.IMPLIED)],
        "usr": [("usr/lib", layers.IMPLIED)],
        "usr/lib": [("usr/lib/b.so", 0o777), ("usr/lib/deep", layers.IMPLIED)],
        "etc": [("etc/motd", 0o644)],
        "nowhere": [],
    }


async def test_only_the_paths_that_are_asked_for_are_found(file: SideFile) -> None:
    layer = await keep(file)

    found = await file.read(lambda reader: layers.list_among(reader, layer, {"etc", "init", "usr", "etc/passwd"}))

    assert sorted(entry.path for entry in found) == ["etc", "init"]


async def test_of_several_layers_each_gives_what_it_has_of_the_paths(file: SideFile) -> None:
    lower = await keep(file)
    other = Digest("sha256:" + "c" * 64)
    upper = await file.write(lambda tx: layers.begin(tx, other, "1", Timestamp(1)))
    await file.write(lambda tx: layers.add_files(tx, upper, [FileEntry("init", FileKind.FIFO, 0, 0o600)]))

    found = await file.read(lambda reader: layers.list_among_all(reader, {lower, upper}, {"etc", "init", "no/init"}))

    assert sorted(entry.path for entry in found[lower]) == ["etc", "init"]
    assert [(entry.path, entry.kind) for entry in found[upper]] == [("init", FileKind.FIFO)]


async def test_a_name_with_a_zero_byte_or_no_text_is_kept_and_readable(file: SideFile) -> None:
    layer = await file.write(lambda tx: layers.begin(tx, BLOB, "1", Timestamp(1)))
    odd = [FileEntry("a\0b/c\0", FileKind.FIFO, 0, 0o600), FileEntry("d\udc80", FileKind.FIFO, 0, 0o600)]

    await file.write(lambda tx: layers.add_files(tx, layer, odd))

    found = await file.read(lambda reader: list(layers.walk(reader, layer)))
    assert sorted(entry.path for entry in found) == ["a\\x00b/c\\x00", "d\\udc80"]


async def test_a_new_reading_takes_the_place_of_the_old_one(file: SideFile) -> None:
    await keep(file)

    newer = await keep(file, "2", FILES[:2])

    found = await file.read(lambda reader: layers.find(reader, BLOB))
    assert found is not None
    assert (found.id, found.reader, found.files) == (newer, "2", 2)
    assert await file.read(lambda reader: reader.rows("SELECT DISTINCT layer_id FROM files")) == [(newer,)]


async def test_a_layer_of_no_scan_is_forgotten(file: SideFile) -> None:
    await keep(file)

    assert await file.write(lambda tx: layers.drop_unused(tx, 10)) == 1

    assert await file.read(lambda reader: layers.find(reader, BLOB)) is None


async def test_names_that_are_no_text_are_kept_readably(file: SideFile) -> None:
    name = b"caf\xe9".decode(errors="surrogateescape")
    layer = await keep(file, files=(*FILES[:2], FileEntry(name, FileKind.FILE, 1, 0o644, b"x" * 32)))

    found = await file.read(lambda reader: [entry.path for entry in layers.walk(reader, layer)])

    assert "caf\\udce9" in found
