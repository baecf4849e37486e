"""Copies of snapshots of the database in the bucket: what `scr rebuild` begins with where only the bucket is left.

    <prefix>backups/20261125T230000Z.sqlite[.e1]

They are in the form of new blobs, so encrypted where these are.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from appliance.blobstore.files import Files
from appliance.blobstore.forms import PLAIN, SUFFIXES, Forms
from appliance.blobstore.s3 import S3Store
from appliance.blobstore.salvage import open_file
from appliance.blobstore.scratch import scratch
from appliance.blobstore.staging import stage
from appliance.blobstore.sums import CHUNK
from appliance.domain.names import Digest
from appliance.errors import BlobBroken, ScrError, StorageFull
from appliance.services.stock import Stock, new_generation

FOLDER = "backups"
_ENDING = ".sqlite"


async def keep(stock: Stock, bucket: S3Store, path: Path, most: int) -> None:
    """Copy the snapshot `path` into the bucket, and delete those beyond the newest `most`. Raises StoreFailed."""
    uploads = stock.uploads
    loop = asyncio.get_running_loop()
    async with scratch(uploads, f"{new_generation()}.snapshot") as staged:
        await loop.run_in_executor(uploads.executor, _stage, path, staged, uploads.forms, uploads.files)
        await bucket.store_file(staged, f"{FOLDER}/{path.name}{SUFFIXES[uploads.forms.new]}")
    old = (await loop.run_in_executor(uploads.executor, _in_order, bucket, path.name))[most:]
    if old:
        await bucket.objects.delete([f"{FOLDER}/{name}" for name in old])


def _stage(path: Path, staged: Path, forms: Forms, files: Files) -> None:
    """Write the file `path` to `staged` in the form of new blobs."""
    staging = stage(files, staged, forms)
    state = hashlib.sha256()
    descriptor = files.create(staged)
    try:
        with path.open("rb", buffering=0) as source:
            while piece := source.read(CHUNK):
                state.update(piece)
                staging.write(descriptor, [piece])
        staging.finish(descriptor, Digest(f"sha256:{state.hexdigest()}"))
    finally:
        os.close(descriptor)


def _in_order(bucket: S3Store, newest: str) -> list[str]:
    """Return the names of the copies, the newest first; behind them those of a clock that was ahead (blocking)."""
    names = list(_names(bucket))
    count = sum(name.partition(_ENDING)[0] > newest.partition(_ENDING)[0] for name in names)
    return names[count:] + names[:count]


def _names(bucket: S3Store) -> Iterator[str]:
    """Yield the names of the copies, the newest first (blocking)."""
    found = [one.key.rpartition("/")[2] for one in bucket.objects.walk_now(FOLDER)]
    yield from sorted((name for name in found if _ENDING in name), reverse=True)


def fetch_newest(bucket: S3Store, forms: Forms, folder: Path, files: Files) -> str:
    """Bring the newest whole copy from the bucket into `folder`; return its name, "" for none (blocking).

    What lies in `folder` and is as new stays. Raises StoreFailed where the bucket does not answer.
    """
    here = max((path.name for path in folder.glob(f"*{_ENDING}")), default="")
    for name in _names(bucket):
        plain, _, suffix = name.partition(_ENDING)
        target = folder / f"{plain}{_ENDING}"
        if target.name <= here:
            return ""
        form = next((form for form, known in SUFFIXES.items() if known == suffix), None)
        if form is None:
            continue
        try:
            _fetch(bucket, forms, form, name, target, files)
        except BlobBroken:
            continue
        return target.name
    return ""


def _fetch(bucket: S3Store, forms: Forms, form: str, name: str, target: Path, files: Files) -> None:
    """Write the copy `name` to `target`, whole or not at all."""
    part = target.with_name(target.name + ".part")
    files.remove(part)
    pieces = bucket.objects.get_now(f"{FOLDER}/{name}")
    descriptor = files.create(part)
    try:
        offset = 0
        content = pieces if form == PLAIN else open_file(forms, lambda _: next(pieces, b""))
        for piece in content:
            files.write(descriptor, part, [memoryview(piece)], offset)
            offset += len(piece)
        files.sync(descriptor, part)
        files.rename(part, target)
        files.sync_folder(target.parent)
    except ScrError:
        with contextlib.suppress(StorageFull, ScrError):
            files.remove(part)
        raise
    finally:
        os.close(descriptor)
