"""The results of a scan: by vulnerability, by package, by secret; scans ordered; findings accepted and opened again."""

import asyncio
from datetime import datetime

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.domain.manifest import Kind
from appliance.errors import QueryInvalid
from appliance.http.api.acceptances import AcceptanceOrder, AcceptanceShown
from appliance.http.api.images import ImageInFull
from appliance.http.api.jobs import JobShown
from appliance.http.api.manifests import ManifestInFull
from appliance.http.api.page import Page
from appliance.http.api.repositories import RepositoryView
from appliance.http.api.scan_shapes import PackageFound, SecretFile, SecretTotals, VulnerabilityFound
from appliance.http.api.scanning import ScanOrder, ScansOrdered
from appliance.http.api.scans import ScanInFull
from appliance.http.api.viewing import may_view_all
from appliance.http.ui.backend import Refused, within
from appliance.http.ui.forms import Form
from appliance.http.ui.images import find_image
from appliance.http.ui.lists import Asked
from appliance.http.ui.picker import find_registry
from appliance.http.ui.render import query, segment
from appliance.http.ui.view import InView, View

WILL_BE = "Vulnerability assessment will be performed."  # manual, 2.3
_FILTERS = ("severity", "category", "fixable", "counted", "blocks", "new", "text")
_SORTS = ("severity", "id", "package", "cvss")
_ACCEPTED_SORTS = ("vulnerability", "package", "where", "by", "accepted", "expires")
_PACKAGE_SORTS = ("severity", "package")
_MOST_PLATFORMS = 32  # whose results one page of an index tells
_SWITCHES = ("true", "false")
_PLACES = ("image", "repository", "registry", "everywhere")


class ScanPages(Controller):
    """The pages of a scan's results."""

    path = "/images/{image_id:str}/manifests/{digest:str}/scan"

    @get()
    async def show(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show the vulnerabilities; of an index, what is known of each platform."""
        head = await find_head(view, image_id, digest)
        if head.get("scan") is None:
            return view.page("pages/scan_none.html", status=200, **head)
        asked = Asked.of(view, sorts=_SORTS, default="severity", filters=_FILTERS)
        page = await view.api.get(
            _within(image_id, digest, "vulnerabilities"), Page[VulnerabilityFound], **_wish(asked)
        )
        return view.page("pages/scan_vulnerabilities.html", status=200, page=page, asked=asked, **head)

    @get("/packages")
    async def show_packages(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show the packages: all, those with findings, or those without."""
        head = await find_head(view, image_id, digest)
        if head.get("scan") is None:
            return view.page("pages/scan_none.html", status=200, **head)
        asked = Asked.of(view, sorts=_PACKAGE_SORTS, default="severity", filters=("affected", "category", "text"))
        page = await view.api.get(_within(image_id, digest, "packages"), Page[PackageFound], **_wish(asked))
        return view.page("pages/scan_packages.html", status=200, page=page, asked=asked, **head)

    @get("/secrets")
    async def show_secrets(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show every file that was searched for secrets, or those with some, or those without."""
        head = await find_head(view, image_id, digest)
        if head.get("scan") is None:
            return view.page("pages/scan_none.html", status=200, **head)
        asked = Asked.of(view, filters=("clean",))
        wish = _wish(asked)
        wish["all"] = None if "clean" in wish else "true"
        page = await view.api.get(_within(image_id, digest, "secrets"), Page[SecretFile], **wish)
        totals = await view.api.get(_within(image_id, digest, "secrets", "totals"), SecretTotals)
        return view.page("pages/scan_secrets.html", status=200, page=page, totals=totals, asked=asked, **head)

    @post()
    async def order(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Let it be scanned soon."""
        await view.form()
        path = within("images", image_id, "scans")
        done = await view.api.make("POST", path, ScanOrder(digests=(digest,)), ScansOrdered)
        return view.go(place_of(image_id, digest), told_of(view, done))

    @get("/accept")
    async def ask_accept(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Show the form that lets a vulnerability not count."""
        told = view.request.query_params
        return await _ask_accept(view, image_id, digest, told.get("id", "")[:100], told.get("package", "")[:300])

    @post("/accept")
    async def accept(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Let it not count."""
        form = await view.form()
        vulnerability, package = form.text("vulnerability"), form.text("package")
        try:
            order = await _acceptance(view, image_id, form)
            await view.api.send("POST", within("accepted-findings"), order)
        except Refused as error:
            form.refuse(error, ("reason",))
            return await _ask_accept(view, image_id, digest, vulnerability, package, form, error.status)
        told = view.text("{} is accepted: it does not count any more.").format(vulnerability)
        return view.go(query(place_of(image_id, digest), text=vulnerability), told)

    @post("/reopen")
    async def reopen(self, view: InView, image_id: FromPath[str], digest: FromPath[str]) -> Response[str]:
        """Let an accepted finding count again."""
        form = await view.form()
        await view.api.send("DELETE", within("accepted-findings", form.text("acceptance")))
        told = view.text("{} counts again.").format(form.text("vulnerability"))
        return view.go(query(place_of(image_id, digest), text=form.text("vulnerability")), told)


@get("/accepted-findings")
async def list_accepted(view: InView) -> Response[str]:
    """Show what is accepted in the registry, or everywhere."""
    asked = Asked.of(view, sorts=_ACCEPTED_SORTS, default="-accepted", filters=("registry",))
    page = await view.api.get(within("accepted-findings"), Page[AcceptanceShown], **asked.parameters())
    return view.page("pages/accepted_findings.html", page=page, asked=asked)


@post("/accepted-findings/{acceptance:str}/reopen")
async def reopen_accepted(view: InView, acceptance: FromPath[str]) -> Response[str]:
    """Let it count again."""
    form = await view.form()
    await view.api.send("DELETE", within("accepted-findings", acceptance))
    told = view.text("{} counts again.").format(form.text("vulnerability"))
    return view.go(query("/accepted-findings", registry=form.text("registry")), told)


def place_of(image_id: str, digest: str) -> str:
    """Return the address of the results of a manifest."""
    return f"/images/{image_id}/manifests/{segment(digest)}/scan"


def told_of(view: View, done: ScansOrdered) -> str:
    """Return what is said after an order: the manual's phrase, and what is not scanned and why."""
    said = [view.text(WILL_BE)] if done.digests else [view.text("Nothing is scanned.")]
    return " ".join([*said, *(view.say(one.reason) for one in done.refused[:3])])


def _within(image_id: str, digest: str, *more: str) -> str:
    return within("images", image_id, "manifests", digest, "scan", *more)


def _wish(asked: Asked) -> dict[str, object]:
    """Return what the API is asked for; a filter that is no switch of its own is left out as not asked."""
    told = asked.parameters()
    told.pop("name")
    told["sort"] = asked.sort.removeprefix("-")  # the worst first, always
    for name in ("fixable", "counted", "blocks", "new", "affected", "clean"):
        if told.get(name) not in _SWITCHES:
            told.pop(name, None)
    return told


async def find_head(view: View, image_id: str, digest: str) -> dict[str, object]:
    """Return what the head of each page of a scan tells. Without a scan there is no `scan` in it."""
    image, _ = await find_image(view, image_id)
    manifest = await view.api.get(within("images", image_id, "manifests", digest), ManifestInFull)
    scan = await view.api.get(_within(image_id, digest), ScanInFull)
    tag = view.request.query_params.get("tag", "")[:128]
    job = None
    if scan.job is not None and may_view_all(view.asking):  # jobs are about the whole appliance
        job = await view.api.get(within("jobs", scan.job), JobShown)
    told = {
        "image": image,
        "manifest": manifest,
        "tag": tag if any(one.name == tag for one in manifest.tags) else "",
        "state_of_scan": scan,
        "job": job,
        "scan": scan if scan.read_at is not None else None,
    }
    if manifest.kind is Kind.INDEX:
        told["platforms"] = await _platforms(view, image_id, manifest)
    return told


async def _platforms(view: View, image_id: str, manifest: ManifestInFull) -> list[tuple[str, ManifestInFull]]:
    """Return the platforms of an index that are here, with what is known of them."""
    here = [one for one in manifest.platforms if one.is_here][:_MOST_PLATFORMS]
    place = ("images", image_id, "manifests")
    found = await asyncio.gather(*(view.api.get(within(*place, one.digest), ManifestInFull) for one in here))
    return [(one.platform or "", manifest) for one, manifest in zip(here, found, strict=True)]


async def _ask_accept(
    view: View,
    image_id: str,
    digest: str,
    vulnerability: str,
    package: str,
    form: Form | None = None,
    status: int = 200,
) -> Response[str]:
    head = await find_head(view, image_id, digest)
    told = {"vulnerability": vulnerability, "package": package, "form": form, "places": _PLACES}
    return view.page("pages/scan_accept.html", status=status, **told, **head)


async def _acceptance(view: View, image_id: str, form: Form) -> AcceptanceOrder:
    """Return what the form asks for. Raises Refused with the mistakes in the form."""
    image, _ = await find_image(view, image_id)
    where = form.choice("where", _PLACES, "image")
    until = form.parsed("until", _day, None)
    form.check()
    repository = registry = ""
    if where == "repository":
        repository = await _repository_of(view, image)
    elif where == "registry":
        found = await find_registry(view, image.registry)
        if found is None:  # without its place the order would be for everywhere
            raise Refused(404, "registry-unknown", f"there is no registry {image.registry} that you may see")
        registry = found.id
    return AcceptanceOrder(
        vulnerability=form.text("vulnerability"),
        reason=form.text("reason"),
        package=form.text("package") if form.switch("only_package") else "",
        image=image_id if where == "image" else "",
        repository=repository,
        registry=registry,
        expires_at=until,
    )


def _day(text: str) -> datetime | None:
    """Return the begin of a day (UTC), None for an empty field. Raises QueryInvalid."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(f"{text[:10]}T00:00:00+00:00")
    except ValueError as error:
        raise QueryInvalid("write a day as 2027-01-31") from error


async def _repository_of(view: View, image: ImageInFull) -> str:
    name = image.path.partition("/")[0]
    page = await view.api.get("/api/v1/repositories", Page[RepositoryView], registry=image.registry, path=name)
    if not page.items:
        raise Refused(404, "name-unknown", f"there is no repository {name}")
    return page.items[0].id
