"""`scr retention test|simulate|run`: what tag deletion would take, would have taken, and taking it now."""

import argparse

import msgspec

from appliance.cli import following
from appliance.cli.asking import count_text
from appliance.cli.client import Client, connect
from appliance.cli.editing import policy_of
from appliance.cli.following import Job
from appliance.cli.image_change import add_place, address_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json, show_table
from appliance.domain.sizes import size_text
from appliance.errors import Unavailable

EXAMPLES = ("scr retention test pay/api", "scr retention test pay/api --policy old=true --policy old_days=90")


class _Verdict(msgspec.Struct):
    digest: str
    tags: list[str]
    reason: str
    text: str
    size: int


class _Test(msgspec.Struct, rename="camel"):
    deleted: list[_Verdict]
    kept: list[_Verdict]
    more: int
    manifests: int
    tags: int
    freed: int
    kept_by_reason: dict[str, int]


class _Simulation(msgspec.Struct, rename="camel"):
    since: str | None
    manifests: int
    tags: int
    kept_manifests: int
    kept_tags: int
    freed: int


class _Ran(msgspec.Struct, rename="camel"):
    manifests: int
    tags: int
    is_whole: bool
    undo: str


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    for verb, about in (
        ("test", "list exactly what a run now would delete, and why; nothing changes"),
        ("simulate", "tell what a policy would have kept, had it been on since the first push"),
    ):
        examples = (
            f"scr retention {verb} pay/api",
            f"scr retention {verb} pay/api --policy old=true --policy old_days=90",
        )
        one = verbs.add_parser(verb, help=about, examples=examples)
        one.add_argument("image", metavar="IMAGE")
        one.add_argument(
            "--policy",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help="by a policy that differs in this, e.g. old_days=90; may be repeated",
        )
        if verb == "test":
            one.add_argument("--kept", action="store_true", help="tell of what stays, too, why it does")
        add_place(one)
    running = verbs.add_parser(
        "run",
        help="let the image's own policy run now, not when it is due",
        examples=("scr retention run pay/api", "scr retention run pay/api --no-wait"),
    )
    running.add_argument("image", metavar="IMAGE")
    running.add_argument("--no-wait", action="store_true", help="do not wait for its end")
    add_place(running)


def run(options: argparse.Namespace) -> int:
    """Do what the verb says."""
    with connect(options) as client:
        return {"test": _test, "simulate": _simulate, "run": _run}[options.verb](client, options)


def _test(client: Client, options: argparse.Namespace) -> int:
    address = f"{address_of(client, options.image, options.registry)}/retention-tests"
    found = client.post(address, {**_order(options), "showKept": options.kept}, _Test)
    if options.json:
        show_json(found)
        return 0
    rows = [("delete", *_cells(one)) for one in found.deleted] + [("keep", *_cells(one)) for one in found.kept]
    if rows:
        show_table(("", "DIGEST", "TAGS", "SIZE", "WHY"), rows)
    if found.more:
        show(f"and {found.more} more")
    say(
        f"a run now would delete {count_text(found.manifests, 'manifest')} with {count_text(found.tags, 'tag')}"
        f" and free {size_text(found.freed)}; nothing was changed"
    )
    return 0


def _simulate(client: Client, options: argparse.Namespace) -> int:
    address = f"{address_of(client, options.image, options.registry)}/retention-simulations"
    found = client.post(address, _order(options), _Simulation)
    if options.json:
        show_json(found)
        return 0
    show(
        f"since {(found.since or 'ever')[:10]} this policy would have kept {found.kept_tags} of {found.tags} tags"
        f" ({found.kept_manifests} of {found.manifests} manifests), and freed {size_text(found.freed)}"
    )
    return 0


def _run(client: Client, options: argparse.Namespace) -> int:
    job = client.post(f"{address_of(client, options.image, options.registry)}/retention-runs", {}, Job)
    if options.no_wait:
        say(f"ordered; see: scr job show {job.id}")
        return 0
    job = following.follow(client, job)
    if job.state != "done":
        raise Unavailable(f"the run is {job.state}: {job.reason or 'see its log'}; see: scr job show {job.id}")
    done = msgspec.convert(job.report, _Ran)
    if options.json:
        show_json(done)
        return 0
    undo = f"; undo it with: scr deletion undo {done.undo}" if done.undo else ""
    say(f"deleted {count_text(done.manifests, 'manifest')} with {count_text(done.tags, 'tag')}{undo}")
    return 0


def _order(options: argparse.Namespace) -> dict[str, object]:
    wanted = [text if "." in text.partition("=")[0] else f"tag_deletion.{text}" for text in options.policy]
    policy = policy_of(argparse.Namespace(policy=wanted)).get("tagDeletion")
    return {"policy": policy} if policy else {}


def _cells(one: _Verdict) -> tuple[str, str, str, str]:
    names = ", ".join(one.tags[:3]) + (f", {len(one.tags) - 3} more" if len(one.tags) > 3 else "")
    return one.digest[:19], names or "-", size_text(one.size), one.text
