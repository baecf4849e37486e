"""`scr job`: list, show, follow, run, cancel and retry jobs; show the schedules."""

import argparse

import msgspec

from appliance.cli import following
from appliance.cli.asking import Page, add_asking, show_list, time_text, walk
from appliance.cli.client import Client, connect
from appliance.cli.following import Job, progress_text
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show, show_json

EXAMPLES = ("scr job list --state failed", "scr job run scrub")

_KINDS = ("gc", "upload-expiry", "sweep", "scrub", "check", "move", "backup", "roll-up", "measure")
_STATES = ("waiting", "running", "done", "failed", "cancelled")
_NEWEST = 100  # jobs of a list, unless more are asked for


class _Schedule(msgspec.Struct, rename="camel"):
    kind: str
    setting: str
    when: str
    due_at: str | None
    ran_at: str | None


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    examples = ("scr job list", "scr job list --kind scrub --state failed")
    listing = verbs.add_parser("list", help="list jobs, the newest first", examples=examples)
    listing.add_argument("--kind", metavar="KIND", default="", help="only jobs of this kind")
    listing.add_argument("--state", choices=_STATES, default="", help="only jobs in this state")
    listing.add_argument("--subject", metavar="ID", default="", help="only jobs about this")
    listing.add_argument("--all", action="store_true", help=f"all of them, not only the newest {_NEWEST}")
    add_asking(listing)
    examples = ("scr job show 1f0c9a2b77de", "scr job show 1f0c9a2b77de --follow")
    showing = verbs.add_parser("show", help="show a job, its report and its log", examples=examples)
    showing.add_argument("id", help="the job's id")
    showing.add_argument("--follow", action="store_true", help="wait for its end, and tell what it says")
    add_asking(showing)
    examples = ("scr job run scrub", "scr job run sweep --detach")
    running = verbs.add_parser("run", help="run a job now and follow it", examples=examples)
    running.add_argument("kind", choices=_KINDS, help=", ".join(_KINDS))
    running.add_argument("--detach", action="store_true", help="do not wait for its end")
    add_asking(running)
    for verb, line in (
        ("cancel", "call a job off: a waiting one at once, a running one at its next step"),
        ("retry", "run a job again that failed or was cancelled, and now one that waits"),
    ):
        examples = (f"scr job {verb} 1f0c9a2b77de", f"scr job {verb} 1f0c9a2b77de --json")
        changing = verbs.add_parser(verb, help=line, examples=examples)
        changing.add_argument("id", help="the job's id")
        add_asking(changing)
    examples = ("scr job schedule", "scr job schedule --json")
    add_asking(verbs.add_parser("schedule", help="show what is done by itself, and when", examples=examples))


def run(options: argparse.Namespace) -> int:
    """Do what the verb says; 1 where a job that was followed did not end well."""
    with connect(options) as client:
        match options.verb:
            case "list":
                return _list(options, client)
            case "show":
                return _show(options, client)
            case "run":
                return _run(options, client)
            case "schedule":
                return _schedule(options, client)
            case verb:
                return _change(options, client, verb)


def _list(options: argparse.Namespace, client: Client) -> int:
    asked = {"kind": options.kind, "state": options.state, "subject": options.subject}
    if options.all:
        found = list(walk(client, "/api/v1/jobs", Job, **asked))
    else:
        found = client.get("/api/v1/jobs", Page[Job], limit=str(_NEWEST), **asked).items
    rows = [
        (job.id, job.kind, job.about, _state(job), progress_text(job), time_text(job.created_at), job.reason)
        for job in found
    ]
    show_list(options, ("ID", "KIND", "ABOUT", "STATE", "PROGRESS", "ORDERED", "REASON"), found, rows)
    return 0


def _show(options: argparse.Namespace, client: Client) -> int:
    job = client.get(f"/api/v1/jobs/{options.id}", Job)
    if options.follow:
        job = following.follow(client, job)
    if options.json:
        show_json(job)
    else:
        _describe(job)
        if not options.follow:
            for line in following.lines_after(client, job.id, 0):
                show(f"{time_text(line.at)}  {line.text}")
    return _code(job) if options.follow else 0


def _run(options: argparse.Namespace, client: Client) -> int:
    job = following.order(client, options.kind, {})
    if not options.detach:
        job = following.follow(client, job)
    if options.json:
        show_json(job)
    elif options.detach:
        say(f"job {job.id} is {job.state}; follow it with: scr job show {job.id} --follow")
    else:
        _describe(job)
    return 0 if options.detach else _code(job)


def _change(options: argparse.Namespace, client: Client, verb: str) -> int:
    job = client.post(f"/api/v1/jobs/{options.id}/{verb}", {}, Job)
    if options.json:
        show_json(job)
    else:
        say(f"job {job.id} is {_state(job)}")
    return 0


def _schedule(options: argparse.Namespace, client: Client) -> int:
    found = client.get("/api/v1/schedules", Page[_Schedule]).items
    rows = [
        (one.kind, one.when or "never", time_text(one.due_at) if one.due_at else "", time_text(one.ran_at), one.setting)
        for one in found
    ]
    show_list(options, ("KIND", "WHEN", "NEXT", "LAST", "SETTING"), found, rows)
    return 0


def _describe(job: Job) -> None:
    """Write all that is known of a job."""
    rows = [
        ("job", job.id),
        ("kind", job.kind),
        ("about", job.about),
        ("state", _state(job)),
        ("progress", progress_text(job)),
        ("attempts", str(job.attempts)),
        ("ordered", f"{time_text(job.created_at)} by {job.created_by}"),
        ("begun", time_text(job.started_at)),
        ("ended", time_text(job.ended_at) if job.ended_at else ""),
        ("reason", job.reason),
        *((f"  {name}", _text(value)) for name, value in (job.report or {}).items()),
    ]
    for name, value in rows:
        if value:
            show(f"{name:12}{value}")


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _state(job: Job) -> str:
    if job.state == "running" and job.is_cancelling:
        return "cancelling"
    return f"waiting until {time_text(job.not_before)}" if job.state == "waiting" and job.reason else job.state


def _code(job: Job) -> int:
    return 0 if job.state == "done" else 1
