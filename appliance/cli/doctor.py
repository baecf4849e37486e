"""`scr doctor`: look at the host, use the registry from outside, say what is wrong and how to cure it."""

import argparse
import os
import secrets
from collections.abc import Iterator

import msgspec

from appliance.cli import settings
from appliance.cli.asking import Page
from appliance.cli.client import Client, add_options, connect, connect_url, credentials_of
from appliance.cli.diagnosis import Finding, State, problem, skipped, warning, well
from appliance.cli.doctor_host import look_at_host, look_at_library, size_of
from appliance.cli.doctor_names import look_at_names
from appliance.cli.doctor_ports import look_at_ports
from appliance.cli.doctor_url import Journey, Url, look_at_certificate, look_at_name
from appliance.cli.parser import Parser
from appliance.cli.terminal import DIM, GREEN, RED, YELLOW, paint, say, show, show_json
from appliance.errors import ScrError, Unavailable

EXAMPLES = ("scr doctor", "scr doctor --server https://registry.example --credentials user.txt --large")
_COLOURS = {State.OK: GREEN, State.WARNING: YELLOW, State.PROBLEM: RED, State.SKIPPED: DIM}
_REPOSITORY = "scr-doctor"


class _Check(msgspec.Struct):
    name: str
    ok: bool
    detail: str = ""


class _Status(msgspec.Struct, rename="camel"):
    version: str
    health: str
    checks: list[_Check]
    listeners: list[str]
    public_url: str


class _Item(msgspec.Struct):
    id: str
    name: str = ""
    images: int = 0


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--large", action="store_true", help="send 64 MiB through the public address, not 2")
    parser.add_argument(
        "--repository",
        default=_REPOSITORY,
        metavar="NAME",
        help=f"where the scratch image is pushed and deleted again ({_REPOSITORY})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Look at everything; 1 where there is a problem."""
    found: list[Finding] = []
    for finding in _look(options):
        found.append(finding)
        if not options.json:
            show(f"{paint(f'{finding.state:8}', _COLOURS[finding.state])} {finding.name:16} {finding.detail}")
            if finding.cure:
                show(f"{'':26}{finding.cure}")
    if options.json:
        show_json(found)
    count = sum(finding.state == State.PROBLEM for finding in found)
    say(f"{count} problem{'' if count == 1 else 's'}" if count else "no problem found")
    return 1 if count else 0


def _look(options: argparse.Namespace) -> Iterator[Finding]:
    loaded = settings.load_from(options).config
    folder = loaded.storage.data_dir
    ports = [listener.address for listener in loaded.listeners]
    yield look_at_library(os.confstr("CS_GNU_LIBC_VERSION"))
    if not folder.is_dir():
        yield skipped("data folder", f"{folder} is not here", "name it with --data-dir to look at the host too")
        if options.server:
            yield from _look_from_outside(options, options.server, None)
        else:
            yield from look_at_ports(ports)
        return
    yield from look_at_host(folder, loaded.storage.min_free.of(size_of(folder)))
    with connect(argparse.Namespace(**{**vars(options), "server": None})) as operator:
        try:
            status = operator.get("/api/v1/status", _Status)
        except Unavailable as error:
            yield from look_at_ports(ports)
            yield problem("server", error.message, "start it, then run scr doctor again")
            if options.server:
                yield from _look_from_outside(options, options.server, None)
            return
        yield from _look_at_server(status)
        yield from look_at_names(operator)
        url = options.server or status.public_url or next(iter(status.listeners), "")
        yield from _look_from_outside(options, url, operator)


def _look_from_outside(options: argparse.Namespace, url: str, operator: Client | None) -> Iterator[Finding]:
    """Use the registry at `url`; what is left of it is deleted through `operator` where there is one."""
    address = Url(url, options.ca)
    yield look_at_name(address)
    yield look_at_certificate(address)
    image = f"{options.repository}/check-{secrets.token_hex(4)}"
    with connect_url(url, credentials_of(options.credentials), options.ca) as client:
        journey = Journey(client, address, image, is_large=options.large)
        yield from journey.look()
        if journey.has_pushed:
            yield _clean_up(operator or client, image, options.repository)


def _look_at_server(status: _Status) -> Iterator[Finding]:
    for check in status.checks:
        if not check.ok:
            yield warning("server", f"{check.name}: {check.detail}", "see its log")
    if status.health == "down":
        yield problem("server", f"{status.version} is down", "see its log")
    else:
        yield well("server", f"{status.version} is {status.health} at {', '.join(status.listeners)}")


def _clean_up(client: Client, image: str, repository: str) -> Finding:
    """Delete the scratch image, and its repository where it was made for it."""
    try:
        for one in client.get("/api/v1/images", Page[_Item], path=image).items:
            client.ask("DELETE", f"/api/v1/images/{one.id}?purge=true")
        for one in client.get("/api/v1/repositories", Page[_Item], path=repository).items:
            if one.name == _REPOSITORY and not one.images:
                client.ask("DELETE", f"/api/v1/repositories/{one.id}?confirm={one.name}&purge=true")
    except ScrError as error:
        return warning("clean up", f"the scratch image {image} stays: {error.message}", "delete it by hand")
    return well("clean up", "the scratch image is deleted again")
