"""Chunks out of an object store that does not answer what it was asked."""

from collections.abc import AsyncGenerator
from typing import cast

import pytest

from appliance.blobstore.fetching import Fetching
from appliance.blobstore.forms import PLAIN, Plain
from appliance.blobstore.objects import Objects
from appliance.blobstore.sums import CHUNK, sums_of
from appliance.domain.names import Digest
from appliance.domain.registry import BlobId, StoredBlob

pytestmark = pytest.mark.anyio
CONTENT = bytes(range(256)) * (CHUNK // 256 * 3)
BLOB = StoredBlob(BlobId(1), Digest("sha256:" + "0" * 64), "1", "s3", PLAIN, len(CONTENT), sums_of([CONTENT]))


class Generous:
    """Gives all that is left of the object, and something on top."""

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[memoryview]:
        del key, end
        yield memoryview(CONTENT[start:])
        yield memoryview(b"and more")


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (1, 1), (1, 2)])
async def test_what_comes_beyond_the_asked_is_left(first: int, last: int) -> None:
    fetching = Fetching(cast("Objects", Generous()), "it", Plain(BLOB))

    found = [one async for one in fetching.chunks(BLOB, first, last)]

    assert [one.index for one in found] == list(range(first, last + 1))
    assert b"".join(bytes(part) for one in found for part in one.content) == CONTENT[first * CHUNK : (last + 1) * CHUNK]
