"""`scr check-config`: what is in force, and where each value comes from; what it would change of what is declared."""

import argparse
import asyncio

import msgspec

from appliance.cli import settings
from appliance.cli.asking import count_text
from appliance.cli.client import connect_folder
from appliance.cli.editing import differences
from appliance.cli.parser import Parser
from appliance.cli.terminal import DIM, paint, say, show, show_json
from appliance.config import Config, Setting, load
from appliance.errors import Unavailable

EXAMPLES = ("scr check-config --config scr.toml", "scr check-config --plan")


class Checked(msgspec.Struct, frozen=True, rename="camel"):
    """What `--json` prints: the file that was read ("" for none) and every setting."""

    file: str
    settings: tuple[Setting, ...]


def add(parser: Parser) -> None:
    """Add the options."""
    settings.add(parser)
    parser.add_argument("--json", action="store_true", help="print the settings as JSON")
    parser.add_argument(
        "--plan",
        action="store_true",
        help="say what the resources it declares would change; asks the server, or the data folder where none runs",
    )
    parser.add_argument("--changed", action="store_true", help="print only what is not a default")


def run(options: argparse.Namespace) -> int:
    """Print every setting; exit with 1 and every mistake where there is one."""
    sources = settings.sources_of(options)
    loaded = load(sources)
    if options.plan:
        return _plan(loaded.config, options)
    found = [one for one in loaded.settings if not options.changed or one.origin.kind != "default"]
    if options.json:
        show_json(Checked(str(sources.path or ""), tuple(found)))
        return 0
    table = ""
    width = max((len(_line(one)) for one in found), default=0)
    for one in found:
        name, _, _ = one.key.rpartition(".")
        if name != table:  # an element of an array of tables is `user[0]`
            show(f"[[{name.partition('[')[0]}]]" if name.endswith("]") else f"[{name}]")
            table = name
        where = f"{one.origin.kind} {one.origin.where}".rstrip()
        show(f"{_line(one).ljust(width)}  {paint(f'# {where}', DIM)}")
    say(f"{sources.path or 'no scr.toml'}: nothing is wrong")
    return 0


class _Change(msgspec.Struct):
    kind: str
    subject: str
    detail: dict[str, object]


class _Plan(msgspec.Struct):
    changes: list[_Change]


def _plan(config: Config, options: argparse.Namespace) -> int:
    """Print what the declared resources would change."""
    from appliance.assemble.settings import declaration_of  # noqa: PLC0415 - the database and all; a plan alone asks it

    try:
        with connect_folder(config.storage.data_dir) as client:
            changes = client.post("/api/v1/declarations/plan", declaration_of(config), _Plan).changes
    except Unavailable:
        from appliance.assemble.planning import plan_offline  # noqa: PLC0415 - the same

        found = asyncio.run(plan_offline(config))
        changes = msgspec.json.decode(msgspec.json.encode(found), type=list[_Change])
    if options.json:
        show_json(changes)
        return 0
    for one in changes:
        show(_sentence(one))
    say(f"{count_text(len(changes), 'change')}; nothing was changed" if changes else "nothing would change")
    return 0


def _sentence(change: _Change) -> str:
    """Return a change as a line: `registry pay: edited: quotaBytes: null -> 5`."""
    before, after = change.detail.get("before"), change.detail.get("after")
    what = change.kind.partition(".")[2]
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return f"{change.subject}: {what}"
    return f"{change.subject}: {what}: {'; '.join(differences(before, after))}"


def _line(setting: Setting) -> str:
    return f"{setting.key.rpartition('.')[2]} = {setting.value}"
