"""A service manager in small: listens on a port, then becomes `scr` with the socket as descriptor 3.

`ACTIVATE=<host>` says where to listen; `127.0.0.1:0` among the arguments becomes the port that the system chose.
"""

import os
import socket
import sys

from tests.make.server import SCR


def main() -> None:
    """Listen, and become the program."""
    bound = socket.create_server((os.environ["ACTIVATE"], 0))
    port = bound.getsockname()[1]
    os.dup2(bound.detach(), 3)
    os.set_inheritable(3, True)  # noqa: FBT003 - and where it was 3 already, dup2 left it to end with this program
    os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = "1", str(os.getpid())
    words = [f"127.0.0.1:{port}" if word == "127.0.0.1:0" else word for word in sys.argv[1:]]
    os.execvp(SCR[0], [*SCR, *words])  # noqa: S606 - it becomes the program, as a unit's process does


if __name__ == "__main__":
    main()
