"""The command line: `scr <command> ...`, one file a command.

The contract of a command. `COMMANDS` names it with its line in `scr --help`; its module is `appliance.cli.<name>`
(`-` written as `_`), imported only when it is asked for, and has

    EXAMPLES: tuple[str, str]                      two command lines; `--help` begins with them
    add(parser: appliance.cli.parser.Parser)       adds its options, or its verbs:
        verbs = parser.add_verbs()
        verbs.add_parser("list", help="...", examples=("scr tag list pay/api", "..."))
    run(options: argparse.Namespace) -> int        does it; returns 0 done, 1 failed or refused

`run` raises ScrError for what a person can mend: `main` prints its sentence and ends with 1. Data goes to stdout
(`--json` for programs), talk to stderr: `appliance.cli.terminal` does both. `options.verb` is the verb, where a command
has verbs. Wrong usage (2) is the parser's: `options` holds only what it understood.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from appliance import __version__
from appliance.cli.parser import Parser
from appliance.cli.terminal import say
from appliance.errors import ScrError

COMMANDS = {
    "serve": "serve the registry",
    "init": "write a commented scr.toml",
    "check-config": "show the settings in force and where each comes from",
    "status": "show what runs, what it keeps and when it last looked after itself",
    "registry": "list, show, make, change, delete and restore registries",
    "repository": "list, show, make, change, delete and restore repositories",
    "image": "list, show, change, lock, delete, export and import images",
    "manifest": "list, show and delete the digests of an image, and what refers to them",
    "tag": "list, show, add, rename, put back, lock and delete tags, and tell their history",
    "deletion": "list what was deleted, and bring it back",
    "scan": "look for vulnerabilities and secrets in an image, an archive or a folder",
    "finding": "let vulnerabilities not count, and say why; list them, let them count again",
    "contents": "what is in images: files, one file, two compared, a search over all of them",
    "retention": "test, simulate and run the deletion of tags by policy",
    "job": "list, follow, run and cancel work in the background",
    "allowlist": "say by address who may use an endpoint of a registry, or management",
    "activity": "show who changed what, and who signed in",
    "why": "show why a request was refused",
    "logs": "show who pulled and pushed what",
    "metrics": "show the manual's counters over time",
    "gc": "delete the bytes that nobody needs any more",
    "scrub": "read and hash every blob, and put aside what is broken",
    "vulndb": "the vulnerability data that scans are matched with: import, status, list, remove, fetch",
    "storage": "the stores in use, checks of the bucket, moves, keys, Litestream",
    "tls": "make a local certificate authority and a server certificate",
    "trust": "make a client trust this registry: its exact file, printed or installed",
    "user": "list, show, make, change, import and delete users, and set their passwords",
    "group": "list, show, make, change and delete groups, and say who is in them",
    "role": "list, show, make, change and delete roles: who machines sign in as",
    "policy": "list, show, write, load, switch, attach and delete access policies",
    "key": "list, show, make, rotate, switch and delete access keys",
    "explain": "say whether somebody may do something, and every decision on the way",
    "doctor": "look at the host and use the registry from outside; say what is wrong and how to cure it",
    "verify": "compare the store with the database",
    "backup": "copy everything while it is served, or the database alone into the data folder",
    "restore": "put a backup into a data folder",
    "rebuild": "make a database from what lies in the data folder or the bucket, after the old one is lost",
    "install": "become a service of this host: program, user, folders, unit",
    "upgrade-check": "try what this program would do to an older data folder, on a copy",
    "uninstall": "take away what scr install brought",
    "completion": "print what a shell needs to complete scr's command line",
    "manual": "print the manual pages for man",
    "licenses": "print what is inside this program, under which licences",
    "version": "print the version of this program",
}
CHILDREN = {  # what the program starts itself as, and nobody types: name -> module
    "_feed": "appliance.cli.feed_child",
    "_worker": "appliance.services.scan_worker",
}
_EXAMPLES = ("scr serve", "scr serve --config scr.toml")


class Command(Protocol):
    """A module that follows the contract."""

    EXAMPLES: tuple[str, str]

    def add(self, parser: Parser) -> None:
        """Add options and verbs."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it; return the exit code."""


class Child(Protocol):
    """A module of CHILDREN: what it has to say goes to the process that started it, not to people."""

    def run(self, words: Sequence[str]) -> int:
        """Do what `words` say; return the exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 1 failed or refused, 2 wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in CHILDREN:
        return cast("Child", import_module(CHILDREN[given[0]])).run(given[1:])
    return _run(given)


def _run(given: list[str]) -> int:
    """Run what a person has typed."""
    name = next((word for word in given if not word.startswith("-")), "")
    command = load(name) if name in COMMANDS else None
    parser = make_parser(name, command)
    options = parser.parse_args(given)
    if command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code = command.run(options)
        sys.stdout.flush()
    except ScrError as error:
        say(f"scr: {error.message}")
        return 1
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:  # `scr ... | head`: nobody reads on; the last flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "SCR_DEBUG" in os.environ:
            raise
        say(f"scr: {name} failed: {type(error).__name__}: {error}; run it again with SCR_DEBUG=1 to see where")
        return 1
    return code


def load(name: str) -> Command:
    """Return the module of the command `name`, one of COMMANDS."""
    return cast("Command", import_module(f"appliance.cli.{name.replace('-', '_')}"))


def make_parser(name: str, command: Command | None) -> Parser:
    """Return the parser of the whole command line; only `command`, called `name`, knows its options."""
    parser = Parser("scr", description="A container registry in one process.", examples=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"scr {__version__}", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="<command>", title="commands")
    for known, line in COMMANDS.items():
        if command is not None and known == name:
            described = f"{line[0].upper()}{line[1:]}."
            command.add(commands.add_parser(known, help=line, description=described, examples=command.EXAMPLES))
        else:
            commands.add_parser(known, help=line)
    return parser
