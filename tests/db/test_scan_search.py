"""Search over what was scanned: by package, vulnerability, path, name and content, page by page."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from appliance.db import layers, migrate, scan_search, scans
from appliance.db.scan_search import FileHit
from appliance.db.side_file import SideFile
from appliance.domain.layer import FileEntry, FileKind, LayerContents
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.errors import QueryInvalid
from appliance.logs import Log
from tests.db.test_scans import NEW, OLD, scan

pytestmark = pytest.mark.anyio
LAYERS = (Digest("sha256:" + "a" * 64), Digest("sha256:" + "b" * 64))
PATHS = ("etc/passwd", "etc/ssl/openssl.cnf", "etc/ssl/certs/ca.pem", "etc/sslx", "app/openssl.cnf", "init", "a[b/c")


@pytest.fixture
async def file(tmp_path: Path, executor: ThreadPoolExecutor) -> SideFile:
    opened = SideFile(tmp_path / "scan.sqlite", executor, Log(out=io.StringIO()), migrate.SCANS)
    for number, digest in enumerate(LAYERS):
        entries = [
            FileEntry(path, FileKind.FILE, 1 + number, 0o644, bytes([place]) * 32) for place, path in enumerate(PATHS)
        ]
        layer = await opened.write(partial(layers.begin, digest=digest, reader="1", now=Timestamp(1)))
        await opened.write(partial(layers.add_files, layer=layer, entries=entries))
        await opened.write(partial(layers.finish, layer=layer, contents=LayerContents(None, 0, ())))
    for number in (1, 2, 3):
        await opened.write(partial(scans.put, scan=scan(*([OLD, NEW] if number == 2 else [OLD]), number=number)))
    return opened


@pytest.fixture(autouse=True)
def closed(file: SideFile) -> Iterator[None]:
    yield
    file.close()


async def found(file: SideFile, text: str, limit: int = 100) -> list[FileHit]:
    """Return all hits, asked for in pages of `limit`."""
    hits: list[FileHit] = []
    while True:
        last = hits[-1].key if hits else ""
        page = await file.read(partial(scan_search.find_files, text=text, last=last, limit=limit))
        hits += page
        if len(page) < limit:
            return hits


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("/etc/passwd", {"etc/passwd"}),
        ("/init", {"init"}),
        ("/etc/ssl/*", {"etc/ssl/openssl.cnf", "etc/ssl/certs/ca.pem"}),
        ("/etc/ssl*", {"etc/ssl/openssl.cnf", "etc/ssl/certs/ca.pem", "etc/sslx"}),
        ("/*", set(PATHS)),
        ("/a[b/*", {"a[b/c"}),
        ("/nowhere/x", set()),
        ("openssl.cnf", {"etc/ssl/openssl.cnf", "app/openssl.cnf"}),
        ("open*", {"etc/ssl/openssl.cnf", "app/openssl.cnf"}),
        ("*ssl*", {"etc/ssl/openssl.cnf", "app/openssl.cnf", "etc/sslx"}),
        ("none", set()),
    ],
)
@pytest.mark.parametrize("limit", [1, 100])
async def test_files_are_found_by_path_and_name_in_every_layer(
    file: SideFile, text: str, paths: set[str], limit: int
) -> None:
    hits = await found(file, text, limit)

    assert sorted((hit.path, hit.layer) for hit in hits) == sorted((path, layer) for path in paths for layer in LAYERS)


async def test_files_are_found_by_content_with_the_manifests_they_are_in(file: SideFile) -> None:
    hits = await file.read(partial(scan_search.find_content, sha256=bytes([1]) * 32, last="", limit=10))

    assert {hit.path for hit in hits} == {"etc/ssl/openssl.cnf"}
    assert all(hit.manifests == tuple(scan(number=number).digest for number in (1, 2, 3)) for hit in hits)


async def test_packages_are_found_by_name_and_version_whatever_the_case(file: SideFile) -> None:
    find = partial(scan_search.find_packages, last="", limit=10)

    by_name = await file.read(partial(find, name="FLASK", version="0.9"))
    by_start = await file.read(partial(find, name="fl*", version=""))
    other = await file.read(partial(find, name="flask", version="1.0"))
    after = await file.read(partial(find, name="flask", version="", last=by_name[0].key))

    assert [hit.manifest for hit in by_name] == [scan(number=number).digest for number in (1, 2, 3)]
    assert by_start == by_name
    assert other == []
    assert after == by_name[1:]


async def test_vulnerabilities_are_found_with_their_worst_severity(file: SideFile) -> None:
    (hit,) = await file.read(partial(scan_search.find_flaws, vulnerability="ghsa-2", last="", limit=10))
    some = await file.read(partial(scan_search.find_flaws, vulnerability="CVE-*", last="", limit=2))
    rest = await file.read(partial(scan_search.find_flaws, vulnerability="CVE-*", last=some[-1].key, limit=2))

    assert (hit.vulnerability, hit.rank, hit.manifest) == ("GHSA-2", 6, scan(number=2).digest)
    assert len(some) + len(rest) == 3


@pytest.mark.parametrize("text", ["", "*"])
async def test_a_search_for_nothing_is_refused(file: SideFile, text: str) -> None:
    with pytest.raises(QueryInvalid):
        await file.read(partial(scan_search.find_files, text=text, last="", limit=1))


async def test_a_cursor_of_another_list_is_refused(file: SideFile) -> None:
    with pytest.raises(QueryInvalid):
        await file.read(partial(scan_search.find_flaws, vulnerability="CVE-1", last="[1,2,3]", limit=1))
