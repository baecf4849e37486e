"""`scr manual`: the manual pages, generated from the command line and the commented scr.toml."""

import argparse
import re
from collections.abc import Iterator

from appliance import __version__, assets
from appliance.cli.described import Described, list_commands
from appliance.cli.parser import Parser
from appliance.cli.terminal import show

EXAMPLES = ("scr manual", "scr manual scr.toml")
PAGES = {"scr": 1, "scr.toml": 5}  # page -> section
_TEXT = """
scr is a container registry in one process: the OCI distribution API, a console, a management API, a scanner and
retention over one data folder. Without a configuration it listens on this machine only and needs no account.

Commands that ask the running server reach it through the control socket in its data folder, or, with --server, as a
user of the registry. A command ends with 0 when it is done, 1 when it failed or was refused, 2 when it was called
wrongly.
"""


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("page", nargs="?", choices=sorted(PAGES), default="scr", help="which page (scr)")


def run(options: argparse.Namespace) -> int:
    """Print a page for man."""
    lines = _commands() if options.page == "scr" else _settings()
    show("\n".join((f'.TH {options.page.upper()} {PAGES[options.page]} "" "scr {__version__}"', *lines)))
    return 0


def _commands() -> Iterator[str]:
    yield from (".SH NAME", "scr \\- a container registry in one file", ".SH SYNOPSIS")
    yield from (".B scr", ".I command", "[option ...]", ".SH DESCRIPTION")
    yield from _paragraphs(_TEXT)
    yield ".SH COMMANDS"
    for command in list_commands():
        for one in command.verbs or (command,):
            yield from _section(one)
    yield from (".SH FILES", ".TP", "/etc/scr/scr.toml", "settings; see scr.toml(5)", ".TP", "/var/lib/scr", "data")
    yield from (".SH ENVIRONMENT", ".TP", "SCR_<SECTION>__<KEY>", "a setting; it wins over the file")
    yield from (".TP", "SCR_USER, SCR_PASSWORD", "who asks, where --server is given")
    yield from (".TP", "SCR_DEBUG", "where it is 1, failures show where they came from")
    yield from (".SH SEE ALSO", "scr.toml(5)")


def _section(command: Described) -> Iterator[str]:
    yield f".SS scr {_escaped(command.name)}"
    yield _escaped(f"{command.about[0].upper()}{command.about[1:]}.")
    for argument in command.arguments:
        yield from (".TP", f".B {_escaped(argument.usage)}", _escaped(argument.help or "which one"))
    if command.examples:
        yield from (".PP", "Examples:", ".PP", ".nf", *(f"  {_escaped(line)}" for line in command.examples), ".fi")


def _settings() -> Iterator[str]:
    yield from (".SH NAME", "scr.toml \\- settings of the container registry scr", ".SH DESCRIPTION")
    yield "TOML; this is the file that scr init writes, in which every key is a comment with its default."
    yield from (".PP", ".nf")
    yield from (_escaped(line) for line in assets.read("appliance", "files/scr.toml").decode().splitlines())
    yield from (".fi", ".SH SEE ALSO", "scr(1)")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield from (".PP", _escaped(" ".join(paragraph.split())))


def _escaped(text: str) -> str:
    """Return text that roff shows as it is: no command at the start of a line, no escape, no hyphen for a minus."""
    escaped = re.sub(r"\\", r"\\e", text).replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
