"""What is written down of an upload session, and which sessions a restart has left."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.blobstore.forms import PLAIN
from appliance.domain.moment import Timestamp


class Session(msgspec.Struct, frozen=True):
    """Whose upload it is; bound to all of it, so that an id alone gives nobody anything."""

    id: str
    registry: int
    path: str
    principal: str
    algorithm: str
    started: Timestamp
    form: str = PLAIN  # that its bytes have on the disk


DECODER = msgspec.json.Decoder(Session)


class Resting(msgspec.Struct, frozen=True):
    """A session from before the start that nobody has touched since. `size` is bytes of its file."""

    registry: int
    size: int


def find_resting(folder: Path) -> dict[str, Resting]:
    """Return the sessions of `folder` by their ids (blocking)."""
    found = {}
    for path in folder.glob("*.json"):
        try:
            session = DECODER.decode(path.read_bytes())
            found[session.id] = Resting(session.registry, (folder / session.id).stat().st_size)
        except (OSError, msgspec.DecodeError):  # finished meanwhile, or left by a crash without its bytes
            continue
    return found


class Idle(msgspec.Struct, frozen=True):
    """A session that lies there: its image, the bytes it has, and when it was last written to (unix seconds)."""

    id: str
    registry: int
    path: str
    size: int
    changed: float


def list_idle(folder: Path) -> Iterator[Idle]:
    """Yield the sessions that lie in `folder` (blocking)."""
    for entry in folder.glob("*.json"):
        with suppress(OSError, msgspec.DecodeError):  # it has just ended, or was never begun whole
            session = DECODER.decode(entry.read_bytes())
            status = (folder / session.id).stat()
            yield Idle(
                session.id, session.registry, session.path, status.st_size, max(status.st_mtime, entry.stat().st_mtime)
            )
