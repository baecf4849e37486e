"""`/api/v1/vulndb`: the vulnerability data that scans are matched with: age, sources, import, removal."""

import asyncio
from datetime import datetime

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from appliance.domain.access import Action
from appliance.domain.admission import Grant
from appliance.domain.moment import SECOND
from appliance.domain.vulnerability import Vulnerability
from appliance.errors import FeedUnknown
from appliance.http.api.asking import Asking, InAsking, InStock
from appliance.http.api.jobs import JobShown
from appliance.http.api.jobs import show as show_job
from appliance.http.api.page import Page, moment, moment_or_none
from appliance.http.api.viewing import everywhere
from appliance.services import feed_orders
from appliance.services.feed_orders import ImportOrder, parse_reference
from appliance.services.stock import Stock
from appliance.services.vulndb import Source, age_of


class DataShown(msgspec.Struct, frozen=True, rename="camel"):
    """The data in force. `digest` is another one whenever they are; null, as all of it, where there are none yet."""

    digest: str | None
    built_at: datetime | None  # of the oldest source
    age_seconds: int | None
    sources: int
    advisories: int
    covers: list[str]  # distributions with their release, and ecosystems
    unverified: list[str]  # names of sources that nothing spoke for when they were imported


class SourceShown(msgspec.Struct, frozen=True, rename="camel"):
    """One source as it was imported. `size` is bytes; `input` and `digest` are hex SHA-256."""

    name: str
    form: str  # trivy, java, osv, grype
    origin: str
    input: str  # of what was imported
    digest: str  # of the file made of it
    size: int
    built_at: datetime | None
    imported_at: datetime
    advisories: int
    vulnerabilities: int
    verified: str  # how what was imported was: signature, digest, checksum, unverified


class FetchOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which `[[vulndb_source]]` to fetch; "" for each."""

    name: str = ""


class Scored(msgspec.Struct, frozen=True, rename="camel"):
    """A score by one source."""

    source: str
    version: str
    vector: str
    score: float | None


class VulnerabilityShown(msgspec.Struct, frozen=True, rename="camel"):
    """What the data say of an id, whichever the package."""

    id: str
    title: str
    description: str
    severities: dict[str, str]  # by source
    cvss: list[Scored]
    cwes: tuple[str, ...]
    references: tuple[str, ...]
    aliases: tuple[str, ...]
    published_at: datetime | None
    modified_at: datetime | None
    is_withdrawn: bool
    epss: float | None
    is_known_exploited: bool


@get("/api/v1/vulndb", tags=["vulnerability data"])
async def show_data(stock: InStock, asking: InAsking) -> DataShown:
    """Show which vulnerability data are in force, and how old they are."""
    asking.check(Action.VIEW_REGISTRY)
    data = stock.vulndb
    version, sources = data.version, data.sources
    age = None if version is None else age_of(version, stock.clock())
    return DataShown(
        digest=version.digest if version else None,
        built_at=moment(version.built_at) if version and version.built_at else None,
        age_seconds=None if age is None else age // SECOND,
        sources=len(sources),
        advisories=sum(one.advisories for one in sources),
        covers=await asyncio.to_thread(data.namespaces),
        unverified=[one.name for one in sources if not one.verified.is_verified],
    )


@get("/api/v1/vulndb/sources", tags=["vulnerability data"])
async def list_sources(stock: InStock, asking: InAsking) -> Page[SourceShown]:
    """List the sources of the data, by name."""
    everywhere(asking).check(Action.VIEW_REGISTRY)
    return Page([_source(one) for one in stock.vulndb.sources], None)


@delete("/api/v1/vulndb/sources/{name:str}", status_code=200, tags=["vulnerability data"])
async def remove_source(stock: InStock, asking: InAsking, name: FromPath[str]) -> SourceShown:
    """Let a source count no more; answer what it was. Images are matched again without it."""
    everywhere(asking).check(Action.MANAGE_REGISTRY)
    return _source(await feed_orders.remove(stock, asking.caller, name))


@post("/api/v1/vulndb/imports", status_code=202, tags=["vulnerability data"])
async def import_data(stock: InStock, asking: InAsking, data: JSONBody[ImportOrder]) -> JobShown:
    """Let an import run soon; answer its job. A `path` of the host is for the operator on it."""
    everywhere(asking).check(Action.MANAGE_REGISTRY)
    order, grant = data, None
    if data.image:
        grant = _grant(stock, asking, data)
        order = msgspec.structs.replace(data, registry=data.registry or str(asking.site.name))
    return show_job(await feed_orders.order_import(stock, asking.caller, order, grant))


@post("/api/v1/vulndb/fetches", status_code=202, tags=["vulnerability data"])
async def fetch_data(stock: InStock, asking: InAsking, data: JSONBody[FetchOrder]) -> Page[JobShown]:
    """Let a configured source be fetched soon, or each; answer the jobs."""
    everywhere(asking).check(Action.MANAGE_REGISTRY)
    ordered = await feed_orders.order_fetch(stock, asking.caller, data.name)
    return Page([show_job(job) for job in ordered], None)


@get("/api/v1/vulndb/vulnerabilities/{vulnerability:str}", tags=["vulnerability data"])
async def show_vulnerability(stock: InStock, asking: InAsking, vulnerability: FromPath[str]) -> VulnerabilityShown:
    """Show all that the data say of an id as CVE-2024-3094."""
    asking.check(Action.VIEW_REGISTRY)
    found = await asyncio.to_thread(stock.vulndb.tell, vulnerability)
    if found is None:
        raise FeedUnknown(f"the vulnerability data know no {vulnerability[:80]!r}; see: scr vulndb status")
    return _vulnerability(found)


def _grant(stock: Stock, asking: Asking, order: ImportOrder) -> Grant:
    """Return the grant to pull the image: who imports it learns what it says."""
    there = asking.at_name(stock, order.registry or None)
    return there.grant(parse_reference(order.image)[0], Action.PULL)


def _source(source: Source) -> SourceShown:
    return SourceShown(
        name=source.name,
        form=source.form,
        origin=source.origin,
        input=source.input,
        digest=source.digest,
        size=source.size,
        built_at=moment_or_none(source.built_at),
        imported_at=moment(source.imported_at),
        advisories=source.advisories,
        vulnerabilities=source.vulnerabilities,
        verified=source.verified.value,
    )


def _vulnerability(told: Vulnerability) -> VulnerabilityShown:
    return VulnerabilityShown(
        id=told.id,
        title=told.title,
        description=told.description,
        severities={one.source: one.severity.value for one in told.vendor_severities},
        cvss=[Scored(one.source, one.version, one.vector, one.score) for one in told.cvss],
        cwes=told.cwes,
        references=told.references,
        aliases=told.aliases,
        published_at=moment_or_none(told.published_at),
        modified_at=moment_or_none(told.modified_at),
        is_withdrawn=told.withdrawn,
        epss=told.epss,
        is_known_exploited=told.known_exploited,
    )


VULNDB = (show_data, list_sources, remove_source, import_data, fetch_data, show_vulnerability)
