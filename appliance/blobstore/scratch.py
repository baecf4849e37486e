"""Files that jobs stage in the folder of uploads: gone when the job has done with them, or reaped after its death."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from appliance.blobstore.upload import Uploads
from appliance.errors import ScrError


@asynccontextmanager
async def scratch(uploads: Uploads, name: str) -> AsyncIterator[Path]:
    """Lend the path of the file `name`. However long its bytes take to go on from there, it is not idle."""
    path = uploads.path_of(name)
    uploads.scratch.add(name)
    try:
        yield path
    finally:
        uploads.scratch.discard(name)
        with contextlib.suppress(ScrError):  # reaped later
            await asyncio.get_running_loop().run_in_executor(uploads.executor, uploads.files.remove, path)
