"""`scr group list|show|create|edit|delete|members|add|remove`."""

import argparse

import msgspec

from appliance.cli import accounts
from appliance.cli.accounts import API, Account, Act, Held
from appliance.cli.asking import add_asking, count_text, show_list, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.editing import given
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show_json

EXAMPLES = ("scr group create ops --policy ScrFullAccess", "scr group add ops ann bob")


class Group(Account, rename="camel"):
    """A group as the API shows it."""

    members: int
    policies: list[Held]


class Member(msgspec.Struct):
    """A user in a group."""

    id: str
    name: str
    enabled: bool
    managed: bool
    since: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    accounts.add_having(accounts.add_list(verbs, "group", switched=False))
    accounts.add_show(verbs, "group", "ops")
    create = verbs.add_parser(
        "create",
        help="make a group of users; they get its policies",
        examples=("scr group create ops --policy ScrFullAccess", 'scr group create pay --description "the till"'),
    )
    create.add_argument("name", metavar="NAME")
    create.add_argument("--description", default="", metavar="TEXT", help="what it is for")
    accounts.add_policies(create)
    add_asking(create)
    accounts.add_edit(verbs, "group", "ops")
    accounts.add_delete(verbs, "group", "ops", "delete a group; its users stay, without its policies")
    members = verbs.add_parser(
        "members", help="list the users in a group", examples=("scr group members ops", "scr group members ops --json")
    )
    members.add_argument("name", metavar="NAME")
    add_asking(members)
    for verb, about in (("add", "put users into a group"), ("remove", "take users out of a group")):
        examples = (f"scr group {verb} ops ann", f"scr group {verb} ops ann bob")
        change = verbs.add_parser(verb, help=about, examples=examples)
        change.add_argument("name", metavar="NAME")
        change.add_argument("users", nargs="+", metavar="USER")
        add_asking(change)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs: dict[str, Act] = {
        "list": _list,
        "show": _show,
        "create": _create,
        "edit": lambda client, options: accounts.change(
            client, options, "group", given(options, {"description": "description"}), Group
        ),
        "delete": lambda client, options: accounts.remove(
            client, options, "group", Group, lambda one: f" of {count_text(one.members, 'user')}"
        ),
        "members": _members,
        "add": lambda client, options: _change(client, options, "PUT"),
        "remove": lambda client, options: _change(client, options, "DELETE"),
    }
    with connect(options) as client:
        verbs[options.verb](client, options)
    return 0


def _list(client: Client, options: argparse.Namespace) -> None:
    found = accounts.list_accounts(client, options, "group", Group)
    cells = [(one.name, str(one.members), accounts.named(one.policies) or "-", one.description) for one in found]
    show_list(options, ("NAME", "USERS", "POLICIES", "DESCRIPTION"), found, cells)


def _show(client: Client, options: argparse.Namespace) -> None:
    one = accounts.find(client, "group", options.name, Group)
    members = f"{count_text(one.members, 'user')}; see: scr group members {one.name}"
    accounts.describe(options, one, {"users": members, "policies": accounts.named(one.policies)})


def _create(client: Client, options: argparse.Namespace) -> None:
    order = {"name": options.name, "description": options.description, "policies": options.policy}
    made = client.post(f"{API}/groups", order, Group)
    if options.json:
        show_json(made)
    else:
        say(
            f"made group {made.name} with {accounts.named(made.policies) or 'no policy'}; scr group add {made.name} ann"
        )


def _members(client: Client, options: argparse.Namespace) -> None:
    one = accounts.find(client, "group", options.name, Group)
    found = [*walk(client, f"{API}/groups/{one.id}/members", Member)]
    cells = [
        (member.name, accounts.on_off(member.enabled), time_text(member.since), "scr.toml" if member.managed else "-")
        for member in found
    ]
    show_list(options, ("NAME", "STATE", "SINCE", "DECLARED IN"), found, cells)


def _change(client: Client, options: argparse.Namespace, method: str) -> None:
    group = accounts.find(client, "group", options.name, Group)
    users = [accounts.find(client, "user", name, Account) for name in options.users]
    for user in users:
        client.ask(method, f"{API}/groups/{group.id}/members/{user.id}")
    if options.json:
        show_json(accounts.find(client, "group", options.name, Group))
    else:
        done = "is in" if method == "PUT" else "is no longer in"
        for user in users:
            say(f"{user.name} {done} group {group.name}")
