"""`scr finding list|accept|reopen`: vulnerabilities that do not count, because somebody says why."""

import argparse
from datetime import UTC, datetime

import msgspec

from appliance.cli.asking import Page, add_asking, show_all, time_text
from appliance.cli.client import Client, connect
from appliance.cli.image_change import address_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show_json
from appliance.errors import NameUnknown, QueryInvalid

EXAMPLES = ('scr finding accept CVE-2026-1234 --image pay/api --reason "the parser is not called"', "scr finding list")

_API = "/api/v1/accepted-findings"


class _Acceptance(msgspec.Struct, rename="camel"):
    id: str
    vulnerability: str
    package: str
    where: str
    reason: str
    created_at: str
    created_by: str
    expires_at: str | None


class _Found(msgspec.Struct):
    id: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    list_ = verbs.add_parser(
        "list", help="list what is accepted", examples=("scr finding list", "scr finding list --registry '*'")
    )
    list_.add_argument("--registry", default="", metavar="NAME|*", help="in this registry; * for what is everywhere")
    add_asking(list_)
    accept = verbs.add_parser(
        "accept",
        help="let a vulnerability not count, in an image, a repository, a registry, or everywhere",
        examples=(
            'scr finding accept CVE-2026-1234 --image pay/api --reason "the parser is not called"',
            'scr finding accept CVE-2026-1234 --everywhere --package zlib --until 2027-01-31 --reason "no input"',
        ),
    )
    accept.add_argument("vulnerability", metavar="ID", help="as CVE-2026-1234")
    accept.add_argument("--reason", required=True, metavar="TEXT", help="why it does no harm: a person reads it later")
    accept.add_argument("--package", default="", metavar="NAME", help="only in this package (else in any)")
    accept.add_argument("--until", default="", metavar="DAY", help="it counts again from this day on (UTC)")
    where = accept.add_mutually_exclusive_group(required=True)
    where.add_argument("--image", default="", metavar="IMAGE", help="in this image")
    where.add_argument("--repository", default="", metavar="NAME", help="in every image of this repository")
    where.add_argument("--whole-registry", action="store_true", help="in every image of the registry")
    where.add_argument("--everywhere", action="store_true", help="in every image of every registry")
    accept.add_argument("--registry", default="", metavar="NAME", help="which registry is meant (else the default one)")
    add_asking(accept)
    reopen = verbs.add_parser(
        "reopen",
        help="let an accepted vulnerability count again",
        examples=("scr finding reopen k3x2mzq4ab", "scr finding reopen k3x2mzq4ab --json"),
    )
    reopen.add_argument("id", metavar="ID", help="from scr finding list")
    add_asking(reopen)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    with connect(options) as client:
        {"list": _list, "accept": _accept, "reopen": _reopen}[options.verb](client, options)
    return 0


def _list(client: Client, options: argparse.Namespace) -> None:
    heads = ("ID", "VULNERABILITY", "PACKAGE", "WHERE", "UNTIL", "BY", "REASON")

    def cells(one: _Acceptance) -> tuple[str, ...]:
        until = time_text(one.expires_at) if one.expires_at else "no end"
        return one.id, one.vulnerability, one.package or "any", one.where, until, one.created_by, one.reason

    found = show_all(client, options, _API, _Acceptance, heads, cells, registry=options.registry)
    if not found and not options.json:
        say("nothing is accepted there: every vulnerability counts, but for what policies exclude")


def _accept(client: Client, options: argparse.Namespace) -> None:
    order = {
        "vulnerability": options.vulnerability,
        "reason": options.reason,
        "package": options.package,
        "expiresAt": _day(options.until) if options.until else None,
    }
    if options.image:
        order["image"] = address_of(client, options.image, options.registry).rpartition("/")[2]
    elif options.repository:
        order["repository"] = _id(client, "repositories", options.repository, registry=options.registry)
    elif options.whole_registry:
        order["registry"] = _id(client, "registries", options.registry)
    made = client.post(_API, order, _Acceptance)
    if options.json:
        show_json(made)
    else:
        say(f"accepted {made.vulnerability} in {made.where} (id {made.id})")


def _reopen(client: Client, options: argparse.Namespace) -> None:
    client.ask("DELETE", f"{_API}/{options.id}")
    if options.json:
        show_json({"id": options.id})
    else:
        say("it counts again; pull limits follow within moments")


def _day(text: str) -> str:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).isoformat()
    except ValueError as error:
        raise QueryInvalid(f"{text!r} is no day; write it as 2027-01-31") from error


def _id(client: Client, kind: str, name: str, **query: str) -> str:
    """Return the id of the repository or registry `name`; without a name that of the default one."""
    items = client.get(f"/api/v1/{kind}", Page[_Found], path=name, **query).items
    if not items:
        raise NameUnknown(f"there is none called {name!r} in {kind}; see: scr {kind[:-3]}y list")
    return items[0].id
