"""`scr serve`: serve until SIGTERM."""

import argparse

from appliance import program
from appliance.cli import settings
from appliance.cli.parser import Parser
from appliance.cli.terminal import say
from appliance.config import load

EXAMPLES = ("scr serve", "scr serve --config scr.toml --data-dir /srv/scr --listen 127.0.0.1:5000")


def add(parser: Parser) -> None:
    """Add the options."""
    settings.add(parser)


def run(options: argparse.Namespace) -> int:
    """Serve; return the exit code."""
    sources = settings.sources_of(options)
    if reason := program.settle(load(sources).config.storage.data_dir):
        say(f"scr: compiled modules stay in memory, for {reason}; that takes some 40 MB more, and no harm else")
    from appliance import assemble  # noqa: PLC0415 - its compiled modules are loaded from where they now lie

    return assemble.serve(sources)
