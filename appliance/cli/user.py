"""`scr user hash`: the hash that scr.toml keeps of a password."""

import argparse
import getpass
import sys

from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show
from appliance.errors import Invalid
from appliance.services.keys import hash_password

EXAMPLES = ("scr user hash > admin.hash", "scr user hash < password.txt")


def add(parser: Parser) -> None:
    """Add the verbs."""
    verbs = parser.add_verbs()
    line = "print the hash of a password: asked for on a terminal, else the first line of stdin"
    verbs.add_parser("hash", help=line, examples=EXAMPLES)


def run(options: argparse.Namespace) -> int:
    """Print the hash of the password that is given. Raises Invalid."""
    del options
    password = _ask() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Invalid("there is no password on stdin; write one line, or run scr user hash on a terminal")
    show(hash_password(password))
    say('put the line into a file and name it in scr.toml: [[user]] password_file = "..."')
    return 0


def _ask() -> str:
    """Return a password that was typed twice alike. Raises Invalid."""
    password = getpass.getpass("password: ")
    if getpass.getpass("once more: ") != password:
        raise Invalid("the two passwords differ; try again")
    return password
