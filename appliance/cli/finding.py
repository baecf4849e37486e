"""`scr finding`: vulnerabilities that do not count, because somebody or a document says why."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from appliance.cli.asking import Page, add_asking, count_text, show_all, time_text
from appliance.cli.client import Client, connect
from appliance.cli.image_change import address_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.foreign import seen
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


class _Document(msgspec.Struct, rename="camel"):
    id: str
    document: str
    version: int
    author: str
    issued_at: str
    where: str
    imported_at: str
    imported_by: str


class _Untaken(msgspec.Struct):
    statement: int
    reason: str


class _Taken(msgspec.Struct, rename="camel"):
    document: _Document
    is_new: bool
    accepted: int
    counting: int
    untaken: list[_Untaken]


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
    _add_where(accept)
    reopen = verbs.add_parser(
        "reopen",
        help="let an accepted vulnerability count again",
        examples=("scr finding reopen k3x2mzq4ab", "scr finding reopen k3x2mzq4ab --json"),
    )
    reopen.add_argument("id", metavar="ID", help="from scr finding list")
    add_asking(reopen)
    import_ = verbs.add_parser(
        "import",
        help="accept what an OpenVEX document says not to be affected, or to be fixed",
        examples=(
            "scr finding import api.vex.json --image pay/api",
            "scr finding import vendor.vex.json --everywhere",
        ),
    )
    import_.add_argument("file", type=Path, metavar="FILE", help="the document (JSON)")
    _add_where(import_)
    documents = verbs.add_parser(
        "documents",
        help="list the OpenVEX documents that were imported",
        examples=("scr finding documents", "scr finding documents --registry '*'"),
    )
    documents.add_argument("--registry", default="", metavar="NAME|*", help="for this registry; * for everywhere")
    add_asking(documents)
    withdraw = verbs.add_parser(
        "withdraw",
        help="let all that an imported document said count for nothing",
        examples=("scr finding withdraw k3x2mzq4ab", "scr finding withdraw k3x2mzq4ab --json"),
    )
    withdraw.add_argument("id", metavar="ID", help="from scr finding documents")
    add_asking(withdraw)


def _add_where(verb: Parser) -> None:
    """Add what says where something is accepted."""
    where = verb.add_mutually_exclusive_group(required=True)
    where.add_argument("--image", default="", metavar="IMAGE", help="in this image")
    where.add_argument("--repository", default="", metavar="NAME", help="in every image of this repository")
    where.add_argument("--whole-registry", action="store_true", help="in every image of the registry")
    where.add_argument("--everywhere", action="store_true", help="in every image of every registry")
    verb.add_argument("--registry", default="", metavar="NAME", help="which registry is meant (else the default one)")
    add_asking(verb)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs = {
        "list": _list,
        "accept": _accept,
        "reopen": _reopen,
        "import": _import,
        "documents": _documents,
        "withdraw": _withdraw,
    }
    with connect(options) as client:
        verbs[options.verb](client, options)
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
        **_where(client, options),
    }
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


def _import(client: Client, options: argparse.Namespace) -> None:
    try:
        text = options.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryInvalid(f"{options.file} cannot be read: {error}") from error
    done = client.post(f"{_API}/documents", {"document": text, **_where(client, options)}, _Taken)
    if options.json:
        show_json(done)
        return
    document = done.document
    if not done.is_new:
        say(seen(f"version {document.version} of {document.document} was imported before; nothing has changed"))
        return
    said = count_text(done.accepted, "statement")
    show(seen(f"{document.author} says: {said} accepted in {document.where} (document {document.id})"))
    if done.counting:
        say(f"{count_text(done.counting, 'statement')} of what is affected or looked into: that counts")
    for one in done.untaken:
        say(seen(f"statement {one.statement} does not count here: {one.reason}"))


def _documents(client: Client, options: argparse.Namespace) -> None:
    heads = ("ID", "DOCUMENT", "VERSION", "AUTHOR", "ISSUED", "WHERE", "IMPORTED", "BY")

    def cells(one: _Document) -> tuple[str, ...]:
        times = time_text(one.issued_at), time_text(one.imported_at)
        return one.id, one.document, str(one.version), one.author, times[0], one.where, times[1], one.imported_by

    place = f"{_API}/documents"
    found = show_all(client, options, place, _Document, heads, cells, registry=options.registry)
    if not found and not options.json:
        say("no document was imported there")


def _withdraw(client: Client, options: argparse.Namespace) -> None:
    client.ask("DELETE", f"{_API}/documents/{options.id}")
    if options.json:
        show_json({"id": options.id})
    else:
        say("what it said counts for nothing; pull limits follow within moments")


def _where(client: Client, options: argparse.Namespace) -> dict[str, str]:
    """Return the place that the options name, by its id; nothing for everywhere."""
    if options.image:
        return {"image": address_of(client, options.image, options.registry).rpartition("/")[2]}
    if options.repository:
        return {"repository": _id(client, "repositories", options.repository, registry=options.registry)}
    if options.whole_registry:
        return {"registry": _id(client, "registries", options.registry)}
    return {}


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
