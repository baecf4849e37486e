"""Single requests to the object store through its library: put, get, delete, list, copy, sign.

Every failure comes out as StoreDown (ask again later), StoreRefused (asking again is in vain) or BlobUnknown (it is
not there). Reading goes on behind what was read when a connection breaks, hangs or drips.
"""

from __future__ import annotations  # the library's own types are there for type checkers only

import asyncio
import datetime as dt
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec
import obstore
from obstore import exceptions
from obstore.store import S3Store as Client

from appliance.blobstore.bucket import Bucket, Wallet
from appliance.blobstore.multipart import DAMAGED
from appliance.blobstore.patience import Patience
from appliance.errors import BlobUnknown, StoreDown, StoreRefused

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential

Buffer = bytes | memoryview  # what the library's own kind of bytes can be seen as

BULK = 1000  # keys of one deletion: the API's limit
_PIECE = 1 << 20  # bytes; what is waited for at once: each piece comes from another thread, which costs time of its own
_LEAST = 128 << 10
_TOGETHER = 8 << 20  # bytes of pieces that all readers wait for: many of them get smaller ones
_KEY_KEPT = timedelta(minutes=2)  # an access key is asked for again after that: it may have been rotated
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_NO_KEY = re.compile(r"credential provider: StoreDown: ([^\n]+)")
_PASSING = frozenset({"408", "425", "429"})


class Found(msgspec.Struct, frozen=True):
    """An object: its key without the prefix, its size in bytes, when it was written (unix seconds)."""

    key: str
    size: int
    written: float


class Objects:
    """The objects below the prefix of a bucket."""

    def __init__(self, bucket: Bucket, wallet: Wallet, patience: Patience) -> None:
        """Talk to `bucket`. Raises StoreRefused where its settings cannot be used."""
        self._bucket = bucket
        self._wallet = wallet
        self._patience = patience
        self._client = _client(bucket, wallet)
        self._readers = 0

    @property
    def piece(self) -> int:
        """How many bytes one more reader waits for at once: some five pieces of each reader are in memory."""
        return max(_LEAST, min(_PIECE, _TOGETHER // max(self._readers, 1)))

    async def put(self, key: str, content: bytes | memoryview) -> None:
        """Store a small object."""

        async def attempt() -> None:
            with _told():
                await obstore.put_async(self._client, key, content, use_multipart=False)

        await self._patience.ask(attempt, len(content))

    async def size(self, key: str) -> int:
        """Return the size of an object. Raises BlobUnknown."""

        async def attempt() -> int:
            with _told():
                return (await obstore.head_async(self._client, key))["size"]

        return await self._patience.ask(attempt)

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Yield the bytes `start` to `end` in pieces of no certain size. Raises BlobUnknown; also where it ends early.

        A break in the middle is asked for again from there; it ends only when nothing came for the whole deadline.
        """
        at = start
        self._readers += 1
        try:
            while at < end:
                pieces = await self._patience.ask(partial(self._open, key, at, end))
                try:
                    async for piece in pieces:
                        at += len(piece)
                        yield piece
                except (StoreDown, TimeoutError):
                    continue
                finally:
                    await pieces.aclose()
        finally:
            self._readers -= 1

    async def _open(self, key: str, start: int, end: int) -> AsyncGenerator[memoryview, None]:
        """Return the stream of a range once its first piece is here: then it can be called a success."""
        try:
            with _told():
                found = await obstore.get_async(self._client, key, options={"range": (start, end)})
                stream = found.stream(min_chunk_size=self.piece)
                first = await anext(stream, None)
        except BlobUnknown:  # a store may lose sight of an object for a moment: a blob is not condemned for that
            with _told():
                size = (await obstore.head_async(self._client, key))["size"]
            if size < end:
                raise
            raise StoreDown("the object store does not find what it has") from None
        if not first:
            raise StoreDown("the object store answered nothing")
        return _ahead(first, stream, end - start, self._patience.attempt_s)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, a thousand in one request; those that are gone already are no error."""
        for start in range(0, len(keys), BULK):
            part = list(keys[start : start + BULK])

            async def attempt(part: list[str] = part) -> None:
                with _told():
                    await obstore.delete_async(self._client, part)

            await self._patience.ask(attempt)

    async def move(self, key: str, target: str) -> None:
        """Copy an object within the bucket and delete it. Raises BlobUnknown."""

        async def attempt() -> None:
            with _told():
                await obstore.copy_async(self._client, key, target)
                await obstore.delete_async(self._client, key)

        await self._patience.ask(attempt)

    async def sign(self, key: str, seconds: int) -> str:
        """Return an address that anybody may GET the object from for `seconds`."""
        with _told():
            return await obstore.sign_async(self._client, "GET", key, timedelta(seconds=seconds))

    def get_now(self, key: str) -> Iterator[bytes]:
        """Yield an object's content (blocking). Raises BlobUnknown, StoreDown."""
        with _told():
            for piece in obstore.get(self._client, key).stream(min_chunk_size=_PIECE):
                yield bytes(memoryview(piece))

    def size_now(self, key: str) -> int | None:
        """Return the size of an object, or None where there is none (blocking). Raises StoreDown."""
        try:
            with _told():
                return obstore.head(self._client, key)["size"]
        except BlobUnknown:
            return None

    def walk_now(self, folder: str) -> Iterator[Found]:
        """Yield every object below `folder`, in the order of their keys (blocking). Raises StoreDown."""
        with _told():
            for batch in obstore.list(self._client, folder):
                for one in batch:
                    yield Found(one["path"], one["size"], one["last_modified"].timestamp())


async def _ahead(
    first: Buffer, stream: AsyncIterator[Buffer], size: int, stall_s: float
) -> AsyncGenerator[memoryview, None]:
    """Yield `size` bytes: `first` and what follows, the next piece asked for while the last one is used.

    Raises StoreDown where the stream ends before that, TimeoutError where a piece takes longer than `stall_s`.
    """
    piece = memoryview(first)
    while True:
        size -= len(piece)
        if size <= 0:
            yield piece[: len(piece) + size]
            return
        coming = cast("asyncio.Future[Buffer]", anext(stream))  # it runs from now on, outside of Python
        try:
            yield piece
            with _told():
                async with asyncio.timeout(stall_s):
                    piece = memoryview(await coming)
        except StopAsyncIteration:
            raise StoreDown("the object store broke an answer off") from None
        finally:
            coming.cancel()


def _client(bucket: Bucket, wallet: Wallet) -> Client:
    def provide() -> S3Credential:
        key = wallet.find()
        until = dt.datetime.now(dt.UTC) + _KEY_KEPT
        return {
            "access_key_id": key.key_id,
            "secret_access_key": key.secret,
            "token": key.token or None,
            "expires_at": until,
        }

    # every value that a variable of the environment could set otherwise is said here
    config: S3Config = {
        "endpoint": bucket.base if not bucket.path_style else bucket.endpoint,
        "aws_endpoint_url_s3": bucket.base if not bucket.path_style else bucket.endpoint,
        "region": bucket.region,
        "virtual_hosted_style_request": not bucket.path_style,
        "checksum_algorithm": "SHA256",  # so that the store refuses bytes that changed on the way
        "skip_signature": False,
    }
    if bucket.encryption:
        config["server_side_encryption"] = bucket.encryption
        if bucket.kms_key:
            config["sse_kms_key_id"] = bucket.kms_key
    options: ClientConfig = {
        "allow_http": bucket.endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=5),
        "timeout": timedelta(days=1),  # of a whole answer, however long; who reads it has a time for each piece
        "pool_idle_timeout": timedelta(seconds=30),
    }
    try:
        if bucket.authority is not None:
            options["root_certificate"] = bucket.authority.read_bytes()
        return Client(
            bucket.name,
            prefix=bucket.prefix or None,
            config=config,
            client_options=options,
            retry_config={"max_retries": 0},
            credential_provider=provide,
        )
    except (OSError, exceptions.BaseError) as error:
        raise StoreRefused(f"the object store's settings cannot be used: {str(error).splitlines()[0]}") from error


@contextmanager
def _told() -> Iterator[None]:
    """Turn the library's errors into ours; its text may hold addresses, which are nobody's business."""
    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise BlobUnknown("the object store has no such object") from error
    except exceptions.UnauthenticatedError as error:
        raise StoreRefused(_reason(str(error), "the object store does not know the access key")) from error
    except exceptions.PermissionDeniedError as error:
        raise StoreRefused(_reason(str(error), "the object store refuses the access key")) from error
    except (exceptions.BaseError, OSError) as error:
        text = str(error)
        status = _STATUS.search(text)
        said = _reason(text, "the object store cannot be reached" if status is None else "the object store failed")
        if status is not None and status[1] == "416":
            raise BlobUnknown(said) from error
        is_final = status is not None and status[1].startswith("4") and status[1] not in _PASSING
        code = _CODE.search(text)
        if is_final and not (code and code[1] in DAMAGED):
            raise StoreRefused(f"{said}; see: scr storage check") from error
        raise StoreDown(said) from error


def _reason(text: str, said: str) -> str:
    """Return `said` with what of the library's text tells why."""
    status, code, key = _STATUS.search(text), _CODE.search(text), _NO_KEY.search(text)
    facts = " ".join(found[1] for found in (status, code, key) if found)
    return f"{said} ({facts})" if facts else said
