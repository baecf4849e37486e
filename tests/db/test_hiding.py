"""Which files of lower layers an image does not show: as its tree says, for many files and images at once."""

import io
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
import pytest

from appliance.db import hiding, layers, migrate, scans
from appliance.db.hiding import Place
from appliance.db.side_file import SideFile
from appliance.domain.layer import FileEntry, FileKind, LayerContents
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.logs import Log
from appliance.services.file_tree import Tree
from tests.db.test_scans import OLD, scan

pytestmark = pytest.mark.anyio
PATHS = ("a", "a/b", "a/b/c", "a/b/d", "a/e", "f", "f/g")
KINDS = (FileKind.FILE, FileKind.FILE, FileKind.FOLDER, FileKind.SYMLINK)


@pytest.fixture
def file(tmp_path: Path, executor: ThreadPoolExecutor) -> Iterator[SideFile]:
    opened = SideFile(tmp_path / "scan.sqlite", executor, Log(out=io.StringIO()), migrate.SCANS)
    yield opened
    opened.close()


def digest_of(number: int) -> Digest:
    return Digest(f"sha256:{number:064x}")


async def put_layer(file: SideFile, number: int, contents: LayerContents) -> Digest:
    digest = digest_of(number)
    layer = await file.write(partial(layers.begin, digest=digest, reader="1", now=Timestamp(1)))
    await file.write(partial(layers.add_files, layer=layer, entries=contents.files))
    await file.write(partial(layers.finish, layer=layer, contents=contents))
    return digest


async def put_image(file: SideFile, number: int, stack: Sequence[Digest]) -> Digest:
    found = msgspec.structs.replace(scan(OLD, number=number), layers=tuple(stack))
    await file.write(partial(scans.put, scan=found))
    return found.digest


def entry(path: str, kind: FileKind = FileKind.FILE) -> FileEntry:
    return FileEntry(path, kind, 1, 0o644, b"\1" * 32 if kind is FileKind.FILE else b"")


def contents(*paths: str, whiteouts: Sequence[str] = (), opaque: Sequence[str] = ()) -> LayerContents:
    return LayerContents(None, 0, tuple(map(entry, paths)), tuple(whiteouts), tuple(opaque))


def list_files(tree: Tree) -> list[str]:
    """Return what a walk through all folders of the whole image finds."""
    leaves = [leaf.entry for folder in ("", *PATHS) for leaf in tree.list_folder(folder, None)]
    return sorted(one.path for one in leaves if one.kind is not FileKind.FOLDER)


@pytest.mark.parametrize(
    ("upper", "is_hidden"),
    [
        (contents("etc/other"), False),
        (contents("etc/ssl/ca.pem"), True),
        (contents("etc/ssl/ca.pem/below"), True),  # a folder that no entry names
        (contents("etc/ssl"), True),
        (contents(whiteouts=["etc/ssl/ca.pem"]), True),
        (contents(whiteouts=["etc"]), True),
        (contents(whiteouts=["etc/ssl/ca.pe"]), False),
        (contents(opaque=["etc/ssl"]), True),
        (contents(opaque=[""]), True),
        (contents(opaque=["etc/ssl/ca.pem"]), False),
    ],
)
async def test_a_file_is_hidden_by_what_a_layer_above_has_or_removes(
    file: SideFile,
    upper: LayerContents,
    is_hidden: bool,  # noqa: FBT001
) -> None:
    stack = [await put_layer(file, 1, contents("etc/ssl/ca.pem")), await put_layer(file, 2, upper)]
    one, alone = await put_image(file, 1, stack), await put_image(file, 2, stack[:1])
    places = {Place(of, stack[0], "etc/ssl/ca.pem") for of in (one, alone)}

    hidden = await file.read(partial(hiding.find_hidden, places=places))

    assert hidden == ({Place(one, stack[0], "etc/ssl/ca.pem")} if is_hidden else set())


async def test_a_layer_that_was_read_before_tells_it_by_its_contents(file: SideFile) -> None:
    stack = [await put_layer(file, 1, contents("a")), await put_layer(file, 2, contents(whiteouts=["a"]))]
    place = Place(await put_image(file, 1, stack), stack[0], "a")
    await file.write(lambda tx: tx.execute("UPDATE layers SET gone = NULL"))

    assert await file.read(partial(hiding.find_hidden, places={place})) == {place}


@pytest.mark.parametrize("seed", range(20))
async def test_every_file_is_judged_as_the_tree_of_the_image_does(file: SideFile, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - images
    known: dict[Digest, list[str]] = {}
    for number in range(1, 6):
        told = {path: entry(path, chance.choice(KINDS)) for path in chance.sample(PATHS, 3)}
        made = LayerContents(
            None, 0, tuple(told.values()), tuple(chance.sample(PATHS, 1)), tuple(chance.sample(PATHS, 1))
        )
        files = [path for path, one in told.items() if one.kind is not FileKind.FOLDER]
        known[await put_layer(file, number, made)] = files
    stack = chance.sample(list(known), 4)
    image = await put_image(file, 1, stack)
    places = {Place(image, layer, path) for layer in stack for path in known[layer]}
    shown = await file.read(lambda reader: Tree(reader, stack).visible())
    listed = await file.read(lambda reader: list_files(Tree(reader, stack)))

    hidden = await file.read(partial(hiding.find_hidden, places=places))

    assert sorted(place.path for place in places - hidden) == sorted(shown) == listed
