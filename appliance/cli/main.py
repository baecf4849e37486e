"""The command line: one file a command."""

import argparse
import sys
from pathlib import Path

import msgspec

from appliance import assemble, config
from appliance.errors import ScrError
from appliance.logs import Log


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser("scr")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve")
    serve.add_argument("--config", type=Path)
    serve.add_argument("--data-dir")
    serve.add_argument("--listen", action="append")
    options = parser.parse_args(arguments)
    try:
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
    except ScrError as error:
        print(f"scr: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
