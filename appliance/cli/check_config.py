"""`scr check-config`: what is in force, and where each value comes from."""

import argparse

import msgspec

from appliance.cli import settings
from appliance.cli.parser import Parser
from appliance.cli.terminal import DIM, paint, say, show, show_json
from appliance.config import Setting, load

EXAMPLES = ("scr check-config --config scr.toml", "scr check-config --json")


class Checked(msgspec.Struct, frozen=True, rename="camel"):
    """What `--json` prints: the file that was read ("" for none) and every setting."""

    file: str
    settings: tuple[Setting, ...]


def add(parser: Parser) -> None:
    """Add the options."""
    settings.add(parser)
    parser.add_argument("--json", action="store_true", help="print the settings as JSON")
    parser.add_argument("--changed", action="store_true", help="print only what is not a default")


def run(options: argparse.Namespace) -> int:
    """Print every setting; exit with 1 and every mistake where there is one."""
    sources = settings.sources_of(options)
    loaded = load(sources)
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


def _line(setting: Setting) -> str:
    return f"{setting.key.rpartition('.')[2]} = {setting.value}"
