"""When and from where keys, passwords and lasting sign-ins were used: noted in memory, written every 10 s.

A sign-in never waits for the writer; a crash may lose the last 10 s, and nothing else.
"""

import msgspec

from appliance.db import access_keys, principals, sign_ins
from appliance.db.database import Database, Transaction
from appliance.db.sign_ins import Kept
from appliance.domain.accounts import Credential
from appliance.domain.moment import Timestamp
from appliance.errors import ScrError
from appliance.services.sign_ins import REFRESH_LIFE, SESSION_IDLE, SESSION_LIFE


class _Use(msgspec.Struct, frozen=True):
    address: str
    at: Timestamp


class Uses:
    """What was used and is not yet written."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._credentials: dict[Credential, _Use] = {}
        self._sign_ins: dict[int, tuple[Kept, Timestamp]] = {}

    def note(self, credential: Credential, address: str, now: Timestamp) -> None:
        """Note that a key or password was used."""
        self._credentials[credential] = _Use(address, now)

    def note_sign_in(self, kept: Kept, now: Timestamp) -> None:
        """Note that a refresh token or session was used: it lasts longer by that."""
        self._sign_ins[kept.id] = kept, now

    async def flush(self, db: Database) -> None:
        """Write what was noted. What cannot be written now (a full disk) is kept for the next time."""
        if not (self._credentials or self._sign_ins):
            return
        credentials, self._credentials = self._credentials, {}
        kept, self._sign_ins = self._sign_ins, {}

        def write(tx: Transaction) -> None:
            for credential, use in credentials.items():
                if credential.key is None:
                    principals.touch(tx, credential.principal, use.address, use.at)
                else:
                    access_keys.touch(tx, credential.key, use.address, use.at)
            for one, at in kept.values():
                sign_ins.touch(tx, one.id, at, _end_of(one, at))

        try:
            await db.write(write)
        except ScrError:
            self._credentials = credentials | self._credentials
            self._sign_ins = kept | self._sign_ins
            raise


def _end_of(kept: Kept, at: Timestamp) -> Timestamp:
    """Return until when a sign-in lasts that was used at `at`."""
    if kept.registry is not None:
        return Timestamp(at + REFRESH_LIFE)
    return Timestamp(min(at + SESSION_IDLE, kept.created_at + SESSION_LIFE))
