"""What every service works with: the database, the store, uploads on their way in, and the rules in force."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import cached_property

import msgspec

from appliance.blobstore.store import BlobStore
from appliance.blobstore.upload import Uploads
from appliance.db.database import Database
from appliance.domain.image_policy import DEFAULT_POLICY, ImagePolicy
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.registry import BlobId, ImageId, Registry, RegistryId
from appliance.logs import Log
from appliance.services.feed_fetch import FeedAddress
from appliance.services.held import Held
from appliance.services.vault import Vault
from appliance.services.vulndb import FOLDER, Vulndb

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Rules(msgspec.Struct, frozen=True):
    """Limits and times in force, from `scr.toml`. Times in milliseconds, sizes in bytes."""

    manifest_bytes: int = 4 << 20
    sparse_indexes: bool = True
    sparse_images: bool = False
    strict: bool = False
    create_on_push: bool = True
    recycle: int = DAY
    grace: int = HOUR
    upload_expiry: int = DAY
    history_keep: int = 400 * DAY
    restore_window: int = 0
    retention_first: int = 2 * DAY
    retention_every: int = DAY
    default_policy: ImagePolicy = DEFAULT_POLICY
    feeds: tuple[FeedAddress, ...] = ()  # where vulnerability data may be fetched from


class Leases:
    """Blobs a client was told are there and has not yet named in a manifest: collection leaves them for a while.

    In memory only: a lease is one dictionary entry a HEAD, not a write. After a restart collection waits as long as a
    lease lasts before it deletes anything.
    """

    LENGTH = HOUR // 4  # milliseconds

    def __init__(self) -> None:
        """Begin without leases."""
        self._until: dict[tuple[ImageId, BlobId], Timestamp] = {}
        self._going: set[tuple[ImageId, BlobId]] = set()  # links that a collection may be deleting at this moment

    def give(self, image: ImageId, blob: BlobId, now: Timestamp) -> bool:
        """Keep the blob for `image` a while longer. False: it is just being collected, so it must be pushed."""
        self._until[image, blob] = Timestamp(now + self.LENGTH)
        return (image, blob) not in self._going  # looked at after giving, as `may_go` looks after saying so: one sees

    def may_go(self, image: ImageId, blob: BlobId, now: Timestamp) -> bool:
        """Whether no lease of the image on the blob is running; none is given then until `settled` (in the writer)."""
        self._going.add((image, blob))
        if self._until.get((image, blob), 0) <= now:
            return True
        self._going.discard((image, blob))
        return False

    def settled(self, links: set[tuple[ImageId, BlobId]]) -> None:
        """What might go has gone, or stays: the transaction is over."""
        self._going -= links

    def sweep(self, now: Timestamp) -> None:
        """Forget leases that ran out."""
        self._until = {key: until for key, until in self._until.items() if until > now}


class Stock:
    """Handed to every service by the doors; made once, by `assemble.py`."""

    def __init__(
        self, db: Database, store: BlobStore, uploads: Uploads, rules: Rules, log: Log, clock: Callable[[], Timestamp]
    ) -> None:
        """Hold the parts; `rules` is replaced whole when the configuration changes."""
        self.db = db
        self.store = store
        self.uploads = uploads
        self.rules = rules
        self.log = log
        self.clock = clock
        self.leases = Leases()
        self.vault: Vault | None = None  # where there is a master key
        self.held = Held()
        self.sealing: set[str] = set()  # generations named in the store and not yet in the database
        self.equip: Callable[[Registry], Awaitable[None]] = _need_nothing  # what a registry needs beside its row
        # from when a scan is read, or written, until the pull limit knows: so the newest is what it hears last
        self.telling = asyncio.Lock()
        self.editing: Counter[RegistryId] = Counter()  # edits of a registry that are under way
        self.declared_in = "scr.toml"  # the file that declares what is managed

    @cached_property
    def vulndb(self) -> Vulndb:
        """The vulnerability data; the first to ask opens them (blocking)."""
        return Vulndb(self.db.path.with_name(FOLDER), self.uploads.files, self.log)


async def _need_nothing(registry: Registry) -> None:
    """Stand in where no door has to follow a registry."""


def new_generation() -> str:
    """Return the name of a new generation: 8 random hexadecimal digits."""
    return secrets.token_hex(4)


def new_public_id() -> str:
    """Return a new public id: 10 random lower-case letters and digits, safe in a host name."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))
