"""The real server on a disk that fails, or kills it, by the plan in the file that CRASH_PLAN names."""

import argparse
import os
import sys
from pathlib import Path

from appliance import assemble
from appliance.cli import settings
from appliance.cli.parser import Parser
from tests.crash.faults import Faults, FaultyFiles, FaultyVfs


def main() -> int:
    """Serve with the options of `scr serve`."""
    parser = Parser(prog="serve")
    settings.add(parser)
    options: argparse.Namespace = parser.parse_args()
    faults = Faults(Path(os.environ["CRASH_PLAN"]))
    vfs = FaultyVfs(faults)
    try:
        return assemble.serve(settings.sources_of(options), FaultyFiles(faults))
    finally:
        vfs.unregister()


if __name__ == "__main__":
    sys.exit(main())
