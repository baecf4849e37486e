"""What an import does with the bytes of others: tell their form, unpack them, and make a file of what they say.

It runs in a child of its own (`scr _feed`, see feed_import.py), which can be ended at any moment: a feed of a gigabyte
takes minutes of a core, and nothing that is wrong with it reaches the server. All that it is given is an open file, and
a folder to write to.
"""

import mmap
import os
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

import msgspec

from appliance.db.advisories import AdvisoryWriter
from appliance.db.foreign import GRYPE_TABLES, JAVA_TABLES, MAGIC, ForeignFile
from appliance.domain.layer import FileKind
from appliance.domain.moment import Timestamp, from_datetime
from appliance.domain.vulnerability import FeedRecord, Vulnerability
from appliance.errors import FeedInvalid, StorageFull
from appliance.scan import tar
from appliance.scan.feeds import grype, java_db, osv, trivy
from appliance.scan.feeds.grype import AffectedRow, VulnerabilityRow
from appliance.scan.inflate import inflate
from appliance.scan.limits import GIB, Limits, Shortcoming
from appliance.scan.stream import Stream

Form = Literal["trivy", "java", "osv", "grype"]
MADE = "made.sqlite"  # in the folder of the import
_UNPACKED = "unpacked"
_BOLT = struct.pack("<I", 0xED0CDAED)  # at byte 16 of a bbolt file
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh")  # gzip, zstd, xz, bzip2
_HEAD = 512  # bytes that tell the form
_PIECE = 1 << 20  # bytes copied at once
_BODIES = ("trivy.db", "trivy-java.db", "vulnerability.db")  # what archives hold
_METADATA = "metadata.json"
_SMALL = 64 << 10  # bytes of metadata.json
_TOLD = 20_000  # records between two words about progress
_LIMITS = Limits(raw=64 * GIB, members=1000)  # of an archive: the largest has two members and some GiB


class FeedOrder(msgspec.Struct, frozen=True):
    """What is known of the input beside its bytes."""

    name: str  # for messages
    folder: str  # where to write
    metadata: str = ""  # the text of a metadata.json that lies beside it
    room: int = 0  # bytes that a file may grow to; 0: as the system allows


class Made(msgspec.Struct, frozen=True):
    """What was made of a feed."""

    form: Form
    built_at: Timestamp | None
    advisories: int = 0
    vulnerabilities: int = 0


Tell = Callable[[int], None]  # told how many records are done


def read_feed(source: IO[bytes], order: FeedOrder, tell: Tell = lambda _: None) -> Made:
    """Write the file MADE from the open file `source` (blocking, long).

    Raises FeedInvalid for what is no feed, or a broken one, StorageFull, StoreFailed.
    """
    head = source.read(_HEAD)
    source.seek(0)
    metadata = order.metadata.encode()
    if not head.startswith(_COMPRESSED) and head[257:262] != b"ustar":
        return _read_plain(source, head, order, metadata, tell)
    unpacked = Path(order.folder) / _UNPACKED
    metadata = _unpack(source, unpacked, order.name) or metadata
    with unpacked.open("rb") as body:
        head = body.read(_HEAD)
        return _read_plain(body, head, order, metadata, tell)


def _read_plain(source: IO[bytes], head: bytes, order: FeedOrder, metadata: bytes, tell: Tell) -> Made:
    target = Path(order.folder) / MADE
    source.seek(0)
    if head[16:20] == _BOLT:
        built = from_datetime(trivy.read_metadata(metadata).updated_at) if metadata else None
        return _write(target, "trivy", trivy.read(_map(source, order.name)), built, tell)
    if head.startswith(MAGIC):
        return _read_sqlite(source, target, order.name, metadata, tell)
    if head.startswith(_ZIP):
        return _write(target, "osv", osv.read_archive(_map(source, order.name)), None, tell)
    if head.lstrip()[:1] == b"{":
        return _write(target, "osv", osv.read_lines(source), None, tell)
    raise FeedInvalid(f"{order.name} holds no vulnerability data that are known here; see: scr vulndb import --help")


def _read_sqlite(source: IO[bytes], target: Path, name: str, metadata: bytes, tell: Tell) -> Made:
    """Read a Grype database, or take a Java database as it is."""
    path = Path(f"/proc/self/fd/{source.fileno()}").resolve()
    foreign = ForeignFile(path, name)
    try:
        if foreign.has(GRYPE_TABLES):
            model, built = foreign.grype_metadata()
            grype.check_model(model)
            return _write(target, "grype", _grype(foreign), _moment(built), tell)
        if foreign.has(JAVA_TABLES):
            at = from_datetime(java_db.read_metadata(metadata).updated_at) if metadata else None
            foreign.check()
            _copy(iter(lambda: source.read(_PIECE), b""), target)
            return Made("java", at)
    finally:
        foreign.close()
    raise FeedInvalid(f"{name} is a database of neither Grype nor Trivy's Java archives; see: scr vulndb import --help")


def _grype(foreign: ForeignFile) -> Iterator[FeedRecord]:
    yield from grype.read_affected(AffectedRow(*row) for row in foreign.affected())
    yield from grype.read_vulnerabilities(VulnerabilityRow(*row) for row in foreign.vulnerabilities())
    yield from grype.read_exploitation(
        ((row[0], row[1]) for row in foreign.scores()), (row[0] for row in foreign.exploited())
    )


def _write(target: Path, form: Form, records: Iterator[FeedRecord], built: Timestamp | None, tell: Tell) -> Made:
    """Write all of `records`. Without a date of their own they are as old as the newest of them."""
    writer, newest = AdvisoryWriter(target), 0
    for done, record in enumerate(records, 1):
        writer.add(record)
        if done % _TOLD == 0:
            tell(done)
        if built is None and isinstance(record, Vulnerability):
            newest = max(newest, record.modified_at or 0)
    counts = writer.finish({"form": form})
    if not counts.advisories:
        raise FeedInvalid("there is no advisory in it about anything that is known here; is it the right file?")
    return Made(form, built or (Timestamp(newest) if newest else None), counts.advisories, counts.vulnerabilities)


def _unpack(source: IO[bytes], target: Path, name: str) -> bytes:
    """Write the database in an archive (tar, however compressed) to `target`; return its metadata.json, or nothing."""
    metadata, is_found = b"", False
    stream = Stream(inflate(iter(lambda: source.read(_PIECE), b""), _LIMITS))
    try:
        for member in tar.walk(stream, _LIMITS):
            file = member.path.rpartition("/")[2]
            if member.kind is not FileKind.FILE or member.laid_out is not None:
                continue
            if file == _METADATA and member.size <= _SMALL:
                metadata = stream.take(member.size)
            elif file in _BODIES and not is_found:
                _copy(stream.portions(member.size), target)
                is_found = True
    except Shortcoming as error:
        raise FeedInvalid(f"{name} cannot be unpacked: {error.message}; fetch it again") from error
    if not is_found:
        raise FeedInvalid(f"{name} holds none of {', '.join(_BODIES)}; see: scr vulndb import --help")
    return metadata


def _copy(pieces: Iterator[bytes], target: Path) -> None:
    try:
        with target.open("wb") as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise StorageFull(
            f"no room to unpack the vulnerability data: {error.strerror or error}; free the disk"
        ) from error


def _map(source: IO[bytes], name: str) -> mmap.mmap:
    """Return the file as memory, page by page as it is read; it goes with the last view of it."""
    if os.fstat(source.fileno()).st_size == 0:
        raise FeedInvalid(f"{name} is empty; fetch it again")
    return mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)


def _moment(text: str) -> Timestamp | None:
    """Return a date as Grype's database has it, None for one that cannot be read."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return from_datetime(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
