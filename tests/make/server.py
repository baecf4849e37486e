"""The real server as a child process on a port of the system's choice.

It is `python -m appliance` of the working tree, or the program that $SCR_TEST_PROGRAM names: a packaged one.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.make.client import Client

ROOT = Path(__file__).resolve().parents[2]
_READY = re.compile(r'scr \S+ serving (?P<url>https?://\S+) \(registry "local"\)')
SCR = tuple(shlex.split(os.environ.get("SCR_TEST_PROGRAM", ""))) or (sys.executable, "-m", "appliance")
_START_S = 60  # far more than a start takes; a loaded machine must not fail a test
_STOP_S = 45  # the server gives running transfers 30 s


class Server:
    """`scr serve` on `folder/data`. Start with `start` or a `with` block; `url` is known once it is ready.

    `config` is the text of a scr.toml; `environment` and `options` are added to those of the command.
    """

    program: tuple[str, ...] = (*SCR, "serve")

    def __init__(
        self,
        folder: Path,
        config: str = "",
        *,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Write the configuration; nothing runs yet."""
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "scr.toml"
        self.url = ""
        self.log: list[str] = []  # every line of stderr so far
        self.environment = dict(environment or {})  # besides what every program gets
        self._options = list(options)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(config)

    @property
    def address(self) -> str:
        """`127.0.0.1:<port>`, as image names begin."""
        return self.url.partition("://")[2]

    @property
    def pid(self) -> int:
        """The process id. Raises AssertionError when it was never started."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait for the ready line. Raises AssertionError with the log when it ends before that."""
        assert self._process is None, "the server runs already"
        self._ready.clear()
        self.url = ""
        command = [*self.program, "--config", str(self.config)]
        command += ["--data-dir", str(self.data), "--listen", "127.0.0.1:0", *self._options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self.environment}
        self._process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        if not self._ready.wait(_START_S) or not self.url:
            self.kill()
            raise AssertionError("the server did not become ready:\n" + "\n".join(self.log))
        return self

    def stop(self) -> None:
        """End it by SIGTERM. Raises AssertionError unless it exits with 0 in time, or when it logged a traceback."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("SIGTERM did not end the server:\n" + "\n".join(self.log)) from None
        self._forget()
        assert code == 0, f"the server ended with {code}:\n" + "\n".join(self.log)
        assert not any("Traceback" in line for line in self.log), "the server logged:\n" + "\n".join(self.log)

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def wait(self) -> int:
        """Wait until it ended by itself, or by a test's signal; return its exit code (-9: SIGKILL)."""
        assert self._process is not None, "the server was not started"
        code = self._process.wait(_STOP_S)
        self._forget()
        return code

    def client(self, *, user: str = "", password: str = "") -> Client:
        """Return a new client of it."""
        return Client(self.url, user=user, password=password)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self.kill()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line.rstrip("\n"))
            if (ready := _READY.search(line)) and not self._ready.is_set():
                self.url = ready["url"].rstrip("/")
                self._ready.set()
        self._ready.set()  # it ended: whoever waits shall look

    def _forget(self) -> None:
        process, self._process = self._process, None
        if self._reader is not None:
            self._reader.join(_STOP_S)
            # closing would wait for ever: the reader has the lock as long as a child of the server holds the pipe
            assert not self._reader.is_alive(), "a child of the server outlived it:\n" + "\n".join(self.log)
        if process is not None and process.stderr is not None:
            process.stderr.close()
