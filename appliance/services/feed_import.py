"""Imports vulnerability data: a child of this program reads the feed, and what it made takes the old one's place whole.

    1. what is to be read is found, and its digest taken: what was imported before is not imported again
    2. `scr _feed` reads it from its standard input and fills a file in a folder of the job's own
    3. the file is synced, named by its own digest, and named in `current.json` (vulndb.py)

A death at any point leaves the data as they were, and a folder that the next start removes.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance import program
from appliance.domain.moment import Timestamp, to_text
from appliance.errors import FeedInvalid, StorageFull, StoreFailed
from appliance.services import feed_source
from appliance.services.course import Course
from appliance.services.feed_reading import MADE, FeedOrder, Made
from appliance.services.feed_source import Input
from appliance.services.stock import Stock
from appliance.services.vulndb import Source, Vulndb

T = TypeVar("T")
_PASSED_ON = ("PATH", "PYTHONPATH", "SCR_CARRIED", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")  # to the child
_LINE = 64 << 10  # bytes of a line of the child
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_BEYOND = re.compile(r"[^a-z0-9]+")


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the child: how far it is, or what has come of it."""

    done: int = 0
    made: Made | None = None
    fault: str = ""
    is_of_disk: bool = False  # the fault is the disk's


class Imported(msgspec.Struct, frozen=True, rename="camel"):
    """What an import has done. `is_new` False: the data were there already."""

    name: str
    form: str
    is_new: bool
    advisories: int
    vulnerabilities: int
    built_at: str | None


Find = Callable[[Path], Awaitable[Input | None]]  # given the job's folder for copies; None: it is what is known


async def import_feed(stock: Stock, data: Vulndb, find: Find, name: str, job: str, course: Course) -> Imported:
    """Import what `find` finds as the source `name` ("": named by its form); `job` names the folder to work in.

    Raises FeedInvalid, StorageFull, StoreFailed, Cancelled: then nothing has changed.
    """
    folder = data.folder / f"{job}.part"
    try:
        await _do(stock, _begin, stock, folder)
        found = await find(folder)
        if found is None:
            return _shown(next(one for one in data.sources if one.name == name), is_new=False)
        digest = await _do(stock, feed_source.digest_of, found.path)
        if found.sha256 and digest != found.sha256.lower():
            raise FeedInvalid(
                f"{found.name} has the SHA-256 {digest} and not {found.sha256.lower()}: it was changed or cut on the"
                " way; carry it over again"
            )
        course.say(f"reading {found.name}, sha256:{digest}")
        for known in data.sources:
            if known.input == digest and (not name or known.name == name):
                if found.verified.is_verified and found.verified is not known.verified:
                    await _do(stock, data.verify, known.name, found.verified)
                return _shown(known, is_new=False)
        made = await _read(stock, found, folder, course)
        course.check()
        return await _do(stock, _keep, stock, data, found, made, name, digest, folder)
    finally:
        await asyncio.shield(_do(stock, partial(shutil.rmtree, folder, ignore_errors=True)))


def check_name(name: str) -> None:
    """Refuse what cannot name a source. Raises FeedInvalid."""
    if not _NAME.fullmatch(name):
        raise FeedInvalid(f"{name[:80]!r} is no name for vulnerability data: up to 40 of a-z, 0-9 and -")


def _begin(stock: Stock, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    stock.uploads.files.add_folder(folder)
    if _room(stock, folder) <= 0:
        raise StorageFull("the disk has no room for vulnerability data; free it, or delete images")


def _room(stock: Stock, folder: Path) -> int:
    """Return how many bytes may be written without taking what is kept free."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize - stock.uploads.min_free


async def _read(stock: Stock, found: Input, folder: Path, course: Course) -> Made:
    """Let a child read the feed; return what it made."""
    order = FeedOrder(found.name, str(folder), found.metadata, _room(stock, folder))
    with await _do(stock, found.path.open, "rb") as source:
        child = await asyncio.create_subprocess_exec(
            *program.command_line(),
            "_feed",
            msgspec.json.encode(order).decode(),
            stdin=source,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )
        try:
            reply = await _listen(child, course)
            code = await child.wait()
        finally:
            if child.returncode is None:
                child.kill()
                await asyncio.shield(child.wait())
    if reply.made is not None and code == 0:
        return reply.made
    if reply.is_of_disk:
        raise StoreFailed(reply.fault)
    raise FeedInvalid(reply.fault or f"reading {found.name} ended by itself ({code}): too large, or out of memory")


async def _listen(child: asyncio.subprocess.Process, course: Course) -> Reply:
    """Return the last word of the child; pass on how far it is. Raises Cancelled."""
    reply = Reply()
    while child.stdout is not None:
        course.check()
        try:
            line = await child.stdout.readline()
            if not line:
                break
            reply = msgspec.json.decode(line, type=Reply)
        except (ValueError, msgspec.MsgspecError):  # a line too long is a ValueError
            return Reply(fault="the program that reads feeds said what it never says; run the import again")
        if reply.done:
            course.progress(reply.done, 0)
    return reply


def _keep(stock: Stock, data: Vulndb, found: Input, made: Made, name: str, digest: str, folder: Path) -> Imported:
    """Sync the file that was made, name it by its digest, and let it count."""
    path, files = folder / MADE, stock.uploads.files
    path.chmod(0o600)
    descriptor = files.open(path)
    try:
        files.sync(descriptor, path)
    finally:
        os.close(descriptor)
    now = stock.clock()
    built = None if made.built_at is None else Timestamp(min(made.built_at, now))  # no data are of tomorrow
    source = Source(
        name=name or _name_of(made, found),
        form=made.form,
        origin=found.origin,
        input=digest,
        digest=feed_source.digest_of(path),
        size=path.stat().st_size,
        built_at=built,
        imported_at=now,
        advisories=made.advisories,
        vulnerabilities=made.vulnerabilities,
        mark=found.mark,
        verified=found.verified,
    )
    is_new = data.put(source, path)
    stock.log.info("vulndb.imported", source=source.name, form=made.form, advisories=made.advisories, new=is_new)
    return _shown(source, is_new=is_new)


def _name_of(made: Made, found: Input) -> str:
    """Return what a source is called where nobody says: there is one of each form, but archives of OSV are many."""
    if made.form != "osv":
        return made.form
    stem = _BEYOND.sub("-", found.name.lower().partition(".")[0]).strip("-")[:30].strip("-")
    return f"osv-{stem}" if stem else "osv"


def _shown(source: Source, *, is_new: bool) -> Imported:
    built = None if source.built_at is None else to_text(source.built_at)
    return Imported(source.name, source.form, is_new, source.advisories, source.vulnerabilities, built)


async def _do(stock: Stock, function: Callable[..., T], *arguments: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(stock.uploads.executor, function, *arguments)
