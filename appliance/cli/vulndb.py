"""`scr vulndb`: the vulnerability data that scans are matched with: import, status, list, remove, fetch."""

import argparse
from pathlib import Path

import msgspec

from appliance.cli import following
from appliance.cli.asking import Page, add_asking, confirm, count_text, show_list, time_text
from appliance.cli.client import connect
from appliance.cli.following import Job
from appliance.cli.parser import Parser
from appliance.cli.terminal import RED, paint, say, show, show_json
from appliance.domain.sizes import size_text
from appliance.errors import Conflict, Invalid, Unavailable

EXAMPLES = ("scr vulndb import db.tar.gz", "scr vulndb status")

_VERIFIED = {
    "signature": "verified by its signature",
    "digest": "verified by its digest",
    "checksum": "verified by its check sum",
}
_DAY = 86400  # seconds


class _Imported(msgspec.Struct, rename="camel"):
    name: str
    form: str
    is_new: bool
    advisories: int
    vulnerabilities: int
    built_at: str | None


class _Data(msgspec.Struct, rename="camel"):
    digest: str | None
    built_at: str | None
    age_seconds: int | None
    sources: int
    advisories: int
    covers: list[str]
    unverified: list[str]


class _Source(msgspec.Struct, rename="camel"):
    name: str
    form: str
    origin: str
    input: str
    digest: str
    size: int
    built_at: str | None
    imported_at: str
    advisories: int
    vulnerabilities: int
    verified: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    examples = ("scr vulndb import db.tar.gz", "scr vulndb import --image aquasec/trivy-db:2")
    line = "import vulnerability data from a file, a folder, or an image of a registry here"
    importing = verbs.add_parser("import", help=line, examples=examples)
    importing.add_argument(
        "path",
        nargs="?",
        type=Path,
        help="on the server's host: a Trivy database or Java database (the file, its archive, an OCI layout), an OSV"
        " archive (.zip), a Grype database",
    )
    importing.add_argument("--image", metavar="NAME", default="", help="an artifact that was pushed to a registry here")
    importing.add_argument("--registry", metavar="NAME", default="", help="the registry of the image, if not local")
    importing.add_argument("--name", default="", help="what the source is called; else it is named by its form")
    importing.add_argument("--sha256", metavar="HEX", default="", help="what the file has to be")
    importing.add_argument("--detach", action="store_true", help="do not wait for its end")
    add_asking(importing)
    examples = ("scr vulndb status", "scr vulndb status --json")
    add_asking(verbs.add_parser("status", help="show how old the data are and what they cover", examples=examples))
    examples = ("scr vulndb list", "scr vulndb list --json")
    add_asking(verbs.add_parser("list", help="list the sources of the data", examples=examples))
    examples = ("scr vulndb fetch", "scr vulndb fetch trivy --json")
    fetching = verbs.add_parser("fetch", help="fetch from the sources that scr.toml names, now", examples=examples)
    fetching.add_argument("name", nargs="?", default="", help="of the [[vulndb_source]]; else each of them")
    add_asking(fetching)
    examples = ("scr vulndb remove osv-pypi", "scr vulndb remove osv-pypi --yes")
    removing = verbs.add_parser("remove", help="let a source count no more", examples=examples)
    removing.add_argument("name", help="what the source is called")
    add_asking(removing, deletes=True)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {"import": _import, "status": _status, "list": _list, "remove": _remove, "fetch": _fetch}
    return verbs[options.verb](options)


def _import(options: argparse.Namespace) -> int:
    if (options.path is None) == (not options.image):
        raise Invalid("name a path of the host, or an image with --image")
    order = {
        "path": str(options.path.absolute()) if options.path is not None else "",
        "image": options.image,
        "registry": options.registry,
        "name": options.name,
        "sha256": options.sha256.lower(),
    }
    wanted = {name: value for name, value in order.items() if value}
    with connect(options) as client:
        job = client.post("/api/v1/vulndb/imports", wanted, Job)
        if not options.detach:
            job = following.follow(client, job)
    if options.detach:
        say(f"job {job.id} imports it; follow it: scr job show {job.id} --follow")
        return 0
    done = _report_of(job)
    if options.json:
        show_json(done)
        return 0
    _tell(done)
    if done.is_new:
        say("images that were scanned are matched again now; see: scr job list --kind scan.match")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    with connect(options) as client:
        ordered = client.post("/api/v1/vulndb/fetches", {"name": options.name}, Page[Job]).items
        done = [_report_of(following.follow(client, job)) for job in ordered]
    if options.json:
        show_json(done)
    for one in () if options.json else done:
        _tell(one)
    return 0


def _tell(done: _Imported) -> None:
    """Say what an import has done."""
    if done.is_new:
        held = f"{done.advisories:,} advisories" if done.form != "java" else "names of Java archives"
        show(f"imported {done.name}: {held}, made {time_text(done.built_at) if done.built_at else 'nobody says when'}")
    else:
        show(f"{done.name} was imported before; nothing has changed")


def _report_of(job: Job) -> _Imported:
    """Return what an import that has ended did. Raises Unavailable, Conflict."""
    if job.state == "done":
        return msgspec.convert(job.report, _Imported)
    if job.state == "cancelled":
        raise Conflict(f"job {job.id} was cancelled")
    raise Unavailable(f"{job.reason}; see: scr job show {job.id}")


def _status(options: argparse.Namespace) -> int:
    with connect(options) as client:
        data = client.get("/api/v1/vulndb", _Data)
        sources = client.get("/api/v1/vulndb/sources", Page[_Source]).items if data.sources else []
    if options.json:
        show_json(data)
        return 0 if data.digest else 1
    if data.digest is None:
        show(paint("there are no vulnerability data yet: scans find packages and secrets only", RED))
        say("import some: scr vulndb import <file>; docs/vulnerability-data.md says where they come from")
        return 1
    age = "of unknown age" if data.age_seconds is None else f"{count_text(data.age_seconds // _DAY, 'day')} old"
    show(f"data     {data.digest}")
    show(f"made     {time_text(data.built_at)}, {age}")
    show(f"holds    {data.advisories:,} advisories of {count_text(data.sources, 'source')}")
    for one in sources:
        show(f"source   {one.name}, {_VERIFIED.get(one.verified, one.verified)}")
    show(f"covers   {', '.join(data.covers)}")
    if data.unverified:
        say(f"nothing speaks for {', '.join(data.unverified)}: give --sha256, or put <file>.sha256 beside it")
    return 0


def _list(options: argparse.Namespace) -> int:
    with connect(options) as client:
        found = client.get("/api/v1/vulndb/sources", Page[_Source]).items
    heads = ("NAME", "FORM", "MADE", "IMPORTED", "ADVISORIES", "SIZE", "VERIFIED BY", "FROM")
    cells = [
        (
            one.name,
            one.form,
            time_text(one.built_at) if one.built_at else "unknown",
            time_text(one.imported_at),
            f"{one.advisories:,}",
            size_text(one.size),
            one.verified if one.verified in _VERIFIED else "-",
            one.origin,
        )
        for one in found
    ]
    show_list(options, heads, found, cells)
    return 0


def _remove(options: argparse.Namespace) -> int:
    with connect(options) as client:
        if options.dry_run:
            known = {one.name: one for one in client.get("/api/v1/vulndb/sources", Page[_Source]).items}
            found = known.get(options.name)
            show(f"would remove {options.name}: {found.advisories:,} advisories" if found else "nothing would go")
            return 0
        confirm(options, f"the vulnerability data {options.name} will count no more")
        removed = msgspec.json.decode(client.ask("DELETE", f"/api/v1/vulndb/sources/{options.name}").body, type=_Source)
        is_last = not client.get("/api/v1/vulndb/sources", Page[_Source]).items
    if options.json:
        show_json(removed)
    else:
        kept = "no data are left, and results stay as they were matched" if is_last else "images are matched again"
        show(f"removed {removed.name}; {kept}")
    return 0
