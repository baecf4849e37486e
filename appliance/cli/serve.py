"""`scr serve`: serve until SIGTERM."""

import argparse
from pathlib import Path

import msgspec

from appliance import assemble, config
from appliance.cli.parser import Parser
from appliance.logs import Log

EXAMPLES = ("scr serve", "scr serve --config scr.toml --data-dir /srv/scr --listen 127.0.0.1:5000")


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="read FILE; without it every setting is its default"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="keep everything in DIR instead of [storage] data_dir")
    parser.add_argument("--listen", action="append", metavar="HOST:PORT", help="listen here instead; may be repeated")


def run(options: argparse.Namespace) -> int:
    """Serve; return the exit code."""
    found = config.load(options.config)
    if options.data_dir:
        found = msgspec.structs.replace(
            found, storage=msgspec.structs.replace(found.storage, data_dir=options.data_dir)
        )
    if options.listen:
        found = msgspec.structs.replace(
            found, server=msgspec.structs.replace(found.server, listen=tuple(options.listen))
        )
    return assemble.serve(found, Log(level=found.log.level, form=found.log.format))
