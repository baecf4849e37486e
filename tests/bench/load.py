"""The load generator: a process of its own that does one job a line (`python -m tests.bench.load`).

Reading is one thread over all connections; pushing is a thread a connection, for sending gives the interpreter free.
"""

import select
import sys
import time
from collections.abc import Iterator
from itertools import cycle

import msgspec

from tests.bench.exchange import Broken, Exchange, context_of
from tests.bench.jobs import Ask, Job, Outcome, Walk, percentile
from tests.bench.pushing import push

_PATIENCE_S = 120.0


def ask(job: Ask) -> Outcome:
    """Do the requests of `job`, each connection the next one as soon as it has the answer of the last."""
    requests = [_request(job, path) for path in job.paths]
    coming: Iterator[bytes] = cycle(requests) if job.seconds else iter(requests)
    context = context_of(job.where)
    wanted = job.connections if job.seconds else min(job.connections, len(requests))
    lines = [Exchange(job.where, context) for _ in range(wanted)]
    tally = _Tally(is_head=job.method == "HEAD")
    by_number = {line.socket.fileno(): line for line in lines}
    poll = select.epoll()
    for number, line in by_number.items():
        line.socket.setblocking(False)  # noqa: FBT003 - the name of the method says what is switched
        poll.register(number, select.EPOLLIN)
    cpu_s, began = time.process_time(), time.perf_counter()
    over = began + job.seconds if job.seconds else float("inf")
    running = 0
    for line in lines:
        line.send(next(coming), is_head=tally.is_head)
        running += 1
    while running:
        arrived = poll.poll(_PATIENCE_S)
        if not arrived:
            raise Broken(f"no answer for {_PATIENCE_S:.0f} s")
        for number, _ in arrived:
            line = by_number[number]
            if not line.advance():
                continue
            tally.count(line)
            following = next(coming, None) if time.perf_counter() < over else None
            if following is None:
                running -= 1
            else:
                line.send(following, is_head=tally.is_head)
    seconds = time.perf_counter() - began
    cipher = lines[0].cipher
    poll.close()
    for line in lines:
        line.close()
    return tally.outcome(seconds, time.process_time() - cpu_s, cipher)


def walk(job: Walk) -> Outcome:
    """Ask for the pages of a list one after the other."""
    line = Exchange(job.where, context_of(job.where))
    tally = _Tally(is_head=False)
    cpu_s, began = time.process_time(), time.perf_counter()
    path = job.path
    for _ in range(job.most):
        line.send(_request(Ask(job.where, []), path))
        line.receive()
        tally.count(line)
        link = line.header(b"link")
        if not link:
            break
        path = link[link.index("<") + 1 : link.index(">")].removeprefix(job.where.url)
    seconds = time.perf_counter() - began
    line.close()
    return tally.outcome(seconds, time.process_time() - cpu_s, line.cipher)


def do(job: Job) -> Outcome:
    """Do any job. Raises Broken, OSError."""
    if isinstance(job, Ask):
        return ask(job)
    if isinstance(job, Walk):
        return walk(job)
    return push(job, context_of(job.where))


class _Tally:
    def __init__(self, *, is_head: bool) -> None:
        self.is_head = is_head
        self.total: list[float] = []
        self.first: list[float] = []
        self.size = 0
        self.failures = 0
        self.failure = ""

    def count(self, line: Exchange) -> None:
        self.total.append(line.total_ms)
        self.first.append(line.first_ms)
        self.size += line.size
        if not 200 <= line.status < 300:
            self.failures += 1
            self.failure = self.failure or f"{line.status}: {line.body[:200].decode(errors='replace')}"

    def outcome(self, seconds: float, cpu_s: float, cipher: str) -> Outcome:
        return Outcome(
            requests=len(self.total),
            bytes=self.size,
            seconds=seconds,
            p50=percentile(self.total, 0.5),
            p99=percentile(self.total, 0.99),
            first_p50=percentile(self.first, 0.5),
            first_p99=percentile(self.first, 0.99),
            cpu_s=cpu_s,
            failures=self.failures,
            failure=self.failure,
            cipher=cipher,
        )


def _request(job: Ask, path: str) -> bytes:
    head = f"{job.method} {path} HTTP/1.1\r\nHost: {job.where.host}:{job.where.port}\r\n"
    head += f"User-Agent: scr-bench\r\nAccept: {job.accept}\r\n"
    head += f"Authorization: {job.authorization}\r\n" if job.authorization else ""
    if job.method not in ("GET", "HEAD"):
        head += f"Content-Length: {len(job.body.encode())}\r\n"
        head += f"Content-Type: {job.content_type}\r\n" if job.content_type else ""
    return (head + "\r\n" + job.body).encode()


def main() -> None:
    """Do the jobs of standard input; each answer is a line: an Outcome, or one that names what broke."""
    decoder = msgspec.json.Decoder(Job)
    for text in sys.stdin.buffer:
        try:
            outcome = do(decoder.decode(text))
        except (Broken, OSError) as error:
            outcome = Outcome(0, 0, 0.0, 0.0, 0.0, failures=1, failure=f"{type(error).__name__}: {error}")
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
