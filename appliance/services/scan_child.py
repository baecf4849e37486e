"""The server's end of a scanning child: starts it, feeds it a layer, takes its report, ends it.

Nothing that comes back is believed beyond its shape, nothing is held beyond a bound, and a child that dies, stalls or
talks nonsense becomes a sentence of the layer's `limits`.
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

import msgspec

from appliance import program
from appliance.domain.layer import FileEntry, LayerContents
from appliance.scan.extract import Wanted
from appliance.scan.limits import Limits
from appliance.services import scan_protocol as protocol
from appliance.services.scan_pipe import Pipe
from appliance.services.scan_protocol import BYTES, CONTENTS, END, FILES, HEAD, LENGTH, MOST, Begin, Setup

_INHERITED = ("PYTHONPATH", "SCR_CARRIED", "LANG", "LC_ALL")  # where the program's own modules are; nothing else
_FILES = Limits().members  # that are believed of one layer
_MEMORY = {  # glibc keeps what was freed up to here: else each piece of a layer is mapped, cleared and unmapped anew
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
Keep = Callable[[list[FileEntry]], Awaitable[None]]


class Failed(Exception):
    """The child gave no report of the layer; the text is a sentence about the layer."""


class ScanChild:
    """A child for some layers of one image. Use it in an `async with`: leaving kills it."""

    def __init__(self, setup: Setup, timeout_s: float) -> None:
        """`timeout_s` is how long one layer may take altogether."""
        self._setup = setup
        self._timeout_s = timeout_s
        self._process: Process | None = None
        self._feeding: Pipe | None = None
        self._is_idle = False  # waits for the next layer, sound in all we know

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @property
    def pid(self) -> int | None:
        """Return the process id of the child while there is one."""
        return None if self._process is None else self._process.pid

    async def read(self, chunks: AsyncIterator[memoryview], begin: Begin, keep: Keep) -> LayerContents:
        """Return what the layer of the bytes `chunks` holds; its files go to `keep` as they come.

        A child that is there is used again; one that failed is ended. Raises Failed, and what `chunks` raises.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                process = await self._claim()
                await self._feed(chunks, begin)
                return await self._take(process, keep)
        except TimeoutError as error:
            raise Failed(f"reading it took longer than {self._timeout_s:.0f} s") from error
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise Failed(await self._reason()) from error
        except msgspec.MsgspecError as error:
            raise Failed("what was read of it could not be understood") from error
        finally:
            if self._process is not None and not self._is_idle:
                await self._end()

    async def fetch(self, chunks: AsyncIterator[memoryview], wanted: Wanted) -> AsyncGenerator[bytes]:
        """Yield the content of one file of the layer `chunks`, as it comes; the child is ended with the last of it.

        Nothing is held here: it is read as fast as it is taken. Raises Failed, and what `chunks` raises.
        """
        try:
            process = await self._claim()
        except ConnectionError as error:
            reason = await self._reason()
            await self._end()
            raise Failed(reason) from error
        feed = self._feed_or_end(process, chunks, Begin(wanted=wanted))
        feeding = asyncio.get_running_loop().create_task(feed)  # ended below: a task group must not span a yield
        try:
            while True:
                kind, payload = await self._next_frame(process)
                if kind == END and not payload:
                    return
                if kind != BYTES:
                    raise Failed(payload.decode(errors="replace")[:1000] or "what came of it could not be understood")
                yield payload
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            if feeding.done() and not feeding.cancelled() and (lost := feeding.exception()) is not None:
                raise lost from error
            raise Failed(await self._reason()) from error
        except TimeoutError as error:
            raise Failed(f"reading it took longer than {self._timeout_s:.0f} s") from error
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])
            await self._end()

    async def _next_frame(self, process: Process) -> tuple[int, bytes]:
        """Return kind and bytes of what the child says next."""
        pipe = process.stdout
        if pipe is None:
            raise ConnectionError
        async with asyncio.timeout(self._timeout_s):
            kind, length = HEAD.unpack(await pipe.readexactly(HEAD.size))
            if length > MOST:
                raise Failed("what came of it could not be understood")
            return kind, await pipe.readexactly(length)

    async def _feed_or_end(self, process: Process, chunks: AsyncIterator[memoryview], begin: Begin) -> None:
        """Feed the layer; where that fails, end the child, which would wait for the rest."""
        try:
            await self._feed(chunks, begin)
        except ConnectionError:  # it has what it wants, or died: its own end tells
            return
        except Exception:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise

    async def _claim(self) -> Process:
        """Return the child, started if there is none."""
        self._is_idle = False
        if self._process is None:
            pipe = Pipe()
            try:
                self._process = await self._start(pipe)
            except BaseException:
                pipe.close()
                raise
            pipe.give()
            self._feeding = pipe
            await self._send(protocol.encode(self._setup))
        return self._process

    async def _start(self, pipe: Pipe) -> Process:
        return await asyncio.create_subprocess_exec(
            *program.command_line(),
            protocol.COMMAND,
            stdin=pipe.reading,
            stdout=PIPE,
            stderr=DEVNULL,
            env={**{name: os.environ[name] for name in _INHERITED if name in os.environ}, **_MEMORY},
            start_new_session=True,  # a Ctrl-C of the terminal is for the server, which ends it in its own time
        )

    async def _feed(self, chunks: AsyncIterator[memoryview], begin: Begin) -> None:
        await self._send(protocol.encode(begin))
        async for chunk in chunks:
            if chunk:
                await self._send(chunk)
        await self._send(b"")

    async def _send(self, payload: bytes | memoryview) -> None:
        if self._feeding is None:
            raise ConnectionError
        await self._feeding.write(LENGTH.pack(len(payload)), payload)

    async def _take(self, process: Process, keep: Keep) -> LayerContents:
        """Return the report, whose files went to `keep`."""
        pipe = process.stdout
        if pipe is None:
            raise ConnectionError
        files = 0
        while True:
            kind, length = HEAD.unpack(await pipe.readexactly(HEAD.size))
            if length > MOST:
                raise Failed(f"what it holds takes more than {MOST} bytes to say")
            payload = await pipe.readexactly(length)
            if kind == CONTENTS:
                contents = await asyncio.to_thread(protocol.decode_contents, payload)
                self._is_idle = not contents.limits  # what met a limit may have taken its memory for good
                return contents
            if kind != FILES:
                raise Failed("what was read of it could not be understood")
            entries = await asyncio.to_thread(protocol.decode_files, payload)
            files += len(entries)
            if files > _FILES:
                raise Failed(f"it has more than {_FILES} files")
            await keep(entries)

    async def _reason(self) -> str:
        """Return why the child is no more."""
        code = None if self._process is None else await self._process.wait()
        if code == -signal.SIGXCPU:
            return f"reading it took more than {self._setup.cpu_s} s of processor time"
        if code is not None and code < 0:
            return f"the process that read it was ended by {signal.Signals(-code).name}"
        return f"the process that read it ended with {code}: it may need more memory than {self._setup.memory} bytes"

    async def _end(self) -> None:
        process, self._process = self._process, None
        pipe, self._feeding = self._feeding, None
        if pipe is not None:
            pipe.close()
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
