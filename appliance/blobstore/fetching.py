"""Reads the chunks of blobs out of an object store, each checked before it is given.

A chunk is the list of parts in which it came, and nothing is gathered or copied that need not be: at the rate of a good
line, a copy costs as much as decrypting. A chunk that is not what was stored is fetched once more before the blob is
called broken, for it may have changed on the way.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar

import msgspec

from appliance.blobstore.cipher import Content
from appliance.blobstore.forms import Form
from appliance.blobstore.objects import Objects
from appliance.domain.registry import StoredBlob
from appliance.errors import BlobBroken, BlobUnknown

T = TypeVar("T")

_TRIES = 5  # to get a chunk that is right


class Fetched(msgspec.Struct, frozen=True):
    """A chunk with its number: as it lies in the store, and its content, checked."""

    index: int
    raw: Sequence[Content]
    content: Sequence[Content]


class Fetching:
    """Fetches one blob, the object `key`, which lies there as `form` says."""

    def __init__(self, objects: Objects, key: str, form: Form) -> None:
        self._objects = objects
        self._key = key
        self._form = form

    async def chunks(self, blob: StoredBlob, first: int, last: int) -> AsyncGenerator[Fetched, None]:
        """Yield the chunks `first` to `last`. Raises BlobBroken."""
        try:
            async with aclosing(self._raw(first, last)) as chunks:
                async for index, parts in chunks:
                    raw: Sequence[Content] = parts
                    try:
                        content = self._form.open(raw, index)
                    except BlobBroken:
                        raw, content = await self._again(self._form.place(index), partial(self._form.open, index=index))
                    yield Fetched(index, raw, content)
        except BlobUnknown as error:
            raise BlobBroken(f"the bytes of {blob.digest} are gone from the store") from error

    async def _raw(self, first: int, last: int) -> AsyncGenerator[tuple[int, list[memoryview]], None]:
        """Yield what lies at the places of the chunks `first` to `last`; before the first one the header is checked."""
        form = self._form
        start = 0 if first == 0 else form.place(first)[0]
        index, wanted = (-1, form.start) if first == 0 and form.start else (first, form.place(first)[1])
        held: list[memoryview] = []
        async with aclosing(self._objects.read(self._key, start, sum(form.place(last)))) as pieces:
            async for piece in pieces:
                left = piece
                while left:
                    if index > last:
                        return  # more than was asked for: whoever answers so does not say what it is
                    part, left = left[:wanted], left[wanted:]
                    held.append(part)
                    wanted -= len(part)
                    if wanted:
                        continue
                    if index < 0:
                        await self._check_start(held)
                    else:
                        yield index, held
                    index, held = index + 1, []
                    wanted = form.place(index)[1] if index <= last else 0

    async def _check_start(self, raw: Sequence[Content]) -> None:
        try:
            self._form.check_start(b"".join(raw))
        except BlobBroken:
            await self._again((0, self._form.start), lambda found: self._form.check_start(found[0]))

    async def _again(
        self, place: tuple[int, int], check: Callable[[Sequence[Content]], T]
    ) -> tuple[Sequence[Content], T]:
        """Return some bytes fetched anew, and what `check` makes of them.

        Raises BlobBroken when the same wrong bytes come twice: what changes on the way changes differently each time.
        """
        before, left = b"", _TRIES
        while True:
            async with aclosing(self._objects.read(self._key, place[0], sum(place))) as pieces:
                raw = b"".join([piece async for piece in pieces])
            try:
                return [raw], check([raw])
            except BlobBroken:
                left -= 1
                if raw == before or not left:
                    raise
                before = raw
