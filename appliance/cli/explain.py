"""`scr explain`: would this be allowed, and why? Every decision with the rule behind it."""

import argparse

import msgspec

from appliance.cli.asking import add_asking
from appliance.cli.client import connect
from appliance.cli.parser import Parser
from appliance.cli.terminal import GREEN, RED, paint, say, show_json, show_table
from appliance.cli.why import Blocked

EXAMPLES = (
    "scr explain --as ann --from 192.0.2.7 pull pay/api:1",
    "scr explain --as SCRABCDEFGHIJKLMNOPQ --endpoint public push pay/api",
)


class _Asked(msgspec.Struct):
    as_: str = msgspec.field(name="as")
    from_: str = msgspec.field(name="from")
    action: str
    name: str
    registry: str | None
    endpoint: str


class _Step(msgspec.Struct):
    stage: str
    allowed: bool
    reason: str


class _Explained(msgspec.Struct):
    allowed: bool
    principal: str
    steps: list[_Step]
    blocked: Blocked | None = None


def add(parser: Parser) -> None:
    """Add the options."""
    who = "an access key, a user, user:NAME, role:NAME or anonymous"
    parser.add_argument("--as", dest="who", required=True, metavar="WHO", help=who)
    parser.add_argument("--from", dest="address", default="127.0.0.1", metavar="ADDRESS", help="where it comes from")
    parser.add_argument(
        "--endpoint", choices=("private", "public"), default="private", help="by which endpoint it comes"
    )
    parser.add_argument("--registry", metavar="NAME", help="of which registry (else the default one)")
    parser.add_argument("action", metavar="ACTION", help="pull, push, delete, login, or an action's own name")
    parser.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="image, IMAGE:TAG, IMAGE@DIGEST, repository"
    )
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Print every decision; return 0 if it would be allowed, 1 if it would be refused."""
    asked = _Asked(options.who, options.address, options.action, options.name, options.registry, options.endpoint)
    with connect(options) as client:
        found = client.post("/api/v1/explain", asked, _Explained)
    if options.json:
        show_json(found)
    else:
        words = {True: "allowed", False: "refused"}
        cells = [(step.stage, words[step.allowed], step.reason) for step in found.steps]
        show_table(("DECISION", "", "WHY"), cells)
        word = paint("allowed", GREEN) if found.allowed else paint("refused", RED)
        what = f"{options.action} {options.name}".strip()
        say(f"{found.principal} from {options.address}: {what} is {word}")
        if found.blocked is not None:
            say(f"what blocks it: scr scan {found.blocked.path}@{found.blocked.digest} --no-new")
    return 0 if found.allowed else 1
