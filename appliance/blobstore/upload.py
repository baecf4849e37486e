"""Upload sessions: bytes on their way in, always on the local disk, whatever store they end up in.

    <data>/uploads/<id>         the bytes so far (staging.py); plain, the file's length is the offset
    <data>/uploads/<id>.json    whose session it is (Session)

Nothing here is synced before the seal: a 202 promises nothing, and GET of the session tells the truth after a crash.
Receiving, hashing and writing overlap: while a thread hashes and writes one mebibyte, the loop takes in the next.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import msgspec

from appliance.blobstore.files import Files
from appliance.blobstore.forms import PLAIN, Forms
from appliance.blobstore.hashing import Hashing, Step, hash_of
from appliance.blobstore.session import DECODER, Resting, Session, find_resting
from appliance.blobstore.staging import Staging, restage, stage
from appliance.blobstore.sums import CHUNK
from appliance.domain.names import Digest, algorithm_of
from appliance.errors import DigestInvalid, ScrError, StorageFull, UploadBusy, UploadInvalid, UploadUnknown

_SYNC_EVERY = 16 << 20  # bytes; written back early, so that the sync at the end has little left to wait for


class Sealable(msgspec.Struct, frozen=True):
    """Staged bytes that were verified and synced: only a name is missing."""

    staged: Path
    digest: Digest
    size: int
    sums: bytes
    form: str = PLAIN


class Upload:
    """One session. One request writes to it at a time."""

    def __init__(self, uploads: "Uploads", session: Session, descriptor: int, staging: Staging) -> None:
        """Take over the open file `descriptor`, which is empty, or will be read by `reread`."""
        self.session = session
        self.offset = 0
        self._uploads = uploads
        self._descriptor = descriptor
        self._path = uploads.path_of(session.id)
        self._hash = Hashing(session.algorithm, uploads.executor)
        self._staging = staging
        self._is_busy = False
        self._is_closed = False
        self._unsynced = 0
        self._syncing: Future[None] | None = None
        self._lost: ScrError | None = None  # why bytes that were taken may be gone
        self._sealable: Sealable | None = None  # once it is verified: the store may fail, and be asked again
        self._using = threading.Lock()  # held by a thread that uses the descriptor: a closed one may be another file's

    def claim(self) -> None:
        """Begin to write. Raises UploadBusy while another request does, UploadUnknown once the session is dropped."""
        if self._is_closed:  # its descriptor may be another file's by now
            raise UploadUnknown("no such upload; it was finished or cancelled: begin a new one")
        if self._is_busy:
            raise UploadBusy("another request is writing to this upload; wait for it, or begin a new upload")
        self._is_busy = True

    def release(self) -> None:
        """Let another request write."""
        self._is_busy = False

    async def receive(self, pieces: AsyncIterator[bytes], *, closes: bool = False) -> None:
        """Append `pieces` until they end. What arrived before an error or a lost client stays in the session.

        `closes` says that the session is finished next: nothing is made ready for a restart then.
        """
        try:
            try:
                await self._take(pieces)
            except BaseException:
                closes = False
                raise
            finally:
                if not closes:
                    await self._keep()
        finally:
            if self._lost is not None:
                await self.cancel()
        if self._lost is not None:
            raise self._lost

    async def _take(self, pieces: AsyncIterator[bytes]) -> None:
        under_way: asyncio.Future[None] | None = None
        batch: list[bytes] = []
        gathered = 0
        try:
            async for piece in pieces:
                batch.append(piece)
                gathered += len(piece)
                if gathered >= CHUNK:
                    if under_way is not None:
                        await asyncio.wait([under_way])  # which leaves it alone when we are cancelled
                        under_way.result()
                    under_way = self._begin(batch)
                    batch, gathered = [], 0
        finally:
            if under_way is not None:
                await asyncio.wait([under_way])
            if batch and (under_way is None or under_way.exception() is None):
                rest = self._begin(batch)
                await asyncio.wait([rest])
                under_way = rest
        if under_way is not None:
            under_way.result()

    async def _keep(self) -> None:
        """Make the file hold all that came, where it does not anyway."""
        if self.session.form != PLAIN and self._lost is None and not self._is_closed:
            loop = asyncio.get_running_loop()
            await asyncio.wait([loop.run_in_executor(self._uploads.executor, self._keep_rest)])

    async def finish(self, digest: Digest) -> Sealable:
        """Verify the bytes against `digest` and sync them.

        Raises DigestInvalid; the bytes are then useless and the session is cancelled.
        """
        loop = asyncio.get_running_loop()
        try:
            if self._syncing is not None:
                await asyncio.wait([asyncio.wrap_future(self._syncing)])
            sealable = await loop.run_in_executor(self._uploads.executor, self._finish, digest)
        except Exception:
            await self.cancel()
            raise
        return sealable

    async def cancel(self) -> None:
        """Drop the session, and its bytes unless a seal has given them a name; a second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            try:
                await asyncio.get_running_loop().run_in_executor(self._uploads.executor, self._drop)
            finally:  # only now: until its files are gone, somebody who looks for it would open them again
                self._uploads.forget(self)

    @property
    def is_closed(self) -> bool:
        """Whether the session was finished or cancelled."""
        return self._is_closed

    def let_go(self) -> None:
        """Close the file and leave the session as it lies on the disk."""
        self._is_closed = True
        os.close(self._descriptor)

    def reread(self) -> None:
        """Hash what lies in the file already: the session comes from before a restart (blocking)."""
        for piece in self._staging.reopen(self._descriptor):
            self._hash.update(piece)
            self.offset += len(piece)
        if (digest := self._staging.closed_as) is not None:
            self._sealable = self._finish_as(digest)

    def _begin(self, batch: list[bytes]) -> asyncio.Future[None]:
        """Hash and write `batch`, each in a thread."""
        step = self._hash.begin(batch)
        return asyncio.get_running_loop().run_in_executor(self._uploads.executor, self._feed, step)

    def _feed(self, step: Step) -> None:
        """Write what is being hashed (in a worker thread)."""
        self._uploads.check_room()
        with self._using:
            self._check_usable()
            if self._sealable is not None:
                raise UploadInvalid("the upload was closed and waits for the store; close it again, without content")
            try:
                self._staging.write(self._descriptor, step.batch)
            except ScrError as error:
                self._recover(error)
                raise
            self._hash.take(step)
            size = sum(map(len, step.batch))
            self.offset += size
            self._unsynced += size
            if (
                self._uploads.syncs
                and self._unsynced >= _SYNC_EVERY
                and (self._syncing is None or self._syncing.done())
            ):
                self._unsynced = 0
                self._syncing = self._uploads.executor.submit(self._sync_early, os.dup(self._descriptor))

    def _recover(self, error: ScrError) -> None:
        """Take back what a failed write left: the file's length must stay the offset, also after a restart."""
        if not self._staging.survives_failure:
            self._lost = error
            return
        with contextlib.suppress(ScrError):
            self._uploads.files.truncate(self._descriptor, self._path, self.offset)

    def _keep_rest(self) -> None:
        with self._using:
            if self._is_closed:
                return
            try:
                self._staging.keep(self._descriptor)
            except ScrError as error:
                self._lost = error

    def _sync_early(self, descriptor: int) -> None:
        """Sync what came so far. A failure is final: a second sync may succeed and the bytes be gone all the same."""
        try:
            self._uploads.files.sync(descriptor, self._path)
        except ScrError as error:
            self._lost = error
        finally:
            os.close(descriptor)

    def _check_usable(self) -> None:
        if self._is_closed:
            raise UploadUnknown("no such upload; it was finished or cancelled: begin a new one")
        if self._lost is not None:
            raise self._lost

    def _finish(self, digest: Digest) -> Sealable:
        with self._using:
            self._check_usable()
            if self._sealable is not None and self._sealable.digest == digest:
                return self._sealable
            algorithm = algorithm_of(digest)
            if algorithm == self.session.algorithm:
                found = self._hash.hexdigest()
            else:  # the client told us only now; end-4c (digest-algorithm) would have spared the second reading
                found = hash_of(algorithm, self._staging.content(self._descriptor))
            if f"{algorithm}:{found}" != digest:
                raise DigestInvalid(
                    f"the {self.offset} bytes that came have the digest {algorithm}:{found}, not {digest}"
                )
            self._sealable = self._finish_as(digest)
            return self._sealable

    def _finish_as(self, digest: Digest) -> Sealable:
        """Give the file its final form and sync it."""
        sums = self._staging.finish(self._descriptor, digest)
        if self._uploads.syncs:
            self._uploads.files.sync(self._descriptor, self._path)
        return Sealable(self._path, digest, self.offset, sums, self.session.form)

    def _drop(self) -> None:
        with self._using:
            os.close(self._descriptor)
        self._uploads.files.remove(self._path)
        self._uploads.files.remove(self._uploads.path_of(self.session.id + ".json"))


class Uploads:
    """All sessions of the data folder."""

    def __init__(
        self,
        folder: Path,
        files: Files,
        executor: Executor,
        min_free: int,
        forms: Forms | None = None,
        *,
        syncs: bool = True,
    ) -> None:
        """Keep sessions in `folder` (made if missing); refuse bytes below `min_free` bytes of free disk.

        `forms` says how the bytes lie there. `syncs` is off where a seal copies them elsewhere: until then nothing is
        promised, and the copy is read from memory.
        """
        self.folder = folder
        self.files = files
        self.executor = executor
        self.min_free = min_free
        self.forms = forms or Forms()
        self.syncs = syncs
        self.scratch: set[str] = set()  # files that jobs of this process write here: see scratch.py
        self._open: dict[str, Upload] = {}
        self._resting: dict[str, Resting] | None = None  # sessions from before the start; None: nobody asked yet
        files.make_folder(folder)

    def path_of(self, name: str) -> Path:
        """Return the path of a session's file."""
        return self.folder / name

    def check_room(self) -> None:
        """Raise StorageFull when the disk has less than `min_free` left."""
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < self.min_free:
            raise StorageFull(
                "the disk is nearly full, so nothing new is taken; delete images, or lower [storage] min_free"
            )

    async def create(self, session: Session) -> Upload:
        """Begin a session; its id must be new."""
        self.check_room()
        session = msgspec.structs.replace(session, form=self.forms.new)
        upload = await asyncio.get_running_loop().run_in_executor(self.executor, self._create, session)
        self._open[session.id] = upload
        return upload

    def _create(self, session: Session) -> Upload:
        path = self.path_of(session.id + ".json")
        descriptor = self.files.create(path)
        try:
            self.files.write(descriptor, path, [msgspec.json.encode(session)], 0)
            staged = self.path_of(session.id)
            return Upload(self, session, self.files.create(staged), stage(self.files, staged, self.forms))
        except ScrError:
            with contextlib.suppress(ScrError):
                self.files.remove(path)
            raise
        finally:
            os.close(descriptor)

    async def find(self, session_id: str) -> Upload | None:
        """Return the session `session_id` (checked text), from memory or from before a restart."""
        upload = self._open.get(session_id)
        if upload is None and self.path_of(session_id + ".json").exists():
            reopened = await asyncio.get_running_loop().run_in_executor(self.executor, self._reopen, session_id)
            if reopened is not None:
                upload = self._open.setdefault(session_id, reopened)
                if upload is not reopened:  # another request was quicker
                    reopened.let_go()
        return None if upload is None or upload.is_closed else upload

    def _reopen(self, session_id: str) -> Upload | None:
        try:
            session = DECODER.decode(self.path_of(session_id + ".json").read_bytes())
            staged = self.path_of(session_id)
            staging = restage(self.files, staged, self.forms, session.form)
            upload = Upload(self, session, self.files.open(staged), staging)
        except (OSError, ScrError, msgspec.DecodeError):  # a crash between the seal and the end of the session too
            return None
        try:
            upload.reread()
        except ScrError:  # encrypted, and cut off by a crash
            upload.let_go()
            return None
        return upload

    async def staged(self, registry: int) -> int:
        """Return how many bytes of `registry` lie in sessions that are not finished."""
        if self._resting is None:
            self._resting = await asyncio.get_running_loop().run_in_executor(self.executor, find_resting, self.folder)
        resting = sum(
            one.size for name, one in self._resting.items() if one.registry == registry and name not in self._open
        )
        return resting + sum(one.offset for one in self._open.values() if one.session.registry == registry)

    def _wake(self, session_id: str) -> None:
        if self._resting is not None:
            self._resting.pop(session_id, None)

    def forget(self, upload: Upload) -> None:
        """Take a session out of memory."""
        self._wake(upload.session.id)
        self._open.pop(upload.session.id, None)

    def is_open(self, session_id: str) -> bool:
        """Whether the session was touched since the start."""
        return session_id in self._open

    def walk(self) -> Iterator[tuple[str, float]]:
        """Yield the name and the time of the last change (unix seconds) of every file of the folder (blocking)."""
        for entry in os.scandir(self.folder):
            try:
                yield entry.name, entry.stat(follow_symlinks=False).st_mtime
            except FileNotFoundError:
                continue

    async def reap(self, before: float) -> int:
        """Drop sessions and stray files not changed since `before` (unix seconds); return how many sessions went."""
        loop = asyncio.get_running_loop()
        names = await loop.run_in_executor(self.executor, lambda: list(self.walk()))
        lying: dict[str, tuple[float, set[str]]] = {}  # by what a name begins with: the newest change, and the names
        for name, changed in names:
            newest, known = lying.get(name.partition(".")[0], (0.0, set()))
            lying[name.partition(".")[0]] = max(changed, newest), known | {name}
        gone = 0
        for session_id, (changed, known) in lying.items():
            if changed >= before or not self.scratch.isdisjoint(known):
                continue
            upload = self._open.get(session_id)
            if upload is not None:
                if upload._is_busy:  # noqa: SLF001 - same module
                    continue
                await upload.cancel()
            self._wake(session_id)
            for name in sorted(known | {session_id, f"{session_id}.json"}):
                await loop.run_in_executor(self.executor, self.files.remove, self.path_of(name))
            gone += 1
        return gone
