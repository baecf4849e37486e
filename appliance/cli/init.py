"""`scr init`: write a commented scr.toml."""

import argparse
from pathlib import Path

from appliance import assets
from appliance.cli.parser import Parser
from appliance.cli.terminal import say
from appliance.errors import Conflict, Unavailable

EXAMPLES = ("scr init", "scr init /etc/scr/scr.toml")


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("file", nargs="?", type=Path, default=Path("scr.toml"), help="where to write it (./scr.toml)")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def run(options: argparse.Namespace) -> int:
    """Write the file; one that is there stays unless --force. Raises Conflict, Unavailable."""
    path: Path = options.file
    try:
        with path.open("wb" if options.force else "xb") as file:
            file.write(assets.read("appliance", "files/scr.toml"))
    except FileExistsError as error:
        raise Conflict(f"{path} is there already; write elsewhere, or over it with --force") from error
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}") from error
    say(f"wrote {path}; every setting in it is a comment. Next: scr serve --config {path}")
    return 0
