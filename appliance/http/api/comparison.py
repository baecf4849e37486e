"""`/api/v1/images/<id>/manifests/<digest>/scan/comparison/<digest>`: two images side by side."""

import asyncio
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import Provide
from litestar.params import FromPath, QueryParameter

from appliance.domain.layer import FileEntry
from appliance.domain.names import Digest
from appliance.domain.vulnerability import Package
from appliance.http.api.asking import Asking, InAsking, InRunning, InStock
from appliance.http.api.manifests import InDescriber, find_row
from appliance.http.api.scan_files import mode_of
from appliance.http.api.scans import FlawShown, InView, provide_view, show_flaw
from appliance.services.build_history import Build
from appliance.services.config_compare import Setting, compare_configs
from appliance.services.describe import Describer
from appliance.services.scan_compare import Difference, compare
from appliance.services.stock import Stock

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


class ConfigsCompared(msgspec.Struct, frozen=True):
    """In what the configs differ: the first thousand, and how many there are; `note` is why nothing can be told."""

    settings: tuple[Setting, ...]
    count: int
    note: str


class Comparison(msgspec.Struct, frozen=True, rename="camel"):
    """How a manifest differs from an older one. Sizes are bytes of all files that can be seen."""

    before: str
    after: str
    size_before: int
    size_after: int
    configs: ConfigsCompared
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
    describer: InDescriber,
    asking: InAsking,
    view: InView,
    image_id: FromPath[str],
    before: FromPath[str],
    image: AgainstImage = "",
) -> Comparison:
    """Compare a manifest with an older one: config and build, packages, vulnerabilities, files, sizes."""
    older = await provide_view(stock, running, asking, image or image_id, before)
    found = await running.scanner().file.read(lambda reader: compare(reader, older.scan, view.scan))
    builds = [
        await _build_of(stock, describer, asking, *one)
        for one in ((image or image_id, older.scan.digest), (image_id, view.scan.digest))
    ]
    return _compared(older.scan.digest, view.scan.digest, await _compare_builds(*builds), found)


async def _build_of(stock: Stock, describer: Describer, asking: Asking, image_id: str, digest: Digest) -> Build | None:
    """Return what the config of a manifest says, None where that is not here. Raises NameUnknown, ManifestUnknown."""
    image, number, row = await find_row(stock, asking, image_id, digest)
    return (await describer.describe(image, number, row)).build


async def _compare_builds(before: Build | None, after: Build | None) -> ConfigsCompared:
    if before is None or after is None:
        return ConfigsCompared((), 0, "the config of one of them is not here, or larger than what is opened")
    found = await asyncio.to_thread(compare_configs, before, after)
    return ConfigsCompared(found.found, found.count, "")


def _compared(before: str, after: str, configs: ConfigsCompared, found: Difference) -> Comparison:
    packages, flaws, files = found.packages, found.flaws, found.files
    return Comparison(
        before=before,
        after=after,
        size_before=found.size[0],
        size_after=found.size[1],
        configs=configs,
        packages=PackagesCompared(
            tuple(map(_package, packages.gone)),
            tuple(map(_package, packages.new)),
            tuple(MovedShown(one.ecosystem, one.name, one.path, one.before, one.after) for one in found.moved),
        ),
        vulnerabilities=FlawsCompared(tuple(map(show_flaw, flaws.gone)), tuple(map(show_flaw, flaws.new))),
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


def _file(entry: FileEntry) -> FileBrief:
    return FileBrief(entry.path, entry.size, mode_of(entry))
