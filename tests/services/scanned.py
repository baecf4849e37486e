"""A scanner over a house, vulnerability data in memory, and images of the fixtures as they are pushed."""

import sqlite3
import tarfile
from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from appliance.db import migrate, scan_summaries, scans
from appliance.db.side_file import SideFile
from appliance.domain.image_policy import Scanned
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.scan import Scan
from appliance.domain.vulnerability import DataVersion, FeedRecord, Inventory
from appliance.scan.feeds import java_db
from appliance.scan.match import Matched, match
from appliance.services.course import UNFOLLOWED
from appliance.services.scan_protocol import Setup
from appliance.services.scan_reading import ScanOptions
from appliance.services.scanning import ScanDone, Scanner
from tests import make
from tests.make.images import OCI_MANIFEST
from tests.scan.expected import FIXTURES
from tests.scan.feeds.test_java_db import Database
from tests.scan.memory_lookup import MemoryLookup
from tests.services.conftest import House

THEN = Timestamp(1_785_542_400_000)  # 2026-08-01, when the findings of the fixtures were written down
JAVA = FIXTURES / "java-db/trivy-java.db"
SETUP = Setup(memory=1 << 30, cpu_s=120)


class MemoryData:
    """Vulnerability data of one version, with the Java database of the fixtures."""

    def __init__(self, records: Iterable[FeedRecord], digest: str = "sha256:data") -> None:
        self.version = DataVersion(digest, THEN)
        self._lookup = MemoryLookup(records)

    def judge(self, inventory: Inventory, now: Timestamp) -> tuple[Inventory, Matched]:
        connection = sqlite3.connect(f"file:{JAVA}?mode=ro", uri=True)
        try:
            resolved = java_db.resolve(inventory, Database(connection))
        finally:
            connection.close()
        return resolved, match(resolved, self._lookup, now)


class ScanHouse:
    """What a scanner of a house does, in few words. `data` and `options` may be replaced."""

    def __init__(self, house: House, executor: Executor) -> None:
        self.house = house
        self.data: MemoryData | None = None
        self.options = ScanOptions(SETUP, 300)
        self.file = SideFile(house.folder / "scan.sqlite", executor, house.stock.log, migrate.SCANS)
        self.scanner = Scanner(house.stock, self.file, lambda: self.options, lambda: self.data)

    async def scan(self, manifest: make.Manifest) -> ScanDone:
        return await self.scanner.scan(Digest(manifest.digest), UNFOLLOWED)

    async def found(self, manifest: make.Manifest) -> Scan:
        scan = await self.file.read(lambda reader: scans.find(reader, Digest(manifest.digest)))
        assert scan is not None, "it was never scanned"
        return scan

    def summary(self, name: str, manifest: make.Manifest) -> Scanned | None:
        """Return what the pull limit knows of the manifest in the image `name`."""
        reader = self.house.stock.db.reader
        row = reader.one(
            "SELECT id FROM manifests WHERE image_id = ? AND digest = ?",
            (self.house.image_id(name), b"\x01" + bytes.fromhex(manifest.digest.partition(":")[2])),
        )
        assert row is not None
        return scan_summaries.find(reader, row[0])

    def jobs(self) -> list[str]:
        """Return the subjects of the scans that wait."""
        reader = self.house.stock.db.reader
        return [row[0] for row in reader.rows("SELECT subject FROM jobs WHERE kind = 'scan' AND state = 'waiting'")]


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    media_type: str = ""


class _Index(msgspec.Struct):
    manifests: list[_Descriptor]


class _Manifest(msgspec.Struct):
    config: _Descriptor
    layers: list[_Descriptor]


def image_of(layout: Path) -> make.Manifest:
    """Return the first image of a layout in a tar.gz, as it is pushed."""
    files: dict[str, bytes] = {}
    with tarfile.open(layout) as archive:
        for member in archive:
            if body := archive.extractfile(member):
                files[member.name.removeprefix("./")] = body.read()

    def blob(digest: str) -> bytes:
        return files[f"blobs/{digest.replace(':', '/')}"]

    first = msgspec.json.decode(files["index.json"], type=_Index).manifests[0]
    content = blob(first.digest)
    manifest = msgspec.json.decode(content, type=_Manifest)
    blobs = tuple(make.Blob(blob(part.digest)) for part in (manifest.config, *manifest.layers))
    return make.Manifest(first.media_type or OCI_MANIFEST, content, blobs)
