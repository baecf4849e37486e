"""The options that say what is configured, shared by every command that reads `scr.toml`."""

import argparse
import os
from pathlib import Path

from appliance.cli.parser import Parser
from appliance.config import Loaded, Option, Sources, load

HERE = Path("scr.toml")  # what `scr init` writes


def add(parser: Parser) -> None:
    """Add `--config`, `--data-dir` and `--listen`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="read FILE (else ./scr.toml, if there is one)")
    parser.add_argument("--data-dir", metavar="DIR", help="keep everything in DIR instead of [storage] data_dir")
    parser.add_argument(
        "--listen", action="append", metavar="HOST:PORT", help="listen here instead of [server] listen; may be repeated"
    )


def sources_of(options: argparse.Namespace) -> Sources:
    """Return what the configuration is made of."""
    path: Path | None = options.config
    if path is None and HERE.exists():
        path = HERE
    found = []
    if options.data_dir is not None:
        found.append(Option(("storage", "data_dir"), "--data-dir", options.data_dir))
    if options.listen is not None:
        found.append(Option(("server", "listen"), "--listen", options.listen))
    return Sources(path, dict(os.environ), tuple(found))


def load_from(options: argparse.Namespace) -> Loaded:
    """Return the configuration in force. Raises ConfigInvalid."""
    return load(sources_of(options))
