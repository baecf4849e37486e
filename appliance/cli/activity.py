"""`scr activity`: who changed what, from where, and who signed in."""

import argparse
from typing import Any

import msgspec

from appliance.cli.asking import time_text
from appliance.cli.client import connect
from appliance.cli.happenings import add_following, show_entries, time_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import say

EXAMPLES = ("scr activity pay/api --since 24h", "scr activity --kind tag.deleted --principal user:ann --json")
_HEADS = ("TIME", "KIND", "WHO", "FROM", "WHAT", "DETAIL")
_SHOWN_ELSEWHERE = frozenset({"v", "path"})


class Activity(msgspec.Struct, rename="camel"):
    """A change or sign-in as the API shows it."""

    seq: int
    at: str
    kind: str
    principal: str
    address: str
    client: str
    registry: str | None
    repository: str | None
    image: str | None
    about: str
    detail: dict[str, Any]


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("path", nargs="?", default="", metavar="REPOSITORY[/IMAGE]", help="of this one only")
    parser.add_argument("--registry", default="", metavar="NAME", help="of this registry only; where the path is")
    parser.add_argument("--kind", default="", metavar="NOUN.VERB", help="of this kind only, as tag.deleted")
    parser.add_argument("--principal", default="", metavar="WHO", help="by whom, as user:ann")
    parser.add_argument("--about", default="", metavar="WHAT", help="about what is in no registry, as user:ann")
    add_following(parser)


def run(options: argparse.Namespace) -> int:
    """Print what happened."""
    query = {
        "registry": options.registry,
        "path": options.path,
        "kind": options.kind,
        "principal": options.principal,
        "about": options.about,
        "since": time_of(options.since),
        "until": time_of(options.until),
    }
    with connect(options) as client:
        count = show_entries(client, options, "/api/v1/activity", Activity, query, (_HEADS, _cells))
    if not count and not options.json and not options.follow:
        say("nothing of that kind happened; see all of it with: scr activity")
    return 0


def _cells(one: Activity) -> tuple[str, ...]:
    what = one.image or one.repository or one.about or ""
    where = one.registry or ""
    return time_text(one.at), one.kind, one.principal, one.address, f"{where} {what}".strip() or "-", detail_text(one)


def detail_text(one: Activity) -> str:
    """Return what changed on one line: `locked: false -> true, tags=1,2`."""
    before, after = one.detail.get("before"), one.detail.get("after")
    parts = [
        f"{name}={_value(value)}" for name, value in one.detail.items() if name not in _SHOWN_ELSEWHERE and value != []
    ]
    if isinstance(before, dict) and isinstance(after, dict):
        parts = [part for part in parts if not part.startswith(("before=", "after="))]
        parts = [
            f"{name}: {_value(before.get(name))} -> {_value(after.get(name))}" for name in {**before, **after}
        ] + parts
    return ", ".join(parts)


def _value(value: object) -> str:
    if isinstance(value, str):
        return value[:19] if value.startswith(("sha256:", "sha512:")) else value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    return msgspec.json.encode(value).decode()
