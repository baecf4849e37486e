"""`scr serve`: serve until SIGTERM."""

import argparse

from appliance import assemble
from appliance.cli import settings
from appliance.cli.parser import Parser

EXAMPLES = ("scr serve", "scr serve --config scr.toml --data-dir /srv/scr --listen 127.0.0.1:5000")


def add(parser: Parser) -> None:
    """Add the options."""
    settings.add(parser)


def run(options: argparse.Namespace) -> int:
    """Serve; return the exit code."""
    return assemble.serve(settings.sources_of(options))
