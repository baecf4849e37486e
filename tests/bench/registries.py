"""The two programs that are measured: `scr` of this working tree, and distribution at .cache/bin/registry."""

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

from tests.bench.certificate import Certificate
from tests.bench.exchange import Broken, Exchange, context_of
from tests.bench.generator import ROOT
from tests.bench.jobs import Where
from tests.bench.processes import cpu_seconds, resident
from tests.make.server import SCR

_START_S = 60.0
_STOP_S = 60.0
_AGAIN_S = 0.002  # between two looks whether it serves
_REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"

_SCR = """[server]
listen = ["127.0.0.1:{plain}"]
[storage]
data_dir = "{data}"
"""
_SCR_TLS = """[[listener]]
address = "127.0.0.1:{tls}"
tls_certificate = "{certificate}"
tls_key = "{key}"
"""
# its in-memory cache of descriptors is on, as in the configuration it ships
_DISTRIBUTION = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {data}}}
  cache: {{blobdescriptor: inmemory}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http:
  addr: 127.0.0.1:{port}
  secret: benchmark
"""
_DISTRIBUTION_TLS = """  tls: {{certificate: {certificate}, key: {key}}}
"""


class StartFailed(Exception):
    """A registry did not begin to serve; the message ends with the end of its log."""


class Registry(ABC):
    """A program on its own folder. `start` it, use `plain` and `tls`, `stop` it; start again on the same folder."""

    name: str
    answers: tuple[int, ...] = (200,)  # to /v2/, once it serves

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        """Take `folder` for data, configuration and log; without a certificate there is no TLS."""
        self.folder = folder
        self.data = folder / "data"
        self.certificate = certificate
        self.plain = Where(0)
        self.tls = Where(0)
        self._processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> float:
        """Start it; return the seconds from its spawning to its first 200 on /v2/ over HTTP. Raises StartFailed."""
        self.plain = Where(_free_port())
        self.tls = Where(_free_port(), str(self.certificate.authority)) if self.certificate else Where(0)
        commands = self._commands()  # writes the files before the clock runs
        began = time.perf_counter()
        self._spawn(commands[0])
        self._await(self.plain)
        seconds = time.perf_counter() - began
        for command in commands[1:]:
            self._spawn(command)
        if self.tls.port:
            self._await(self.tls)
        return seconds

    def stop(self) -> None:
        """End it by SIGTERM, or by SIGKILL if it takes too long."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def pids(self) -> list[int]:
        """Its processes; the first serves HTTP."""
        return [process.pid for process in self._processes]

    def cpu_seconds(self) -> float:
        """Return the processor time it has used since it started, children included."""
        return sum(map(cpu_seconds, self.pids))

    def resident(self) -> int:
        """Return the bytes of memory that the process that serves HTTP holds, children included."""
        return resident(self.pids[0])

    @abstractmethod
    def _commands(self) -> list[list[str]]:
        """Write the configuration and return the commands to run, the first for HTTP."""

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def _spawn(self, command: list[str]) -> None:
        with self._log().open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def _await(self, where: Where) -> None:
        context = context_of(where)
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            for process in self._processes:
                if process.poll() is not None:
                    raise StartFailed(f"{self.name} ended with {process.returncode}: {self._last_words()}")
            try:
                line = Exchange(where, context)
            except OSError:
                time.sleep(_AGAIN_S)
                continue
            try:
                line.send(_REQUEST % where.port)
                line.receive()
                if line.status in self.answers:
                    return
            except (OSError, Broken):
                time.sleep(_AGAIN_S)
            finally:
                line.close()
        raise StartFailed(f"{self.name} did not answer /v2/ by 200 in {_START_S:.0f} s: {self._last_words()}")

    def _log(self) -> Path:
        return self.folder / "log"

    def _last_words(self) -> str:
        return self._log().read_text(errors="replace")[-600:]


class Scr(Registry):
    """`scr serve` as the working tree is, by the interpreter that runs the benchmark, or $SCR_TEST_PROGRAM."""

    name = "scr"

    def _commands(self) -> list[list[str]]:
        config = self.folder / "scr.toml"
        text = _SCR.format(plain=self.plain.port, data=self.data)
        if self.certificate:
            chain, key = self.certificate.chain, self.certificate.key
            text += _SCR_TLS.format(tls=self.tls.port, certificate=chain, key=key)
        config.write_text(text)
        return [[*SCR, "serve", "--config", str(config)]]


class Distribution(Registry):
    """distribution's `registry serve`: a process for HTTP and another for TLS, on the same folder."""

    name = "distribution"

    def _commands(self) -> list[list[str]]:
        program = find_distribution() or ""
        text = _DISTRIBUTION.format(data=self.data, port=self.plain.port)
        plain = self.folder / "plain.yml"
        plain.write_text(text)
        commands = [[program, "serve", str(plain)]]
        if self.certificate:
            tls = self.folder / "tls.yml"
            text = _DISTRIBUTION.format(data=self.data, port=self.tls.port)
            chain, key = self.certificate.chain, self.certificate.key
            tls.write_text(text + _DISTRIBUTION_TLS.format(certificate=chain, key=key))
            commands.append([program, "serve", str(tls)])
        return commands

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "OTEL_TRACES_EXPORTER": "none", "OTEL_SDK_DISABLED": "true"}


def find_distribution() -> str | None:
    """Return the peer's program: where `make bench` puts it, or on PATH; None where it is not."""
    return shutil.which("registry", path=f"{ROOT / '.cache/bin'}:{os.environ.get('PATH', '')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
