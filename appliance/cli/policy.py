"""`scr policy list|show|create|edit|disable|enable|delete|attach|detach|holders`: who may do what."""

import argparse
import sys
import tomllib
from pathlib import Path

import msgspec

from appliance.cli import accounts
from appliance.cli.accounts import API, Account, Act
from appliance.cli.asking import add_asking, count_text, show_list, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.editing import given
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.errors import ConfigInvalid, PolicyInvalid, QueryInvalid

EXAMPLES = (
    "scr policy create pull-pay --load ScrPullOnlyAccess --registry local --repository local/pay",
    "scr policy attach pull-pay role:ci",
)


class Policy(Account, rename="camel"):
    """A policy as the API shows it."""

    enabled: bool
    built_in: bool
    version: int
    document: dict[str, object]
    attachments: int


class Attachment(msgspec.Struct):
    """Somebody who has a policy."""

    kind: str
    id: str
    name: str
    managed: bool
    since: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    accounts.add_list(verbs, "policy")
    accounts.add_show(verbs, "policy", "ScrPullOnlyAccess")
    create = verbs.add_parser(
        "create",
        help="make a policy of a document, or begin it as a copy of another, narrowed to what it is to mean",
        examples=(EXAMPLES[0], "scr policy create pull-pay --file pull-pay.toml"),
    )
    create.add_argument("name", metavar="NAME")
    create.add_argument("--description", default="", metavar="TEXT", help="what it is for")
    _add_file(create)
    create.add_argument("--load", metavar="POLICY", help="begin as a copy of this policy")
    narrowed = "with --load: only this {}; may be repeated"
    create.add_argument(
        "--registry", action="append", default=[], metavar="NAME", help=narrowed.format("registry, for signing in")
    )
    create.add_argument(
        "--repository", action="append", default=[], metavar="REGISTRY/NAME", help=narrowed.format("repository")
    )
    add_asking(create)
    edit = accounts.add_edit(verbs, "policy", "pull-pay")
    _add_file(edit)
    edit.add_argument(
        "--rebind", action="store_true", help="let the names in it mean what bears them now, not what bore them first"
    )
    off = "let a policy allow nothing; what it denies stays denied"
    accounts.add_switches(verbs, "policy", "pull-pay", off, "let a disabled policy allow again")
    delete = accounts.add_delete(verbs, "policy", "pull-pay", "delete a policy")
    delete.add_argument("--detach", action="store_true", help="take it away from those who have it, too")
    _add_attachments(verbs)


def _add_attachments(verbs: "argparse._SubParsersAction[Parser]") -> None:
    for verb, about in (
        ("attach", "attach a policy to users, roles or groups; it counts at once"),
        ("detach", "take a policy away; it counts at once, for running tokens too"),
    ):
        examples = (f"scr policy {verb} pull-pay role:ci", f"scr policy {verb} pull-pay user:ann group:ops")
        change = verbs.add_parser(verb, help=about, examples=examples)
        change.add_argument("name", metavar="NAME")
        change.add_argument("holders", nargs="+", metavar="HOLDER", help="user:NAME, role:NAME or group:NAME")
        add_asking(change)
    holders = verbs.add_parser(
        "holders",
        help="list who has a policy attached",
        examples=("scr policy holders ScrFullAccess", "scr policy holders pull-pay --json"),
    )
    holders.add_argument("name", metavar="NAME")
    add_asking(holders)


def _add_file(parser: Parser) -> None:
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="the document: JSON, or TOML where FILE ends in .toml; - for JSON on stdin",
    )


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs: dict[str, Act] = {
        "list": _list,
        "show": _show,
        "create": _create,
        "edit": _edit,
        "disable": lambda client, options: accounts.change(client, options, "policy", {"enabled": False}, Policy),
        "enable": lambda client, options: accounts.change(client, options, "policy", {"enabled": True}, Policy),
        "delete": lambda client, options: accounts.remove(client, options, "policy", Policy, _held),
        "attach": lambda client, options: _attach(client, options, "PUT"),
        "detach": lambda client, options: _attach(client, options, "DELETE"),
        "holders": _holders,
    }
    with connect(options) as client:
        verbs[options.verb](client, options)
    return 0


def _list(client: Client, options: argparse.Namespace) -> None:
    found = accounts.list_accounts(client, options, "policy", Policy)
    cells = [
        (
            one.name,
            "built in" if one.built_in else accounts.on_off(one.enabled),
            str(one.attachments),
            time_text(one.modified_at),
            one.description,
        )
        for one in found
    ]
    show_list(options, ("NAME", "STATE", "HOLDERS", "MODIFIED", "DESCRIPTION"), found, cells)


def _show(client: Client, options: argparse.Namespace) -> None:
    one = accounts.find(client, "policy", options.name, Policy)
    holders = f"{one.attachments}; see: scr policy holders {one.name}" if one.attachments else ""
    state = "built in, never changed" if one.built_in else accounts.on_off(one.enabled)
    accounts.describe(options, one, {"state": state, "version": str(one.version), "holders": holders})
    if not options.json:
        show(msgspec.json.format(msgspec.json.encode(one.document), indent=2).decode())


def _create(client: Client, options: argparse.Namespace) -> None:
    order: dict[str, object] = {"name": options.name, "description": options.description}
    if options.file is not None:
        order["document"] = read_document(options.file)
    if options.load is not None:
        places = [_place(text) for text in options.repository]
        order["load"] = {"policy": options.load, "registries": options.registry, "repositories": places}
    elif options.registry or options.repository:
        raise QueryInvalid("--registry and --repository narrow a policy that is loaded; add --load")
    made = client.post(f"{API}/policies", order, Policy)
    if options.json:
        show_json(made)
    else:
        say(f"made policy {made.name}; give it to somebody: scr policy attach {made.name} user:ann")


def _edit(client: Client, options: argparse.Namespace) -> None:
    order = given(options, {"description": "description"})
    if options.file is not None:
        order["document"] = read_document(options.file)
    if options.rebind:
        order["rebind"] = True
    accounts.change(client, options, "policy", order, Policy)


def _attach(client: Client, options: argparse.Namespace, method: str) -> None:
    policy = accounts.find(client, "policy", options.name, Policy)
    holders = [accounts.find_holder(client, text) for text in options.holders]
    for kind, one in holders:
        client.ask(method, f"{API}/policies/{policy.id}/attachments/{kind}/{one.id}")
    if options.json:
        show_json(accounts.find(client, "policy", options.name, Policy))
    else:
        done = "has" if method == "PUT" else "no longer has"
        for kind, one in holders:
            say(f"{kind} {one.name} {done} policy {policy.name}")


def _holders(client: Client, options: argparse.Namespace) -> None:
    one = accounts.find(client, "policy", options.name, Policy)
    found = [*walk(client, f"{API}/policies/{one.id}/attachments", Attachment)]
    cells = [
        (holder.kind, holder.name, time_text(holder.since), "scr.toml" if holder.managed else "-") for holder in found
    ]
    show_list(options, ("KIND", "NAME", "SINCE", "DECLARED IN"), found, cells)


def _held(one: Policy) -> str:
    return f" that {count_text(one.attachments, 'account')} have" if one.attachments else ""


def _place(text: str) -> dict[str, str]:
    """Return registry and repository of `local/pay`. Raises QueryInvalid."""
    registry, slash, repository = text.partition("/")
    if not (registry and slash and repository) or "/" in repository:
        raise QueryInvalid(f"{text!r} names no repository with its registry; write local/{text.rpartition('/')[2]}")
    return {"registry": registry, "repository": repository}


def read_document(path: Path) -> object:
    """Return what a file of JSON or TOML says. Raises ConfigInvalid, PolicyInvalid."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path} cannot be read: {error}") from error
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return msgspec.json.decode(text)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise PolicyInvalid(f"{path} cannot be read: {error}") from error
