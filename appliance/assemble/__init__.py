"""Sources -> running appliance: the one package that knows every part; order of start and stop, timetable, reload.

`appliance.py` is the life of the process. What it is put together from has a file each: `folder.py` the data folder,
`stock.py` database and store, `doors.py` front and listeners, `upkeep.py` what it does by itself, `settings.py` what
each part gets of the configuration, `reload.py` what of it may change while it runs.
"""

import logging
import os

from appliance.blobstore.files import Files
from appliance.config import Sources, load
from appliance.errors import ScrError
from appliance.logs import Log, Relay


def serve(sources: Sources, files: Files | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises ConfigInvalid, FolderBusy and what else a person can mend; any other error is said once in the log.
    """
    import uvloop  # noqa: PLC0415 - the command line takes other parts of this package, which need no server

    from appliance.assemble.appliance import Appliance  # noqa: PLC0415 - the same

    loaded = load(sources)
    log = Log(level=loaded.config.log.level, form=loaded.config.log.format)
    logging.basicConfig(handlers=[Relay(log)], level=logging.WARNING, force=True)
    try:
        uvloop.run(Appliance(sources, loaded, log, files or Files()).run())
    except ScrError:
        raise
    except Exception as error:
        if "SCR_DEBUG" in os.environ:
            raise
        log.error("scr.failed", reason=repr(error), cure="start it again with SCR_DEBUG=1 to see where")
        return 1
    return 0
