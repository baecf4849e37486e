"""Feeds as people carry them: databases alone, in archives, in image layouts, as artifacts."""

import gzip
import io
import sqlite3
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import zstandard

from tests import make
from tests.scan.expected import FIXTURES, dense_database
from tests.scan.feeds.grype_file import GrypeFile, read_flaws

LAYER = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
METADATA = (FIXTURES / "dense/metadata.json").read_bytes()
DENSE_FILES = {"trivy.db": dense_database(), "metadata.json": METADATA}
JAVA_FILES = {name: (FIXTURES / "java-db" / name).read_bytes() for name in ("trivy-java.db", "metadata.json")}


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar of plain files."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return body.getvalue()


def dense_archive() -> bytes:
    """The dense database as it is published: a tar.gz of the database and its metadata."""
    return gzip.compress(tar_of(DENSE_FILES), 1, mtime=0)


def dense_artifact() -> make.Manifest:
    """The same as an artifact."""
    return make.artifact("application/vnd.aquasec.trivy.config.v1+json", dense_archive(), media_type=LAYER)


def osv_zip(*names: str) -> bytes:
    """An archive of OSV records: those of the fixtures `names` ("pypi", "go")."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            for number, line in enumerate((FIXTURES / f"osv/{name}.jsonl").read_bytes().splitlines()):
                archive.writestr(f"{name}-{number}.json", line)
    return body.getvalue()


def grype_archive(folder: Path) -> bytes:
    """A Grype database as it is published: a tar.zst with the database."""
    path = folder / "vulnerability.db"
    made = GrypeFile()
    for flaw in read_flaws((FIXTURES / "distro/vunnel.jsonl").read_bytes().splitlines()):
        made.add(flaw)
    made.connection.commit()
    with sqlite3.connect(path) as target:
        made.connection.backup(target)
    target.close()
    made.connection.close()
    return zstandard.compress(tar_of({"vulnerability.db": path.read_bytes()}))


def java_archive() -> bytes:
    """A Java database as it is published."""
    return gzip.compress(tar_of(JAVA_FILES), 1, mtime=0)
