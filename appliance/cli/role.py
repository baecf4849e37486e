"""`scr role list|show|create|edit|disable|enable|delete`: who a machine signs in as."""

import argparse

from appliance.cli import accounts
from appliance.cli.accounts import API, Account, Act, Held
from appliance.cli.asking import add_asking, show_list
from appliance.cli.client import Client, connect
from appliance.cli.editing import given
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show_json

EXAMPLES = ("scr role create ci --policy ScrPullPushOnlyAccess", "scr role list")


class Role(Account, rename="camel"):
    """A role as the API shows it."""

    enabled: bool
    policies: list[Held]
    access_keys: int


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    accounts.add_having(accounts.add_list(verbs, "role"))
    accounts.add_show(verbs, "role", "ci")
    create = verbs.add_parser(
        "create",
        help="make a role, for a pipeline, a host or a cluster",
        examples=("scr role create ci --policy ScrPullPushOnlyAccess", 'scr role create edge --description "site 7"'),
    )
    create.add_argument("name", metavar="NAME")
    create.add_argument("--description", default="", metavar="TEXT", help="what it is for")
    accounts.add_policies(create)
    add_asking(create)
    accounts.add_edit(verbs, "role", "ci")
    off = "let a role in no more: every token and key of it ends at once"
    accounts.add_switches(verbs, "role", "ci", off, "let a disabled role in again")
    accounts.add_delete(verbs, "role", "ci", "delete a role with its access keys")


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    verbs: dict[str, Act] = {
        "list": _list,
        "show": _show,
        "create": _create,
        "edit": lambda client, options: accounts.change(
            client, options, "role", given(options, {"description": "description"}), Role
        ),
        "disable": lambda client, options: accounts.change(client, options, "role", {"enabled": False}, Role),
        "enable": lambda client, options: accounts.change(client, options, "role", {"enabled": True}, Role),
        "delete": lambda client, options: accounts.remove(
            client, options, "role", Role, lambda one: accounts.keys_text(one.access_keys)
        ),
    }
    with connect(options) as client:
        verbs[options.verb](client, options)
    return 0


def _list(client: Client, options: argparse.Namespace) -> None:
    found = accounts.list_accounts(client, options, "role", Role)
    cells = [
        (
            one.name,
            accounts.on_off(one.enabled),
            accounts.named(one.policies) or "-",
            str(one.access_keys),
            one.description,
        )
        for one in found
    ]
    show_list(options, ("NAME", "STATE", "POLICIES", "KEYS", "DESCRIPTION"), found, cells)


def _show(client: Client, options: argparse.Namespace) -> None:
    one = accounts.find(client, "role", options.name, Role)
    rows = {
        "state": accounts.on_off(one.enabled),
        "policies": accounts.named(one.policies),
        "keys": f"{one.access_keys}; see: scr key list role:{one.name}" if one.access_keys else "",
    }
    accounts.describe(options, one, rows)


def _create(client: Client, options: argparse.Namespace) -> None:
    order = {"name": options.name, "description": options.description, "policies": options.policy}
    made = client.post(f"{API}/roles", order, Role)
    if options.json:
        show_json(made)
        return
    say(f"made role {made.name} with {accounts.named(made.policies) or 'no policy'}")
    say(f"it signs in with an access key: scr key create role:{made.name} --name build --expires 90d")
