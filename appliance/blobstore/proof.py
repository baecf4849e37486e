"""Proves that a bucket can be used, step by step, before anything is trusted to it: `scr storage check`."""

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from email.utils import parsedate_to_datetime

import msgspec

from appliance.blobstore.s3 import S3Store
from appliance.errors import BlobUnknown, ScrError, StoreFailed

_SKEW_S = 300  # seconds that the clocks may differ: at 15 minutes the store refuses every request
_CONTENT = 100_000  # bytes of the object that is written and read


class Step(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that was tried: what it proves, whether it went well, how long it took, and what it said."""

    name: str
    ok: bool
    took_ms: float
    detail: str = ""


async def prove(store: S3Store) -> tuple[Step, ...]:
    """Try everything that scr asks of a bucket, with objects of its own that are deleted again.

    What needs something that failed is not tried.
    """
    return await _Proof(store).run()


class _Proof:
    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._objects = store.objects
        self._key = f"check/{secrets.token_hex(8)}"
        self._content = secrets.token_bytes(_CONTENT)
        self._steps: list[Step] = []

    async def run(self) -> tuple[Step, ...]:
        if await self._try("access key", self._credentials) and await self._try("clock", self._clock):
            if await self._try("write", self._write):
                await self._try("read", self._read)
                await self._try("read a range", self._range)
                await self._try("list", self._list)
                await self._try("presigned address", self._presigned)
                await self._try("copy", self._copy)
            await self._try("upload in parts", self._parts)
            await self._try("delete many", self._delete)
        return tuple(self._steps)

    async def _try(self, name: str, step: Callable[[], Awaitable[str]]) -> bool:
        began = time.monotonic()
        try:
            detail, ok = await step(), True
        except ScrError as error:
            detail, ok = error.message, False
        self._steps.append(Step(name, ok, round((time.monotonic() - began) * 1000, 1), detail))
        return ok

    async def _credentials(self) -> str:
        key = await asyncio.to_thread(self._store.wallet.find)
        return f"{key.key_id} from {self._store.bucket.login.source}"

    async def _clock(self) -> str:
        _, told = await asyncio.to_thread(self._store.multipart.look_at, self._store.bucket.base)
        if not told:
            return "the store tells no time"
        skew = (dt.datetime.now(dt.UTC) - parsedate_to_datetime(told)).total_seconds()
        if abs(skew) > _SKEW_S:
            raise StoreFailed(
                f"the clocks differ by {abs(skew):.0f} s, and signatures need them within 15 min; set them"
            )
        return f"within {abs(skew):.0f} s of the store's"

    async def _write(self) -> str:
        await self._objects.put(self._key, self._content)
        return f"{_CONTENT} bytes, with a check sum"

    async def _read(self) -> str:
        return await self._expect(0, _CONTENT)

    async def _range(self) -> str:
        return await self._expect(1000, 2000)

    async def _expect(self, start: int, end: int) -> str:
        async with aclosing(self._objects.read(self._key, start, end)) as pieces:
            found = b"".join([piece async for piece in pieces])
        if found != self._content[start:end]:
            raise StoreFailed("what came back is not what was written")
        return f"{end - start} bytes"

    async def _list(self) -> str:
        found = await asyncio.to_thread(lambda: [one.key for one in self._objects.walk_now("check")])
        if self._key not in found:
            raise StoreFailed("what was written is not listed")
        return ""

    async def _presigned(self) -> str:
        address = await self._objects.sign(self._key, 60)
        status, _ = await asyncio.to_thread(self._store.multipart.look_at, address)
        if status != 200:
            raise StoreFailed(f"a presigned address answers {status}; leave [storage.s3] redirect off")
        return ""

    async def _copy(self) -> str:
        await self._objects.move(self._key, f"{self._key}.copy")
        return ""

    async def _parts(self) -> str:
        await self._store.parts.prove(f"{self._store.bucket.prefix}{self._key}.parts")
        return "begun, listed, aborted"

    async def _delete(self) -> str:
        await self._objects.delete([self._key, f"{self._key}.copy", f"{self._key}.gone"])
        try:
            await self._objects.size(f"{self._key}.copy")
        except BlobUnknown:
            return ""
        raise StoreFailed("what was deleted is still there")
