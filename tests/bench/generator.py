"""Load from outside the harness's process: our own generator, and wrk where it is installed, for small GETs."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.bench.jobs import Ask, Job, Outcome

ROOT = Path(__file__).resolve().parents[2]
_WHOLE_SECOND = 1.0  # wrk knows no shorter time

# as real clients (Go's) ask: AES-128 first. OpenSSL's own order would have a server with OpenSSL use AES-256 while
# one in Go, which heeds its own order, uses AES-128: another work for each
_OPENSSL = """openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = suites
[suites]
Ciphersuites = TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
"""

_REPORT = """
done = function(summary, latency, requests)
  local wrong = summary.errors
  io.write(string.format(
    '\\n{"requests":%d,"bytes":%d,"seconds":%.6f,"p50":%.4f,"p99":%.4f,"failures":%d,"failure":"%s"}\\n',
    summary.requests, summary.bytes, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout,
    string.format("connect %d, read %d, write %d, status %d, timeout %d",
      wrong.connect, wrong.read, wrong.write, wrong.status, wrong.timeout)))
end
"""


class GeneratorFailed(Exception):
    """A load generator did not do its job; the message says what broke."""


class Generator:
    """Does jobs. Use in a `with` block; `folder` takes its two small files."""

    def __init__(self, folder: Path) -> None:
        self._report = folder / "report.lua"
        self._report.write_text(_REPORT)
        suites = folder / "openssl.cnf"
        suites.write_text(_OPENSSL)
        self._environment = {**os.environ, "OPENSSL_CONF": str(suites), "PYTHONPATH": str(ROOT)}
        self.wrk = shutil.which("wrk") or ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.load"],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._process.kill()
        self._process.communicate()

    def do(self, job: Job) -> Outcome:
        """Do `job`; GETs of one small thing by wrk where it is. Raises GeneratorFailed when anything was refused."""
        outcome = self._by_wrk(job) if isinstance(job, Ask) and self._suits_wrk(job) else self._by_own(job)
        if outcome.failures:
            raise GeneratorFailed(f"{outcome.failures} of {outcome.requests} failed: {outcome.failure}")
        return outcome

    def do_own(self, job: Job) -> Outcome:
        """Do `job` by our own generator whatever it is. Raises GeneratorFailed."""
        outcome = self._by_own(job)
        if outcome.failures:
            raise GeneratorFailed(f"{outcome.failures} of {outcome.requests} failed: {outcome.failure}")
        return outcome

    def _suits_wrk(self, job: Ask) -> bool:
        # not HEAD: wrk 4.1 waits for the body that never comes
        return bool(self.wrk) and job.method == "GET" and len(job.paths) == 1 and job.seconds >= _WHOLE_SECOND

    def _by_own(self, job: Job) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise GeneratorFailed("the load generator ended; its error stands above")
        return msgspec.json.decode(answer, type=Outcome)

    def _by_wrk(self, job: Ask) -> Outcome:
        command = [self.wrk, "--threads", "1", "--connections", str(job.connections)]
        command += ["--duration", f"{job.seconds:.0f}s", "--timeout", "20s", "--script", str(self._report)]
        command += ["--header", f"Accept: {job.accept}", job.where.url + job.paths[0]]
        if job.authorization:
            command += ["--header", f"Authorization: {job.authorization}"]
        before = _cpu_of_children()
        ended = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        cpu_s = _cpu_of_children() - before
        told = ended.stdout.rstrip().rpartition("\n")[2]
        if ended.returncode != 0 or not told.startswith("{"):
            raise GeneratorFailed(f"wrk ended with {ended.returncode}: {(ended.stdout + ended.stderr)[-300:]}")
        return msgspec.structs.replace(msgspec.json.decode(told, type=Outcome), cpu_s=cpu_s)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
