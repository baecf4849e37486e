"""What was acknowledged, and when: kept outside of the thing that is tested."""

from collections.abc import Awaitable

import msgspec

from tests.crash.recording import Log
from tests.make.images import Blob

NEVER = 1 << 60


class _Entry(msgspec.Struct):
    """`value` was asked for when `begun` steps were made, and acknowledged after `done` steps."""

    value: str
    begun: int
    done: int


class Key(msgspec.Struct, frozen=True):
    """A reference of an image, or a blob as an image sees it."""

    path: str
    reference: str
    is_blob: bool = False


class Journal:
    """Keeps for each reference which digest it was given, "" where it was taken away."""

    def __init__(self, log: Log) -> None:
        """Count the steps of `log`."""
        self._log = log
        self._entries: dict[Key, list[_Entry]] = {}
        self._damaged: list[tuple[str, int, int]] = []
        self.blobs: dict[str, Blob] = {}  # every blob that was ever pushed

    async def act(self, action: Awaitable[object], *, gives: dict[Key, str] | None = None) -> None:
        """Do `action`; once it returns, each of `gives` is what its reference must name, "" for nothing."""
        entries = [(key, _Entry(value, len(self._log.steps), NEVER)) for key, value in (gives or {}).items()]
        for key, entry in entries:
            self._entries.setdefault(key, []).append(entry)
        await action
        for _, entry in entries:
            entry.done = len(self._log.steps)

    def damage(self, digest: str) -> None:
        """The bytes of the blob are broken from now on."""
        self._damaged.append((digest, len(self._log.steps), NEVER))

    def heal(self) -> None:
        """The broken blobs were pushed again."""
        self._damaged = [(digest, since, min(until, len(self._log.steps))) for digest, since, until in self._damaged]

    def allowed(self, cut: int) -> dict[Key, set[str]]:
        """Return what each reference may be when the power goes after `cut` steps."""
        found: dict[Key, set[str]] = {}
        for key, entries in self._entries.items():
            current = [entry.value for entry in entries if entry.done <= cut]
            under_way = {entry.value for entry in entries if entry.begun < cut < entry.done}
            found[key] = under_way | {current[-1] if current else ""}
        return found

    def damaged(self, cut: int) -> set[str]:
        """Return the digests of blobs that may be broken after `cut` steps."""
        return {digest for digest, since, until in self._damaged if since <= cut <= until}
