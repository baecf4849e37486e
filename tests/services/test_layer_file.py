"""One file out of a layer: the right one of several, links, sparse files, and layers that are not what they were."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from appliance.scan.extract import Wanted, extract
from appliance.scan.limits import Limits, Unreadable
from appliance.services.layer_file import check_piece
from appliance.services.scan_child import Failed, ScanChild
from tests.make.layers import gzip_stored, tar
from tests.services.scanned import SETUP

LARGE = bytes(range(256)) * (40 << 10)  # 10 MiB: longer than what is checked beforehand


def layer(*parts: dict[str, bytes]) -> bytes:
    """Return a layer of these files; a name that comes again is written again."""
    archives = [tar(part) for part in parts]
    ends = [archive.rstrip(b"\0") for archive in archives[:-1]]  # without the blocks of zeros that end an archive
    return gzip_stored(b"".join(end + bytes(-len(end) % 512) for end in ends) + archives[-1])


def wanted(path: str, content: bytes) -> Wanted:
    return Wanted(path, len(content), hashlib.sha256(content).digest())


def taken(blob: bytes, path: str, content: bytes) -> bytes:
    return b"".join(extract([blob], wanted(path, content), Limits()))


@pytest.mark.parametrize("content", [b"", b"one", LARGE])
def test_a_file_comes_out_as_it_went_in(content: bytes) -> None:
    assert taken(layer({"a": b"1", "srv/it": content, "z": b"2"}), "srv/it", content) == content


def test_of_several_of_one_name_the_one_of_the_index_comes() -> None:
    blob = layer({"srv/it": b"old"}, {"srv/it": b"new"}, {"srv/it": b"longer"})

    assert taken(blob, "srv/it", b"new") == b"new"
    assert taken(blob, "srv/it", b"longer") == b"longer"


@pytest.mark.parametrize("content", [b"other", b"1234", b"12345678"])
def test_what_the_index_does_not_know_does_not_come(content: bytes) -> None:
    with pytest.raises(Unreadable):
        taken(layer({"srv/it": b"12345"}), "srv/it", content)


async def fetched(blob: bytes, what: Wanted, pieces: int = 7) -> bytes:
    async def chunks() -> AsyncIterator[memoryview]:
        step = len(blob) // pieces + 1
        for at in range(0, len(blob), step):
            yield memoryview(blob)[at : at + step]

    async with ScanChild(SETUP, 30) as child:
        found = b"".join([piece async for piece in child.fetch(chunks(), what)])
    assert child.pid is None
    return found


@pytest.mark.anyio
async def test_a_child_gives_it_while_it_is_fed() -> None:
    blob = layer({"first": LARGE, "srv/it": LARGE[::-1], "last": b"1" * 100})

    assert await fetched(blob, wanted("srv/it", LARGE[::-1])) == LARGE[::-1]


@pytest.mark.anyio
async def test_a_child_that_cannot_says_why_and_is_ended() -> None:
    with pytest.raises(Failed, match="holds no srv/it"):
        await fetched(layer({"srv/other": b"1"}), wanted("srv/it", b"1"))
    with pytest.raises(Failed, match=r".+"):
        await fetched(b"this is no layer at all" * 100, wanted("srv/it", b"1"))


@pytest.mark.anyio
async def test_a_store_that_breaks_off_is_told_and_the_child_ended() -> None:
    class Broken(Exception):
        pass

    async def chunks() -> AsyncIterator[memoryview]:
        yield memoryview(layer({"a": LARGE}))[:1000]
        raise Broken

    child = ScanChild(SETUP, 30)
    async with asyncio.timeout(30), child:
        pieces = child.fetch(chunks(), wanted("b", b"1"))
        with pytest.raises(Broken):
            await anext(pieces)
    assert child.pid is None


@pytest.mark.parametrize(("piece", "left"), [(b"", 3), (b"", 0), (b"1", 0), (b"1234", 3)])
def test_a_piece_that_no_sound_child_sends_is_refused(piece: bytes, left: int) -> None:
    with pytest.raises(Failed):
        check_piece(piece, left, is_whole=True)


def test_a_piece_may_go_beyond_what_is_shown_of_a_file() -> None:
    check_piece(b"1234", 3, is_whole=False)
    check_piece(b"123", 3, is_whole=True)
    with pytest.raises(Failed):
        check_piece(b"", 3, is_whole=False)
