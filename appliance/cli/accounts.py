"""What the commands for users, roles, groups and policies have in common: verbs, finding by name, edits, deletes."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from appliance.cli.asking import Page, add_asking, confirm, count_text, time_text, walk
from appliance.cli.client import Client
from appliance.cli.editing import Order, edit, read
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.errors import AccountUnknown, QueryInvalid

T = TypeVar("T", bound="Account")
Act = Callable[[Client, argparse.Namespace], None]  # what a verb does
API = "/api/v1"
PLURAL = {"user": "users", "role": "roles", "group": "groups", "policy": "policies"}


class Held(msgspec.Struct):
    """A policy that somebody has, or a group that somebody is in."""

    name: str
    managed: bool


class Account(msgspec.Struct, rename="camel"):
    """What every user, role, group and policy shows."""

    id: str
    srn: str
    name: str
    description: str
    managed: bool
    created_at: str
    created_by: str
    modified_at: str
    modified_by: str


def add_list(verbs: "argparse._SubParsersAction[Parser]", noun: str, *, switched: bool = True) -> Parser:
    """Add `list`; `switched`: they can be enabled and disabled."""
    many = PLURAL[noun]
    examples = (f"scr {noun} list", f"scr {noun} list --name ann --json")
    list_ = verbs.add_parser("list", help=f"list {many}", examples=examples)
    list_.add_argument("--name", default="", metavar="TEXT", help="only names with TEXT in them")
    if switched:
        list_.add_argument("--disabled", action="store_true", help="only those that are disabled")
    add_asking(list_)
    return list_


def add_show(verbs: "argparse._SubParsersAction[Parser]", noun: str, name: str) -> None:
    """Add `show`."""
    examples = (f"scr {noun} show {name}", f"scr {noun} show {name} --json")
    show_ = verbs.add_parser("show", help=f"show a {noun}", examples=examples)
    show_.add_argument("name", metavar="NAME")
    add_asking(show_)


def add_edit(verbs: "argparse._SubParsersAction[Parser]", noun: str, name: str) -> Parser:
    """Add `edit`."""
    example = f'scr {noun} edit {name} --description "of the till"'
    edit_ = verbs.add_parser("edit", help=f"change a {noun}", examples=(example, f"{example} --dry-run"))
    edit_.add_argument("name", metavar="NAME")
    edit_.add_argument("--description", default=argparse.SUPPRESS, metavar="TEXT", help="what it is for")
    edit_.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    add_asking(edit_)
    return edit_


def add_switches(verbs: "argparse._SubParsersAction[Parser]", noun: str, name: str, off: str, on: str) -> None:
    """Add `disable` and `enable`, which do what `off` and `on` say."""
    for verb, about in (("disable", off), ("enable", on)):
        examples = (f"scr {noun} {verb} {name}", f"scr {noun} {verb} {name} --json")
        switch = verbs.add_parser(verb, help=about, examples=examples)
        switch.add_argument("name", metavar="NAME")
        switch.set_defaults(dry_run=False)
        add_asking(switch)


def add_delete(verbs: "argparse._SubParsersAction[Parser]", noun: str, name: str, about: str) -> Parser:
    """Add `delete`."""
    examples = (f"scr {noun} delete {name} --dry-run", f"scr {noun} delete {name} --yes")
    delete = verbs.add_parser("delete", help=about, examples=examples)
    delete.add_argument("name", metavar="NAME")
    add_asking(delete, deletes=True)
    return delete


def add_policies(parser: Parser) -> None:
    """Add the option for policies that somebody begins with."""
    parser.add_argument(
        "--policy", action="append", default=[], metavar="NAME", help="attach this policy to it; may be repeated"
    )


def add_having(list_: Parser) -> None:
    """Add the filter of a list by policy."""
    list_.add_argument("--policy", default="", metavar="NAME", help="only who has this policy attached")


def list_accounts(client: Client, options: argparse.Namespace, noun: str, shape: type[T]) -> list[T]:
    """Return the accounts that the options of a list ask for."""
    query = {name: getattr(options, name, "") for name in ("name", "policy", "group")}
    if getattr(options, "disabled", False):
        query["enabled"] = "false"
    return list(walk(client, f"{API}/{PLURAL[noun]}", shape, **query))


def find(client: Client, noun: str, name: str, shape: type[T]) -> T:
    """Return the one of that name. Raises AccountUnknown."""
    page = client.get(f"{API}/{PLURAL[noun]}", Page[shape], path=name)  # type: ignore[valid-type]  # at run time
    if not page.items:
        raise AccountUnknown(f"there is no {noun} {name!r}; see: scr {noun} list")
    found: T = page.items[0]
    return found


def find_holder(client: Client, text: str) -> tuple[str, Account]:
    """Return kind and account of `user:ann`, `role:ci` or `group:ops`. Raises QueryInvalid, AccountUnknown."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("user", "role", "group"):
        raise QueryInvalid(f"{text!r} is nobody that has policies; write user:ann, role:ci or group:ops")
    return kind, find(client, kind, name, Account)


def describe(options: argparse.Namespace, one: Account, rows: Mapping[str, str]) -> None:
    """Print an account as JSON, or its rows for people."""
    if options.json:
        show_json(one)
        return
    last = {
        "managed": "by scr.toml" if one.managed else "",
        "created": f"{time_text(one.created_at)} by {one.created_by}",
        "modified": f"{time_text(one.modified_at)} by {one.modified_by}",
    }
    first = {"name": one.name, "id": one.id, "srn": one.srn, "description": one.description}
    for name, value in {**first, **rows, **last}.items():
        show(f"{name:<12}{value or '-'}")


def change(client: Client, options: argparse.Namespace, noun: str, order: Order, shape: type[T]) -> None:
    """Edit the account that the options name."""
    one = find(client, noun, options.name, shape)
    path = f"{API}/{PLURAL[noun]}/{one.id}"
    edit(client, options, path, read(client, path), order, f"{noun} {one.name}")
    if options.json:
        show_json(client.get(path, shape))


def remove(client: Client, options: argparse.Namespace, noun: str, shape: type[T], what: Callable[[T], str]) -> None:
    """Delete the account that the options name, after asking; `what` says what goes with it."""
    one = find(client, noun, options.name, shape)
    said = f"this deletes the {noun} {one.name}{what(one)}"
    if options.dry_run:
        say(f"{said}; nothing was deleted (--dry-run)")
        return
    confirm(options, said, one.name)
    detach = "?detach=true" if getattr(options, "detach", False) else ""
    client.ask("DELETE", f"{API}/{PLURAL[noun]}/{one.id}{detach}")
    say(f"deleted {noun} {one.name}")


def named(held: Sequence[Held]) -> str:
    """Return names for a cell of a table."""
    return ", ".join(one.name for one in held)


def on_off(enabled: bool) -> str:  # noqa: FBT001 - the value itself
    """Return a word for a cell."""
    return "enabled" if enabled else "disabled"


def keys_text(count: int) -> str:
    """Return what a deletion takes along."""
    return f" with {count_text(count, 'access key')}" if count else ""
