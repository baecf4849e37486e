"""`scr scan IMAGE`: what is in an image, by a server here, or in a layout, an archive or a folder without one."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from appliance.cli import following
from appliance.cli.asking import walk
from appliance.cli.client import Client, connect
from appliance.cli.following import Job
from appliance.cli.image_change import add_place
from appliance.cli.naming import locate, without_host
from appliance.cli.parser import Parser
from appliance.cli.scan_path import scan_path
from appliance.cli.scan_result import Package, Result, Secret, Vulnerability, fails, say_shortcomings, show_result
from appliance.cli.terminal import say, show_json
from appliance.domain.vulnerability import Severity
from appliance.errors import Conflict, Invalid, Unavailable

EXAMPLES = ("scr scan pay/api:1 --fail-on high", "scr scan ./app.tar --data-dir /var/lib/scr")

_FORMS = ("json", "csv", "sarif", "cyclonedx", "spdx", "openvex")
_BILLS = ("cyclonedx", "spdx")
_LEVELS = [severity.value for severity in Severity if severity > Severity.UNKNOWN]


class _Ordered(msgspec.Struct):
    digests: list[str]
    jobs: list[str]
    refused: list[dict[str, str]]


class _System(msgspec.Struct):
    family: str
    version: str


class _Data(msgspec.Struct, rename="camel"):
    built_at: str


class _Scan(msgspec.Struct, rename="camel"):
    state: str
    matched_with: _Data | None
    distribution: _System | None
    packages: int
    limits: list[str]
    uncovered: list[str]
    refusal: str | None


class _Kept(msgspec.Struct, rename="camel"):
    digest: str
    artifact_type: str


class _Found(msgspec.Struct):
    id: str


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument(
        "what", metavar="IMAGE|PATH", nargs="?", help="IMAGE:TAG or IMAGE@DIGEST of the server, or a path of this host"
    )
    wide = parser.add_mutually_exclusive_group()
    wide.add_argument("--repository", metavar="NAME", help="order scans of all images of a repository instead")
    wide.add_argument("--all", action="store_true", help="order scans of all images of the registry instead")
    parser.add_argument("--fail-on", choices=_LEVELS, help="end with 1 for this severity or worse, or if not complete")
    parser.add_argument("--severity", choices=_LEVELS, default="none", help="print this severity and worse only")
    parser.add_argument("--everything", action="store_true", help="print what is excluded or accepted, too")
    parser.add_argument("--no-new", action="store_true", help="print the last result; order no scan")
    parser.add_argument("--form", choices=_FORMS, default="", help="print or write the results in this form instead")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the results in that form go, else stdout")
    parser.add_argument("--attach", choices=_BILLS, help="keep this bill of materials beside the image, as a referrer")
    parser.add_argument("--lock-files", action="store_true", help="of a path: also list what lock files name")
    add_place(parser)


def run(options: argparse.Namespace) -> int:
    """Scan, print, judge."""
    if options.repository or options.all:
        return _order_wide(options)
    if not options.what:
        raise Invalid("name an image or a path to scan, or --repository, or --all")
    if (path := Path(options.what)).exists():
        results, exports = scan_path(path, options)
    else:
        with connect(options) as client:
            results = list(_scan(client, options))
            exports = _export(client, options, results)
    if options.form:
        _write(options, exports)
    elif options.json:
        show_json(results)
    for result in results:
        if not options.json and not options.form:
            show_result(result, Severity(options.severity), everything=options.everything)
        say_shortcomings(result)
    limit = Severity(options.fail_on) if options.fail_on else None
    return int(any(fails(result, limit) for result in results))


def _scan(client: Client, options: argparse.Namespace) -> Iterator[Result]:
    """Yield the results of the image, one for each platform of an index."""
    name = without_host(options.what)
    image, digest = locate(client, name, options.registry)
    digests = [digest]
    if not options.no_new:
        ordered = client.post(f"{image}/scans", {"digests": [digest]}, _Ordered)
        if ordered.refused:
            raise Conflict(f"{name} is not scanned: {ordered.refused[0]['reason']}")
        for job in ordered.jobs:
            _wait(client, job)
        digests = ordered.digests
    for one in digests:
        yield _result(client, f"{image}/manifests/{quote(one)}/scan", name, one)


def _export(client: Client, options: argparse.Namespace, results: list[Result]) -> list[bytes]:
    """Return the results in the form that is asked for, and keep the bills that are."""
    exports: list[bytes] = []
    address, _ = locate(client, without_host(options.what), options.registry)
    for result in results if options.form or options.attach else ():
        scan = f"{address}/manifests/{quote(result.digest)}/scan"
        if options.form:
            exports.append(client.ask("GET", f"{scan}/export?form={options.form}").body)
        if options.attach:
            kept = client.post(f"{scan}/sbom", {"form": options.attach}, _Kept)
            say(f"kept {kept.artifact_type} beside {result.name}: {kept.digest}")
    return exports


def _write(options: argparse.Namespace, exports: list[bytes]) -> None:
    """Write what is asked for in another form. Raises Invalid where one file would have to hold several."""
    if len(exports) != 1:
        raise Invalid(f"{options.what} has {len(exports)} images, and a document is about one; name one by its digest")
    if options.output is None:
        sys.stdout.buffer.write(exports[0])
        return
    try:
        options.output.write_bytes(exports[0])
    except OSError as error:
        raise Invalid(f"{options.output} cannot be written: {error.strerror}") from error
    say(f"wrote {options.output}")


def _wait(client: Client, job: str) -> None:
    """Follow a job to its end. Raises Unavailable where it fails, Conflict where it was called off."""
    done = following.follow(client, client.get(f"/api/v1/jobs/{job}", Job))
    if done.state == "cancelled":
        raise Conflict(f"job {job} was cancelled")
    if done.state != "done":
        raise Unavailable(f"{done.reason}; see: scr job show {job}")


def _result(client: Client, address: str, name: str, digest: str) -> Result:
    scan = client.get(address, _Scan)
    system = scan.distribution
    found: list[Vulnerability] = []
    secrets: list[Secret] = []
    affected: list[Package] = []
    if scan.packages or scan.state not in ("never", "queued", "failed"):
        found = list(walk(client, f"{address}/vulnerabilities", Vulnerability))
        secrets = list(walk(client, f"{address}/secrets", Secret))
        affected = list(walk(client, f"{address}/packages", Package, affected="true"))
    return Result(
        name=name,
        digest=digest,
        state=scan.state,
        system="" if system is None else f"{system.family} {system.version}",
        data="" if scan.matched_with is None else scan.matched_with.built_at,
        packages=scan.packages,
        limits=scan.limits,
        uncovered=scan.uncovered,
        refusal=scan.refusal,
        vulnerabilities=found,
        secrets=secrets,
        affected=affected,
    )


def _order_wide(options: argparse.Namespace) -> int:
    with connect(options) as client:
        kind, path = ("repositories", options.repository) if options.repository else ("registries", options.registry)
        query = {"registry": options.registry} if options.registry and options.repository else {}
        found = next(walk(client, f"/api/v1/{kind}", _Found, path=path or "local", **query), None)
        if found is None:
            raise Invalid(f"there is no {kind[:-3]}y called {path}; see: scr {kind[:-3]}y list")
        job = following.follow(client, client.post(f"/api/v1/{kind}/{found.id}/scans", {}, Job))
    if options.json:
        show_json(job.report)
    else:
        count = 0 if job.report is None else job.report.get("ordered", 0)
        say(f"{count} scans were ordered; see: scr job list --kind scan")
    return 0
