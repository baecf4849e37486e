"""`/api/v1/images/<id>/manifests/<digest>/scan` and `/api/v1/.../scans`: results, and orders of scans."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal, TypeVar

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter, SkipValidation

from appliance.db import hiding, images, jobs, layers, manifests, scan_summaries
from appliance.db.database import Reader
from appliance.db.hiding import Place
from appliance.domain.access import Action
from appliance.domain.exclusion import Exclusion, tally
from appliance.domain.image_policy import pull_refusal
from appliance.domain.names import Digest, ImagePath, parse_digest
from appliance.domain.registry import ImageId, ManifestId
from appliance.domain.scan import Flaw, flaw_of
from appliance.domain.vulnerability import Package, Secret, Severity
from appliance.errors import ManifestUnknown, NameUnknown, ScanUnknown
from appliance.http.api.asking import Asking, InAsking, InRunning, InStock
from appliance.http.api.images import find_image
from appliance.http.api.page import Cursor, Limit, Page, collect_page, moment, moment_or_none
from appliance.http.api.scan_shapes import (
    CATEGORIES,
    PackageFound,
    SecretFile,
    SecretTotals,
    SeverityCount,
    VulnerabilityFound,
    clean_file,
    show_counts,
    show_package,
    show_secret,
    show_vulnerability,
)
from appliance.http.running import Running
from appliance.services import scan_orders, scan_view
from appliance.services.scan_shown import Judged, JudgedPackage, View
from appliance.services.scan_view import Known
from appliance.services.stock import Stock

_Clean = tuple[str, str]  # path and layer of a file without a secret
_CHANGES = 1000  # of each sort that one answer lists
_BLOCKING = 50  # vulnerabilities; the list of all is a filter away
Row = TypeVar("Row")
Shown = TypeVar("Shown")
LeastSeverity = Annotated[
    Literal["negligible", "low", "medium", "high", "critical"] | None,
    QueryParameter(name="severity", description="only this severity and worse"),
]
Category = Annotated[Literal["os", "language"] | None, QueryParameter(description="only packages of this kind")]
Fixable = Annotated[bool | None, QueryParameter(description="only those with a fixed version, or only those without")]
Counted = Annotated[bool | None, QueryParameter(description="only those that count, or only those that are excluded")]
New = Annotated[bool | None, QueryParameter(description="only what is new since the scan before, or only what is not")]
Blocks = Annotated[bool | None, QueryParameter(description="only those for which pulls are refused, or only others")]
Affected = Annotated[bool | None, QueryParameter(description="only those with findings, or only those without")]
Clean = Annotated[bool, QueryParameter(description="the files that were searched and have no secret, instead")]
All = Annotated[
    bool, QueryParameter(name="all", description="both: every file that was searched, those with secrets first")
]
Text = Annotated[str, QueryParameter(max_length=200, description="only what has this text in its id or package")]
Sort = Annotated[Literal["severity", "id", "package", "cvss"], QueryParameter(description="order; the worst first")]
PackageSort = Annotated[Literal["severity", "package"], QueryParameter(description="order; the worst first")]


class DataShown(msgspec.Struct, frozen=True, rename="camel"):
    """Which vulnerability data were matched with."""

    digest: str
    built_at: datetime


class SystemShown(msgspec.Struct, frozen=True, rename="camel"):
    """The distribution of an image. `endOfLife` is null where no date is known."""

    family: str
    version: str
    name: str
    end_of_life: bool | None


class FlawShown(msgspec.Struct, frozen=True):
    """A finding in few words."""

    id: str
    package: str
    version: str
    path: str
    severity: str


class ChangesShown(msgspec.Struct, frozen=True):
    """What is new and what is gone since the scan before; `since` is null where there was none to compare with."""

    since: datetime | None
    new: tuple[FlawShown, ...]
    gone: tuple[FlawShown, ...]


class ScanInFull(msgspec.Struct, frozen=True, rename="camel"):
    """What is known of a manifest. Without `matchedWith` nothing is said of vulnerabilities."""

    digest: str
    state: str  # never, queued, failed, partial, no data, complete
    read_at: datetime | None  # when the contents were read
    matched_at: datetime | None  # when they were last matched
    matched_with: DataShown | None
    is_stale: bool  # newer data, detectors or rules have not been applied yet
    distribution: SystemShown | None
    counts: tuple[SeverityCount, ...]
    found: int
    excluded: int  # by the policy
    accepted: int  # by somebody
    counted: int
    packages: int
    packages_affected: int
    secrets: int
    secrets_excluded: bool
    unjudged: int  # pairs of a package and an advisory that could not be compared
    limits: tuple[str, ...]  # why not all of it was read
    uncovered: tuple[str, ...]  # what the data say nothing about
    refusal: str | None  # why the pull limit refuses it, and what would lift that
    blocking: tuple[FlawShown, ...]  # the first of the vulnerabilities that it refuses it for
    blocking_count: int
    changes: ChangesShown
    job: str | None  # the scan that waits or runs


class Wanted(msgspec.Struct, frozen=True):
    """Which vulnerabilities a list shows."""

    least: Severity
    category: str | None
    fixable: bool | None
    counted: bool | None
    new: bool | None
    blocks: bool | None
    text: str

    def takes(self, view: View, one: Judged) -> bool:
        """Whether the list shows `one` of `view`."""
        finding = one.finding
        return (
            finding.severity >= self.least
            and self.fixable in (None, finding.is_fixable)
            and self.counted in (None, one.excluded is None)
            and self.new in (None, one.is_new)
            and self.blocks in (None, view.blocks(one))
            and is_wanted(finding.package, self.category, self.text, finding.id)
        )


def is_wanted(package: Package, category: str | None, text: str, name: str = "") -> bool:
    """Whether a package is of that kind and has that text in its name; or `name` has it."""
    low = text.lower()
    is_named = low in package.name.lower() or low in name.lower()
    return is_named and category in (None, CATEGORIES[package.ecosystem.is_language])


def provide_wanted(
    severity: LeastSeverity = None,
    category: Category = None,
    fixable: Fixable = None,
    counted: Counted = None,
    new: New = None,
    blocks: Blocks = None,
    text: Text = "",
) -> Wanted:
    """Return which vulnerabilities a list is asked for."""
    return Wanted(Severity(severity or Severity.NONE), category, fixable, counted, new, blocks, text)


async def provide_view(
    stock: InStock, running: InRunning, asking: InAsking, image_id: FromPath[str], digest: FromPath[str]
) -> View:
    """Return the scan of a manifest. Raises ScanUnknown where there is none, and what `_find` raises."""
    path, image, manifest, wanted = _find(stock, asking, image_id, digest)
    view = None
    if scan_summaries.find(stock.db.reader, manifest) is not None:
        view = await scan_view.find_view(stock, running.scanner(), image, wanted)
    if view is None:
        raise ScanUnknown(f"{path} has no scan of {wanted}; order one: scr scan {path}@{wanted}")
    return view


InView = NamedDependency[SkipValidation[View]]
InWanted = NamedDependency[SkipValidation[Wanted]]


class Scans(Controller):
    """Results of the scan of a manifest."""

    path = "/api/v1/images/{image_id:str}/manifests/{digest:str}/scan"
    dependencies = {"view": Provide(provide_view)}  # noqa: RUF012 - Litestar's way
    tags = ["scans"]  # noqa: RUF012 - Litestar's way

    @get()
    async def show(
        self, stock: InStock, running: InRunning, asking: InAsking, image_id: FromPath[str], digest: FromPath[str]
    ) -> ScanInFull:
        """Show what the scan of a manifest came to: times, totals, what does not count, what has changed."""
        _, image, manifest, wanted = _find(stock, asking, image_id, digest)
        scanner = running.scanner()
        view = await scan_view.find_view(stock, scanner, image, wanted)
        (known,) = await scan_view.find_known(stock, scanner, image, [(manifest, wanted)])
        job = jobs.find_alive(stock.db.reader, scan_orders.KIND, wanted)
        shown = view if known.scanned is not None else None  # it was asked for in other images only
        return _show(wanted, known, shown, "" if job is None else job.public_id)

    @get("/vulnerabilities", dependencies={"wanted": Provide(provide_wanted, sync_to_thread=False)})
    async def vulnerabilities(
        self, view: InView, wanted: InWanted, sort: Sort = "severity", cursor: Cursor = "", limit: Limit = 100
    ) -> Page[VulnerabilityFound]:
        """List the vulnerabilities of a manifest, those too that do not count, the worst first."""
        rows = sorted((one for one in view.findings if wanted.takes(view, one)), key=_ORDERS[sort])
        family = _family(view)
        return await list_rows(
            rows, lambda one: show_vulnerability(one, family, blocks=view.blocks(one)), cursor, limit
        )

    @get("/packages")
    async def packages(
        self,
        stock: InStock,
        view: InView,
        affected: Affected = None,
        category: Category = None,
        text: Text = "",
        sort: PackageSort = "severity",
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[PackageFound]:
        """List the packages of a manifest, with and without findings, the worst first."""

        def keep(row: JudgedPackage) -> bool:
            return affected in (None, row.findings > 0) and is_wanted(row.package, category, text)

        rows = await stock.db.read(lambda _: [row for row in view.packages() if keep(row)])
        if sort == "package":
            rows.sort(key=lambda row: (row.package.name, row.package.version))
        family = _family(view)
        return await list_rows(rows, lambda row: show_package(row, family), cursor, limit)

    @get("/secrets")
    async def secrets(
        self,
        running: InRunning,
        view: InView,
        *,
        clean: Clean = False,
        everything: All = False,
        cursor: Cursor = "",
        limit: Limit = 100,
    ) -> Page[SecretFile]:
        """List the secrets of a manifest by file; with `clean` the files that were searched and have none."""
        found = view.secrets if everything or not clean else ()
        without = await _list_clean(running, view) if clean or everything else []
        excluded = view.secrets_excluded
        places = {_place(view, one) for one in found}
        hidden = await running.scanner().file.read(partial(hiding.find_hidden, places=places)) if places else set()

        def show(row: Secret | _Clean) -> SecretFile:
            if isinstance(row, Secret):
                return show_secret(row, is_excluded=excluded, is_hidden=_place(view, row) in hidden)
            return clean_file(*row)

        rows: list[Secret | _Clean] = [*found, *without]
        return await list_rows(rows, show, cursor, limit)

    @get("/secrets/totals")
    async def secret_totals(self, running: InRunning, view: InView) -> SecretTotals:
        """Count the secrets of a manifest by severity, and the files with secrets and without."""
        clean = await _list_clean(running, view)
        excluded = Exclusion.SECRETS if view.secrets_excluded else None
        counts = tally((one.severity, excluded) for one in view.secrets)
        files = len({one.found_in for one in view.secrets})
        return SecretTotals(show_counts(counts), len(view.secrets), files, len(clean))


_ORDERS: dict[str, Callable[[Judged], tuple[object, ...]]] = {
    "severity": lambda one: (-one.finding.severity.rank, -_score(one), one.finding.package.name, one.finding.id),
    "id": lambda one: (one.finding.id, one.finding.package.name),
    "package": lambda one: (one.finding.package.name, -one.finding.severity.rank, one.finding.id),
    "cvss": lambda one: (-_score(one), one.finding.id),
}


def _find(stock: Stock, asking: Asking, image_id: str, text: str) -> tuple[ImagePath, ImageId, ManifestId, Digest]:
    """Return the manifest of that digest. Raises NameUnknown, DigestInvalid, ManifestUnknown."""
    wanted = find_image(stock, asking, image_id, Action.VIEW_REPOSITORY).image
    digest, image = parse_digest(text), images.find_shown(stock.db.reader, wanted)
    if image is None:
        raise NameUnknown(f"there is no image {wanted}")
    found = manifests.find_outline(stock.db.reader, image, digest)
    if found is None:
        raise ManifestUnknown(f"{wanted.path} has no manifest {digest}")
    return wanted.path, image, found.id, digest


async def list_rows(rows: Sequence[Row], show: Callable[[Row], Shown], cursor: str, limit: int) -> Page[Shown]:
    """Return a page of a list that is all there. Its cursor is the place: a scan's results never change."""

    async def fetch(last: str, count: int) -> list[int]:
        start = int(last) + 1 if last.isascii() and last.isdigit() and len(last) < 12 else 0
        return list(range(start, min(start + count, len(rows))))

    page = await collect_page(fetch, str, lambda _: True, cursor, limit)
    return Page([show(rows[place]) for place in page.items], page.next)


def _place(view: View, one: Secret) -> Place:
    return Place(view.scan.digest, Digest(one.layer), one.found_in)


async def _list_clean(running: Running, view: View) -> list[_Clean]:
    """Return the files that were searched for secrets and have none, each with its layer."""
    found = {one.found_in for one in view.secrets}

    def load(reader: Reader) -> list[_Clean]:
        paths: dict[str, str] = {}
        for digest in view.scan.layers:
            layer = layers.find_id(reader, digest)
            if layer is not None:
                paths.update(dict.fromkeys(layers.list_searched(reader, layer), digest))
        return [(path, paths[path]) for path in sorted(paths.keys() - found)]

    return await running.scanner().file.read(load)


def _show(digest: Digest, known: Known, view: View | None, job: str) -> ScanInFull:
    scanned = known.scanned
    scan = None if view is None else view.scan
    system = None if scan is None else scan.report.inventory.distribution
    tallies = () if view is None else view.tallies
    blocking = () if view is None else [flaw_of(one.finding) for one in view.findings if view.blocks(one)]
    return ScanInFull(
        digest=digest,
        state="never" if scanned is None else scanned.state.value,
        read_at=None if scan is None else moment(scan.read_at),
        matched_at=None if scan is None else moment(scan.matched_at),
        matched_with=None
        if scan is None or scan.data is None
        else DataShown(scan.data.digest, moment(scan.data.built_at)),
        is_stale=known.is_stale,
        distribution=None
        if system is None
        else SystemShown(system.family, system.version, system.name, system.end_of_life),
        counts=show_counts(tallies),
        found=sum(one.found for one in tallies),
        excluded=sum(one.excluded for one in tallies),
        accepted=sum(one.accepted for one in tallies),
        counted=sum(one.counted for one in tallies),
        packages=0 if scan is None else len(scan.inventory.packages),
        packages_affected=0 if view is None else view.packages_affected,
        secrets=0 if scan is None else len(scan.inventory.secrets),
        secrets_excluded=view is not None and view.secrets_excluded,
        unjudged=0 if scan is None else len(scan.verdict.unjudged),
        limits=() if scan is None else scan.inventory.limits,
        uncovered=() if scan is None else scan.verdict.uncovered,
        refusal=None if view is None else pull_refusal(view.policy, scanned),
        blocking=tuple(map(show_flaw, blocking[:_BLOCKING])),
        blocking_count=len(blocking),
        changes=_changes(view),
        job=job or None,
    )


def _changes(view: View | None) -> ChangesShown:
    changes = None if view is None else view.scan.verdict.changes
    if changes is None:
        return ChangesShown(None, (), ())
    new, gone = (tuple(show_flaw(flaw) for flaw in flaws[:_CHANGES]) for flaws in (changes.new, changes.gone))
    return ChangesShown(moment_or_none(changes.since), new, gone)


def show_flaw(flaw: Flaw) -> FlawShown:
    """Return a finding in few words, as the API shows it."""
    return FlawShown(flaw.id, flaw.package, flaw.version, flaw.found_in, flaw.severity.value)


def _family(view: View) -> str:
    system = view.scan.report.inventory.distribution
    return "" if system is None else system.family


def _score(one: Judged) -> float:
    cvss = one.finding.cvss
    return 0.0 if cvss is None or cvss.score is None else cvss.score
