"""The keyring in force: how it is opened at the start, changed by an operator, and kept where it is needed.

The file in the data folder counts. A copy lies in the bucket, so that a machine can be lost; a data key gets there
before anything is encrypted with it, for nobody could read that otherwise.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.blobstore.forms import Forms
from appliance.blobstore.keyring import NAME, Keyring
from appliance.blobstore.s3 import S3Store
from appliance.domain.moment import Timestamp
from appliance.errors import BlobUnknown, Conflict, StoreFailed
from appliance.logs import Log

COPY = f"keys/{NAME}"  # its key in the bucket


class Keys(msgspec.Struct, frozen=True, rename="camel"):
    """The keyring as an operator sees it: which keys, never a key."""

    master: str  # what tells the master key from others
    data_keys: int
    active: str
    made_at: Timestamp  # of the active data key
    is_settled: bool  # whether one master key opens it, and no other


class Vault:
    """Holds the keyring and its master key."""

    def __init__(
        self,
        folder: Path,
        files: Files,
        forms: Forms,
        bucket: S3Store | None,
        master: bytes,
        clock: Callable[[], Timestamp],
        log: Log,
    ) -> None:
        """Keep the keyring in `folder`; `forms` gets it once it is open."""
        self._path = folder / NAME
        self._files = files
        self._forms = forms
        self._bucket = bucket
        self._master = master
        self._clock = clock
        self._log = log
        self._is_copied = bucket is None
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Open the keyring: the one in the folder, else the copy in the bucket, else a new one.

        Raises ConfigInvalid for another master key, StoreDown where the bucket must be asked and does not answer.
        """
        content = await asyncio.to_thread(self._read)
        if content is None and (copy := await self._find_copy()) is not None:
            ring = Keyring.decode(copy, self._master)
            await asyncio.to_thread(self._files.write_whole, self._path, copy)
        elif content is None:
            ring = Keyring.make(self._master, self._clock())
            await self._keep(ring, is_new=True)
            self._log.info("keyring.made", key=f"{ring.ring.active:08x}", master=ring.master)
        else:
            ring = Keyring.decode(content, self._master)
        if not ring.is_settled and ring.is_newest:  # the new master key was used: the old one opens nothing any more
            ring = ring.settled(self._master)
            await self._keep(ring, is_new=False)
            self._log.info("keyring.settled", master=ring.master)
        self._forms.keyring = ring
        await self.copy()

    @property
    def keys(self) -> Keys:
        """What is in force."""
        ring = self._forms.ring()
        active = next(key for key in ring.ring.keys if key.id == ring.ring.active)
        return Keys(ring.master, len(ring.ring.keys), f"{active.id:08x}", active.made_at, ring.is_settled)

    async def change_master(self, new: bytes) -> Keys:
        """Wrap the data keys with `new` besides the master key in force, which counts until scr starts with `new`."""
        async with self._changing:
            ring = self._forms.ring()
            if not ring.is_settled:
                raise Conflict("the master key is being changed already: start scr with the new one first")
            if new == self._master:
                raise Conflict("that is the master key in force; make another one with: scr storage key")
            both = ring.with_master(new, self._master)
            await self._keep(both, is_new=False)
            self._forms.keyring = Keyring(both.ring, self._master)
            return self.keys

    async def add_key(self) -> Keys:
        """Encrypt new files with a new data key; the old ones stay readable."""
        async with self._changing:
            ring = self._forms.ring()
            if not ring.is_settled:
                raise Conflict("the master key is being changed: start scr with the new one first")
            ring = ring.with_new_key(self._master, self._clock())
            await self._keep(ring, is_new=True)
            self._forms.keyring = ring
            return self.keys

    async def copy(self) -> None:
        """Bring the copy in the bucket up to date, where that failed before."""
        if self._is_copied or self._bucket is None:
            return
        try:
            await self._bucket.objects.put(COPY, self._forms.ring().encode())
        except StoreFailed as error:
            self._log.warn("keyring.not_copied", reason=error.message, cure="none needed: it is tried again")
        else:
            self._is_copied = True

    async def _keep(self, ring: Keyring, *, is_new: bool) -> None:
        """Write `ring` down; where it holds a new data key, the copy must be there first."""
        content = ring.encode()
        if is_new and self._bucket is not None:
            await self._bucket.objects.put(COPY, content)
            self._is_copied = True
        await asyncio.to_thread(self._files.write_whole, self._path, content)
        if not is_new and self._bucket is not None:
            self._is_copied = False
            self._forms.keyring = ring
            await self.copy()

    async def _find_copy(self) -> bytes | None:
        if self._bucket is None:
            return None
        try:
            size = await self._bucket.objects.size(COPY)
        except BlobUnknown:
            return None
        return b"".join([bytes(piece) async for piece in self._bucket.objects.read(COPY, 0, size)])

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be read: {error.strerror}") from error
