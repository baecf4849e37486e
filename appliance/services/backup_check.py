"""Finds a backup or a snapshot, and checks whether it is whole: nothing is restored, or trusted, without that."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from appliance.blobstore.forms import PLAIN, size_in
from appliance.blobstore.names import path_of
from appliance.db import integrity, snapshot
from appliance.domain.moment import SECOND, Timestamp, to_text
from appliance.domain.names import algorithm_of, hex_of
from appliance.domain.registry import StoredBlob
from appliance.errors import ConfigInvalid
from appliance.services.backup import DATABASE, DESCRIPTION, EXTRAS, FORMAT, Description, list_backups

_LISTED = 1000  # faults that are listed one by one

Progress = Callable[[int, int], None]  # bytes looked at, of how many


class Found(msgspec.Struct, frozen=True):
    """A backup: the folder of one, or the file of a snapshot, which has no blobs."""

    path: Path
    database: Path
    description: Description | None

    @property
    def is_snapshot(self) -> bool:
        """Whether it is the database alone."""
        return self.description is None

    @property
    def taken_at(self) -> str:
        """When it was made, as RFC 3339 text; of a snapshot, when its file was written."""
        if self.description is not None:
            return self.description.taken_at
        return to_text(Timestamp(int(self.database.stat().st_mtime) * SECOND))

    def list_extras(self) -> Iterator[Path]:
        """Yield the files of keys, certificates and allowlists."""
        for name in EXTRAS if self.description is not None else ():
            yield from (one for one in sorted((self.path / name).rglob("*")) if one.is_file())


class Checked(msgspec.Struct, frozen=True, rename="camel"):
    """What was looked at, and what is wrong: `faults` in all, the first of them listed. Sizes are bytes."""

    backup: str
    taken_at: str
    blobs: int
    bytes: int
    faults: int
    listed: tuple[str, ...]


def find_backup(path: Path) -> Found:
    """Return the backup at `path`: a snapshot, a backup, or the newest of a folder of backups (blocking).

    Raises ConfigInvalid where there is none, or a newer program's.
    """
    if path.is_file():
        return Found(path, path, None)
    folder = path if (path / DESCRIPTION).is_file() else _newest(path)
    try:
        description = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Description)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigInvalid(f"{folder / DESCRIPTION} cannot be read: {error}; choose another backup") from error
    if description.format > FORMAT:
        raise ConfigInvalid(
            f"{folder} has format {description.format}, and this scr knows {FORMAT}: a newer scr wrote it; use that one"
        )
    return Found(folder, folder / DATABASE, description)


def _newest(path: Path) -> Path:
    found = list_backups(path)
    if not found:
        raise ConfigInvalid(f"{path} is no backup of scr, and holds none: a whole one has a {DESCRIPTION}")
    return found[-1]


def check_database(found: Found) -> str:
    """Return why the database of a backup cannot be used, or "" where it can (blocking)."""
    description = found.description
    if description is not None:
        try:
            with found.database.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        if digest != description.database_sha256:
            return "it is not the file that was written: its SHA-256 is another"
    return integrity.judge_file(found.database)


def check_backup(found: Found, *, deep: bool, progress: Progress) -> Checked:
    """Look at all of a backup; `deep` reads and hashes every byte (blocking)."""
    fault = check_database(found)
    faults = [f"{DATABASE}: {fault}"] if fault else []
    count = size = total = 0
    if found.description is not None and not fault:
        total = found.description.bytes
        for blob in snapshot.list_blobs(found.database):
            if fault := _check_blob(found.path, blob, deep=deep):
                faults.append(f"{blob.digest}: {fault}")
            count += 1
            size += blob.size
            progress(size, max(total, size))
    return Checked(str(found.path), found.taken_at, count, size, len(faults), tuple(faults[:_LISTED]))


def _check_blob(folder: Path, blob: StoredBlob, *, deep: bool) -> str:
    """Return what is wrong with a blob of a backup, or ""."""
    path = folder / path_of(blob.digest, blob.generation, form=blob.form)
    try:
        if size_in(blob.form, path.stat().st_size) != blob.size:
            return "its file has another size"
        if not deep:
            return ""
        with path.open("rb") as file:
            if blob.form != PLAIN:  # the key is not here: the header, which is signed with it, tells which file it is
                return "" if file.read(len(blob.sums)) == blob.sums else "its header is another"
            is_same = hashlib.file_digest(file, algorithm_of(blob.digest)).hexdigest() == hex_of(blob.digest)
            return "" if is_same else "its bytes are others"
    except FileNotFoundError:
        return "its file is missing"
    except OSError as error:
        return f"its file cannot be read: {error.strerror}"
