"""Waits for Litestream: once for each group commit, until the replica holds it too."""

import http.client
import socket
from pathlib import Path

import msgspec

from appliance.errors import StoreFailed

_WAIT_S = 30  # that Litestream may take
_PATIENCE_S = 5  # that it may take longer to say so
_LONGEST_ANSWER = 64 << 10  # bytes


class Replica:
    """Litestream's control socket. It blocks: for the writer's thread."""

    def __init__(self, address: Path, database: Path) -> None:
        """Ask at the socket `address` about the file `database`."""
        self._address = str(address)
        self._order = msgspec.json.encode({"path": str(database.absolute()), "wait": True, "timeout": _WAIT_S})

    def sync(self) -> None:
        """Return once the replica holds what was committed. Raises StoreFailed."""
        asking = _Socket(self._address)
        try:
            asking.request("POST", "/sync", self._order, {"Content-Type": "application/json"})
            answer = asking.getresponse()
            said = answer.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise _lost(str(error) or type(error).__name__) from error
        finally:
            asking.close()
        if answer.status != 200:
            raise _lost(f"{answer.status} {said[:200].decode(errors='replace').strip()}")


class _Socket(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_WAIT_S + _PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _lost(reason: str) -> StoreFailed:
    return StoreFailed(
        f"the change is here, and Litestream has not replicated it: {reason}; see whether it runs, and do it again"
    )
