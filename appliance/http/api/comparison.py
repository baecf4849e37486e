"""`/api/v1/images/<id>/manifests/<digest>/scan/comparison/<digest>`: two images side by side."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import Provide
from litestar.params import FromPath, QueryParameter

from appliance.domain.layer import FileEntry
from appliance.domain.scan import Flaw
from appliance.domain.vulnerability import Package
from appliance.http.api.asking import InAsking, InRunning, InStock
from appliance.http.api.scan_files import mode_of
from appliance.http.api.scans import FlawShown, InView, provide_view, show_flaw
from appliance.services.scan_compare import Difference, compare

AgainstImage = Annotated[str, QueryParameter(max_length=64, description="id of its image, where that is another one")]


class PackageBrief(msgspec.Struct, frozen=True):
    """A package in few words."""

    ecosystem: str
    name: str
    version: str
    path: str


class MovedShown(msgspec.Struct, frozen=True):
    """A package in another version."""

    ecosystem: str
    name: str
    path: str
    before: str
    after: str


class FileBrief(msgspec.Struct, frozen=True):
    """A file in few words."""

    path: str
    size: int
    mode: str


class PackagesCompared(msgspec.Struct, frozen=True):
    """Packages that only one has, and those in another version."""

    gone: tuple[PackageBrief, ...]
    new: tuple[PackageBrief, ...]
    moved: tuple[MovedShown, ...]


class FlawsCompared(msgspec.Struct, frozen=True):
    """Vulnerabilities that only one has."""

    gone: tuple[FlawShown, ...]
    new: tuple[FlawShown, ...]


class FilesCompared(msgspec.Struct, frozen=True, rename="camel"):
    """Files that only one has, and those that changed: the first thousand of each, and how many there are."""

    gone: tuple[FileBrief, ...]
    new: tuple[FileBrief, ...]
    changed: tuple[FileBrief, ...]
    gone_count: int
    new_count: int
    changed_count: int


class Comparison(msgspec.Struct, frozen=True, rename="camel"):
    """How a manifest differs from an older one. Sizes are bytes of all files that can be seen."""

    before: str
    after: str
    size_before: int
    size_after: int
    packages: PackagesCompared
    vulnerabilities: FlawsCompared
    files: FilesCompared


@get(
    "/api/v1/images/{image_id:str}/manifests/{digest:str}/scan/comparison/{before:str}",
    dependencies={"view": Provide(provide_view)},
    tags=["scans"],
)
async def compare_scans(
    stock: InStock,
    running: InRunning,
    asking: InAsking,
    view: InView,
    image_id: FromPath[str],
    before: FromPath[str],
    image: AgainstImage = "",
) -> Comparison:
    """Compare a manifest with an older one: packages, vulnerabilities, files, sizes."""
    older = await provide_view(stock, running, asking, image or image_id, before)
    found = await running.scanner().file.read(lambda reader: compare(reader, older.scan, view.scan))
    return _compared(older.scan.digest, view.scan.digest, found)


def _compared(before: str, after: str, found: Difference) -> Comparison:
    packages, flaws, files = found.packages, found.flaws, found.files
    return Comparison(
        before=before,
        after=after,
        size_before=found.size[0],
        size_after=found.size[1],
        packages=PackagesCompared(
            tuple(map(_package, packages.gone)),
            tuple(map(_package, packages.new)),
            tuple(MovedShown(one.ecosystem, one.name, one.path, one.before, one.after) for one in found.moved),
        ),
        vulnerabilities=FlawsCompared(tuple(map(_flaw, flaws.gone)), tuple(map(_flaw, flaws.new))),
        files=FilesCompared(
            tuple(map(_file, files.gone)),
            tuple(map(_file, files.new)),
            tuple(map(_file, found.changed)),
            files.gone_count,
            files.new_count,
            found.changed_count,
        ),
    )


def _package(one: Package) -> PackageBrief:
    return PackageBrief(one.ecosystem.value, one.name, one.version, one.found_in)


def _flaw(one: Flaw) -> FlawShown:
    return show_flaw(one)


def _file(entry: FileEntry) -> FileBrief:
    return FileBrief(entry.path, entry.size, mode_of(entry))
