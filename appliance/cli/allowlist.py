"""`scr allowlist show|add|remove|check|edit`: who may use an endpoint, by address."""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from appliance.cli import settings
from appliance.cli.asking import Page, add_asking, show_list
from appliance.cli.client import Answer, Client, connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json
from appliance.domain.allowlist import Remark, parse
from appliance.domain.endpoint import MANAGEMENT_LIST, ListName, read_list_name
from appliance.domain.ranges import Ranges, read_span
from appliance.errors import AllowlistInvalid, NameInvalid, RegistryUnknown, Unavailable

EXAMPLES = ("scr allowlist add local.private 10.0.0.0/24 --comment 'the office'", "scr allowlist edit local.public")
_LIST = "REGISTRY.private, REGISTRY.public or management"
_EMPTY = "# one address, network or @group a line\n"


class Row(msgspec.Struct, rename="camel"):
    """A line of the list of allowlists."""

    name: str
    registry: str | None
    endpoint: str
    access_control: bool
    state: str
    fault: str


class View(Row, rename="camel"):
    """A list as the API shows it."""

    text: str
    exists: bool
    entries: int
    mistakes: list[Remark]
    remarks: list[Remark]
    caller_address: str | None
    admits_caller: bool | None


class _Item(msgspec.Struct):
    id: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    show_ = verbs.add_parser(
        "show",
        help="print a list as it lies there, or tell of all lists how they are",
        examples=("scr allowlist show", "scr allowlist show local.private"),
    )
    show_.add_argument("list", nargs="?", metavar="LIST", help=_LIST)
    add_asking(show_)
    for verb, line in (("add", "let addresses, networks or @groups in"), ("remove", "take lines out")):
        examples = (f"scr allowlist {verb} local.private 10.0.0.0/24", f"scr allowlist {verb} management @admins ::1")
        one = verbs.add_parser(verb, help=line, examples=examples)
        one.add_argument("list", metavar="LIST", help=_LIST)
        one.add_argument("entries", nargs="+", metavar="ADDRESS", help="an address, a network or @group")
        if verb == "add":
            one.add_argument("--comment", default="", metavar="TEXT", help="say why, behind each line")
        else:
            _add_shut_out(one)
        add_asking(one)
    check = verbs.add_parser(
        "check",
        help="look for mistakes in a list, or in a file that shall become one",
        examples=("scr allowlist check local.private", "scr allowlist check --file new.txt local.private"),
    )
    check.add_argument("list", nargs="?", metavar="LIST", help=_LIST)
    check.add_argument("--file", type=Path, metavar="FILE", help="what is looked at; without LIST no server is asked")
    add_asking(check)
    edit = verbs.add_parser(
        "edit",
        help="open a list in your editor; it is checked before it counts",
        examples=("scr allowlist edit local.private", "EDITOR=nano scr allowlist edit management"),
    )
    edit.add_argument("list", metavar="LIST", help=_LIST)
    _add_shut_out(edit)
    add_asking(edit)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    if options.verb == "check" and options.file is not None and options.list is None:
        return _check_alone(options)
    if options.verb == "check" and options.list is None:
        raise NameInvalid(f"name a list ({_LIST}), or a file with --file")
    with connect(options) as client:
        verbs = {"show": _show, "add": _add, "remove": _remove, "check": _check, "edit": _edit}
        return verbs[options.verb](client, options)


def _show(client: Client, options: argparse.Namespace) -> int:
    if options.list is None:
        found = client.get("/api/v1/allowlists", Page[Row]).items
        cells = [(one.name, one.state if one.access_control else "not used", one.fault) for one in found]
        show_list(options, ("LIST", "STATE", "WHAT IS WRONG"), found, cells)
        return 0
    view = client.get(_address(client, options.list), View)
    if options.json:
        show_json(view)
        return 0
    show(view.text.rstrip("\n"))
    _tell(view)
    return 0


def _add(client: Client, options: argparse.Namespace) -> int:
    address = _address(client, options.list)
    view = client.get(address, View)
    for entry in options.entries:
        before = view.text
        view = client.post(f"{address}/entries", {"entry": entry, "comment": options.comment}, View)
        if not options.json:
            say(f"{entry} is in {view.name} already" if view.text == before else f"{entry} was added to {view.name}")
    return _end(view, options)


def _remove(client: Client, options: argparse.Namespace) -> int:
    address = _address(client, options.list)
    view = client.get(address, View)
    for entry in options.entries:
        query = f"entry={quote(entry, safe='')}&shutOut={str(options.shut_out).lower()}"
        view = _view(client.ask("DELETE", f"{address}/entries?{query}"))
        if not options.json:
            say(f"{entry} was taken out of {view.name}")
            _tell_what_holds(view, entry)
    return _end(view, options)


def _tell_what_holds(view: View, entry: str) -> None:
    """Say where an address that was taken out gets in all the same."""
    span = read_span(entry)
    for one in parse(view.text, {}).entries if span else ():
        if one.span is not None and span is not None and Ranges([one.span]).covers(span):
            say(f"it still gets in by {one.text} in line {one.line}")


def _check(client: Client, options: argparse.Namespace) -> int:
    address = _address(client, options.list)
    if options.file is None:
        view = client.get(address, View)
    else:
        view = client.post(f"{address}/check", {"text": _read(options.file)}, View)
    if options.json:
        show_json(view)
    else:
        _show_remarks(view.mistakes, view.remarks, view.entries)
        _tell_caller(view)
    return 1 if view.mistakes else 0


def _check_alone(options: argparse.Namespace) -> int:
    """Check a file with the resource groups of scr.toml, without a server."""
    config = settings.load_from(options).config
    found = parse(_read(options.file), {group.name: Ranges(group.addresses) for group in config.resource_group})
    if options.json:
        show_json({"entries": len(found.entries), "mistakes": found.mistakes, "remarks": found.remarks})
    else:
        _show_remarks(found.mistakes, found.remarks, len(found.entries))
    return 1 if found.mistakes else 0


def _edit(client: Client, options: argparse.Namespace) -> int:
    address = _address(client, options.list)
    answer = client.ask("GET", address)
    before, mark = _view(answer), answer.headers["etag"]
    descriptor, name = tempfile.mkstemp(prefix=f"{options.list}-", suffix=".txt")
    path = Path(name)
    os.close(descriptor)
    path.write_text(before.text or _EMPTY)
    try:
        text = _let_edit(client, address, path)
        if text == before.text:
            path.unlink()
            say("nothing was changed")
            return 0
        query = f"?shutOut={str(options.shut_out).lower()}"
        body = msgspec.json.encode({"text": text})
        view = _view(client.ask("PUT", address + query, body, {"Content-Type": "application/json", "If-Match": mark}))
    except BaseException:
        say(f"your text is kept in {path}")
        raise
    path.unlink()
    say(f"{view.name} has {view.entries} entries now")
    return _end(view, options)


def _let_edit(client: Client, address: str, path: Path) -> str:
    """Return the text that a person left in the editor without mistakes. Raises AllowlistInvalid, Unavailable."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    while True:
        try:
            ended = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603 - the person's own
        except OSError as error:
            raise Unavailable(f"{editor} cannot be started: {error.strerror}; name another one by $EDITOR") from error
        if ended.returncode != 0:
            raise Unavailable(f"{editor} ended with {ended.returncode}, so nothing was changed")
        text = path.read_text()
        view = client.post(f"{address}/check", {"text": text}, View)
        _show_remarks(view.mistakes, view.remarks, view.entries)
        if not view.mistakes:
            return text
        if not sys.stdin.isatty():
            raise AllowlistInvalid("the list has mistakes, so nothing was changed")
        say("Edit it again? Type 'no' to leave it:")
        if sys.stdin.readline().strip().lower() in ("no", "n"):
            raise AllowlistInvalid("the list has mistakes, so nothing was changed")


def _address(client: Client, text: str) -> str:
    """Return the address of a list. Raises NameInvalid, RegistryUnknown."""
    name: ListName | None = read_list_name(text)
    if name is None:
        raise NameInvalid(f"{text[:60]!r} is no allowlist; write {_LIST}")
    if name == MANAGEMENT_LIST:
        return "/api/v1/allowlists/management"
    found = client.get("/api/v1/registries", Page[_Item], path=name.registry).items
    if not found:
        raise RegistryUnknown(f"there is no registry {name.registry}; see: scr registry list")
    return f"/api/v1/registries/{found[0].id}/allowlists/{name.endpoint}"


def _add_shut_out(parser: Parser) -> None:
    parser.add_argument("--shut-out", action="store_true", help="do it although it refuses your own address")


def _end(view: View, options: argparse.Namespace) -> int:
    """Show the list after a change."""
    if options.json:
        show_json(view)
    else:
        _tell(view)
    return 0


def _tell(view: View) -> None:
    """Say how the list is, and what it does to whoever asks."""
    if not view.access_control:
        what = "[endpoint.management] access_control" if view.registry is None else "access control"
        say(f"it decides about nobody yet: {what} is off")
    elif view.state == "closed":
        say(f"nobody gets in: {view.fault or 'there is no list'}")
    elif view.fault:
        say(f"the last good list is in force, for this one is not: {view.fault}")
    _tell_caller(view)


def _tell_caller(view: View) -> None:
    if view.admits_caller is False:
        say(f"your own address, {view.caller_address}, is not on it")


def _show_remarks(mistakes: Sequence[Remark], remarks: Sequence[Remark], entries: int) -> None:
    for one in (*mistakes, *remarks):
        show(str(one))
    if not mistakes:
        say(f"{entries} {'entry' if entries == 1 else 'entries'}, no mistake")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise AllowlistInvalid(f"{path} cannot be read: {error}") from error


def _view(answer: Answer) -> View:
    return msgspec.json.decode(answer.body, type=View)
