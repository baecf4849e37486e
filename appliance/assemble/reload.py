"""Settings that change while the program runs: when to look, and what of a new scr.toml may take effect.

The file is watched; a look every two seconds catches what no watch sees (network file systems, swapped links of mounted
secrets). A file that is missing, empty or wrong changes nothing and is said loudly; a half-written one is waited for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

import msgspec
import watchfiles

from appliance.config import Config, Loaded, Sources, check_safety, list_keys, load
from appliance.errors import ConfigInvalid

LOOK_S = 2.0  # seconds between two looks
_SETTLE_S = 0.2  # seconds a file must stay as it is before it is read: an editor may be writing it
_SETTLINGS = 15  # such times that are waited for; what never comes to rest is read as it is
QUICK_STEP_MS = 100  # for what must take effect within a second: up to two steps, the settling, the reading
_STEP_MS = 500  # the watch looks into its own queue so often; its default of 50 ms would keep an idle machine awake

Section = TypeVar("Section", bound=msgspec.Struct)
Stamp = tuple[tuple[int, int, int], ...]


def _whole(table: str) -> Iterable[str]:
    """Return every key of a table."""
    return (key for path in list_keys() if (key := ".".join(path)).startswith(f"{table}."))


# read at the start only: sockets, the folder
RESTART = (
    "server.listen",
    "server.tls_certificate",
    "server.tls_key",
    "server.allow_plain",
    "server.allow_insecure",
    "endpoint.public.listen",
    "endpoint.public.tls_certificate",
    "endpoint.public.tls_key",
    "endpoint.public.allow_plain",
    "endpoint.management.listen",
    "endpoint.management.tls_certificate",
    "endpoint.management.tls_key",
    "endpoint.management.allow_plain",
    "storage.data_dir",
    "storage.driver",
    "storage.encrypt",
    *_whole("storage.key"),
    *_whole("storage.s3"),
    *_whole("database"),
    "listener",
)


class Change(msgspec.Struct, frozen=True):
    """What a new configuration means: what is in force now, and the keys that changed, or will at the next start."""

    loaded: Loaded
    applied: tuple[str, ...]
    waiting: tuple[str, ...]


def read_again(sources: Sources, current: Loaded) -> Change:
    """Read everything again and return what may take effect while running (blocking).

    Raises ConfigInvalid, and then nothing may change.
    """
    is_from_file = any(one.origin.kind == "file" for one in current.settings)
    if sources.path is not None and is_from_file and not _has_text(sources.path):
        # every default at once, users gone: rather an editor or a full disk than what somebody means
        raise ConfigInvalid(f"{sources.path} is missing or empty; restart scr if that is meant")
    found = load(sources)
    effective = merge(current.config, found.config)
    check_safety(effective)
    different = set(_differing(current, found))
    for table in ("user", "access_key"):  # hashes are hidden among the settings
        if getattr(found.config, table) != getattr(current.config, table):
            different.add(table)
    waiting = {key for key in different if key.startswith(RESTART)}
    return Change(
        msgspec.structs.replace(found, config=effective),
        tuple(sorted(different - waiting)),
        tuple(sorted(waiting)),
    )


def merge(current: Config, found: Config) -> Config:
    """Return `found` with what only a restart can change as it is in `current`."""
    for key in RESTART:
        found = _with_current(found, current, key.split("."))
    return found


def _with_current(found: Section, current: Section, path: list[str]) -> Section:
    """Return `found` with the value that stands at `path` in `current`."""
    name, *rest = path
    value = getattr(current, name)
    if rest:
        value = _with_current(getattr(found, name), value, rest)
    return msgspec.structs.replace(found, **{name: value})


def _differing(current: Loaded, found: Loaded) -> Iterable[str]:
    """Yield the keys whose values differ; users and listeners as a whole."""
    before = {one.key: one.value for one in current.settings}
    after = {one.key: one.value for one in found.settings}
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key):
            yield key.partition("[")[0]


def _has_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(file.read(4096).strip())
    except OSError:
        return False


class Lookout:
    """Calls `changed` when one of the files has changed (False), or when `ring` asked for it (True)."""

    def __init__(
        self,
        files: Callable[[], tuple[Path, ...]],
        changed: Callable[[bool], Awaitable[None]],
        *,
        folder: Path | None = None,
        step_ms: int = _STEP_MS,
        executor: Executor | None = None,
    ) -> None:
        """Watch what `files` returns, asked anew at every look; files may appear and go in `folder`.

        The files are looked at in a thread of `executor`.
        """
        self._files = files
        self._changed = changed
        self._folder = folder
        self._step_ms = step_ms
        self._executor = executor
        self._bell = asyncio.Event()
        self._is_asked = False

    def ring(self) -> None:
        """Call `changed` soon, whatever the files look like."""
        self._is_asked = True
        self._bell.set()

    async def look(self, each: Callable[[], object] = lambda: None) -> None:
        """Look for ever; call `each` at every look."""
        seen: Stamp | None = None  # the first look reads again: a file may have changed since the start read it
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._bell.wait()
            except TimeoutError:
                each()
            self._bell.clear()
            stamp = await self._look()
            if stamp == seen and not self._is_asked:
                continue
            for _ in range(_SETTLINGS):
                await asyncio.sleep(_SETTLE_S)
                settled, stamp = stamp, await self._look()
                if settled == stamp:
                    break
            is_asked, self._is_asked = self._is_asked, False
            await self._changed(is_asked)
            seen = stamp

    async def watch(self) -> None:
        """Ring at every change in the folders of the files, where the system can tell."""
        folders = {self._folder} if self._folder else {file.parent for file in self._files()}
        if not folders:
            return
        async for _ in watchfiles.awatch(
            *folders, recursive=False, step=self._step_ms, watch_filter=self._is_ours, raise_interrupt=False
        ):
            self._bell.set()

    def _is_ours(self, change: watchfiles.Change, path: str) -> bool:
        del change
        return self._folder is not None or Path(path) in self._files()

    async def _look(self) -> Stamp:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._stamp)

    def _stamp(self) -> Stamp:
        """Return what changes when a file does; the inode tells a swapped link apart."""
        found = []
        for file in self._files():
            try:
                status = file.stat()
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)
