"""The child that parses foreign bytes: layers in by a pipe, what they hold out by a pipe, and nothing else.

It is this same program, started with `_worker`. It is given no path, key, database or socket, and once its modules are
loaded it can open nothing: no file, no socket, no child. Its memory and its processor time end where the `Setup` says,
it runs only when nobody else wants the processor, and whoever started it may kill it at any moment.
"""

import os
import resource
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from appliance.domain.layer import LayerContents
from appliance.scan import rules
from appliance.scan.detectors import choose
from appliance.scan.extract import Wanted, extract
from appliance.scan.layers import read_layer
from appliance.scan.limits import Limits, Shortcoming
from appliance.scan.rules.rule import Rule, own_rule
from appliance.scan.secrets import Excluded, SecretSearch
from appliance.services import scan_protocol as protocol
from appliance.services.scan_protocol import BATCH, BYTES, CONTENTS, END, FILES, HEAD, LENGTH, Setup

_PAGE = resource.getpagesize()


def run(words: Sequence[str]) -> int:
    """Read layers until the pipe ends; return the exit code. `words` are none: what to do comes by the pipe."""
    del words
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    setup = protocol.decode_setup(_frame(source) or b"")
    detectors = choose(lock_files=setup.lock_files)
    search = make_search(setup)
    confine(setup.memory)
    while (frame := _frame(source)) is not None:
        begin = protocol.decode_begin(frame)
        allow_cpu(setup.cpu_s)
        chunks = _chunks(source)
        if begin.wanted is not None:
            _give(sink, chunks, begin.wanted)
            continue
        contents = read_layer(chunks, detectors, search, Limits(), begin.again)
        for _rest in chunks:  # of a layer that was given up
            pass
        _answer(sink, contents)
    return 0


def make_search(setup: Setup) -> SecretSearch | None:
    """Return the search for secrets that `setup` asks for, or None."""
    kinds: list[Rule] = [
        own_rule(own.id, own.title, own.pattern, own.literals, own.severity) for own in setup.own_rules
    ]
    if setup.rules == "off":
        return None
    kinds += rules.ALL if setup.rules == "all" else rules.MANUAL
    known = Excluded()
    return SecretSearch(kinds, Excluded((*known.paths, *setup.excluded), known.names))


def confine(memory: int) -> None:
    """Give up what reading needs no more: files, sockets, children; `memory` bytes may still be taken."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib is not loaded here for one line
        taken = int(file.read().split()[0]) * _PAGE
    for kind, most in (
        (resource.RLIMIT_AS, taken + memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        resource.setrlimit(kind, (most, most))


def allow_cpu(seconds: int) -> None:
    """Let the next layer take `seconds` of processor time; then the system ends this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, hard))


def _frame(source: BinaryIO) -> bytes | None:
    """Return the next frame, or None at the end."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    return source.read(length)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of one layer. A server that went away ends the child: half a layer is none."""
    while (frame := _frame(source)) != b"":
        if frame is None:
            os._exit(1)
        yield frame


def _answer(sink: BinaryIO, contents: LayerContents) -> None:
    files: Sequence[object] = contents.files
    for at in range(0, len(files), BATCH):
        _send(sink, FILES, protocol.encode(files[at : at + BATCH]))
    _send(sink, CONTENTS, protocol.encode(msgspec.structs.replace(contents, files=())))
    sink.flush()


def _give(sink: BinaryIO, chunks: Iterator[bytes], wanted: Wanted) -> None:
    """Send one file of a layer as it comes."""
    reason = ""
    try:
        for piece in extract(chunks, wanted, Limits()):
            _send(sink, BYTES, piece)
    except Shortcoming as error:
        reason = error.message
    except MemoryError:
        reason = "the memory was too small to read it"
    _send(sink, END, reason.encode())
    sink.flush()
    for _rest in chunks:
        pass


def _send(sink: BinaryIO, kind: int, payload: bytes) -> None:
    sink.write(HEAD.pack(kind, len(payload)))
    sink.write(payload)
