"""`scr restore` on a disk that fails, or kills it, by the plan in the file that CRASH_PLAN names."""

import os
import sys
from pathlib import Path

from appliance.assemble import offline
from appliance.cli.main import main
from appliance.services import restore
from tests.crash.faults import Faults, FaultyFiles, FaultyVfs


def run() -> int:
    """Restore with the options of `scr restore`."""
    faults = Faults(Path(os.environ["CRASH_PLAN"]))
    vfs = FaultyVfs(faults)
    for module in (offline, restore):
        setattr(module, "Files", lambda: FaultyFiles(faults))  # noqa: B010 - mypy knows that it is a class
    try:
        return main(["restore", *sys.argv[1:]])
    finally:
        vfs.unregister()


if __name__ == "__main__":
    sys.exit(run())
