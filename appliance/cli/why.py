"""`scr why`: why a request was refused."""

import argparse

import msgspec

from appliance.cli.asking import add_asking, count_text, show_list, time_text
from appliance.cli.client import Client, connect
from appliance.cli.happenings import fetch, plain
from appliance.cli.parser import Parser
from appliance.cli.terminal import GREEN, RED, paint, say, show, show_json
from appliance.errors import QueryInvalid

EXAMPLES = ("scr why", "scr why 5b1e4d6a0c9f4e77b3a1d2c4e5f60718")


class _Step(msgspec.Struct):
    stage: str
    allowed: bool
    reason: str


class Blocked(msgspec.Struct):
    """What a pull limit holds back."""

    id: str
    path: str
    digest: str


class Refused(msgspec.Struct, rename="camel"):
    """A refusal as the API shows it; null is what the asker may not see."""

    id: str
    says: str
    at: str
    last_at: str
    times: int
    registry: str | None = None
    principal: str | None = None
    address: str | None = None
    client: str | None = None
    method: str | None = None
    path: str | None = None
    rule: str | None = None
    steps: list[_Step] | None = None
    blocked: Blocked | None = None
    seq: int = 0  # they have none; the newest come first


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("id", nargs="?", metavar="ID", help="of the refusal, or the address that a message ended with")
    parser.add_argument("--registry", default="", metavar="NAME", help="without ID: of this registry only")
    parser.add_argument("--principal", default="", metavar="WHO", help="without ID: of whom, as user:ann")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="without ID: the newest N (else 20)")
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Print one refusal, or the newest ones."""
    with connect(options) as client:
        if options.id is None:
            return _list(client, options)
        return _show(client, options)


def _list(client: Client, options: argparse.Namespace) -> int:
    query = {"registry": options.registry, "principal": options.principal}
    found = fetch(client, "/api/v1/refusals", Refused, options.limit, query)
    cells = [
        (
            time_text(one.last_at),
            str(one.times),
            plain(_who(one)),
            one.address or "",
            plain(_what(one)),
            one.rule or "",
            one.id,
        )
        for one in found
    ]
    show_list(options, ("LAST", "TIMES", "WHO", "FROM", "WHAT", "RULE", "ID"), found, cells)
    if not options.json:
        say("all of one: scr why <ID>" if found else "nobody was refused anything")
    return 0


def _show(client: Client, options: argparse.Namespace) -> int:
    refusal = options.id.rstrip("/").rpartition("/")[2]
    if not refusal.isalnum():
        raise QueryInvalid(f"{options.id!r} is no id of a refusal; it is what a message ends with, behind why:")
    one = client.get(f"/api/v1/refusals/{refusal}", Refused)
    if options.json:
        show_json(one)
        return 0
    show(f"refused   {time_text(one.at)}, {count_text(one.times, 'time')}, last {time_text(one.last_at)}")
    if one.steps is not None:
        show(f"who       {plain(_who(one))} from {one.address} ({plain(one.client or 'no client named')})")
        show(f"what      {plain(_what(one))} in registry {one.registry or '(unknown)'}\nrule      {one.rule}")
    show(f"said      {plain(one.says)}")
    for step in one.steps or []:
        mark = paint("passed ", GREEN) if step.allowed else paint("refused", RED)
        show(f"  {mark}  {step.stage}: {plain(step.reason)}")
    if one.blocked is not None:
        say(f"what blocks it: scr scan {one.blocked.path}@{one.blocked.digest} --no-new")
    return 0


def _who(one: Refused) -> str:
    return one.principal or "(unknown)"


def _what(one: Refused) -> str:
    return f"{one.method} {one.path}"
