"""One line a happening on stderr: for people, or JSON with `log.format = "json"`.

`log.info("blob.sealed", digest=digest, size=size)`: a constant name and typed fields, never secrets, tokens or whole
headers. Control characters of foreign text are escaped, so that no client writes lines of its own.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TextIO

import msgspec

DEBUG, INFO, WARN, ERROR = 10, 20, 30, 40
LEVELS = {"debug": DEBUG, "info": INFO, "warn": WARN, "error": ERROR}
_NAMES = {DEBUG: "debug", INFO: "info", WARN: "warn", ERROR: "error"}
_COLOURS = {DEBUG: "\x1b[2m", INFO: "", WARN: "\x1b[33m", ERROR: "\x1b[31m"}
_PLAIN_LIMIT = 2000  # characters of one field; foreign text is cut there

Field = str | int | float | bool | None


class Log:
    """Writes lines; one a process, handed down from `assemble.py`."""

    def __init__(self, *, level: str = "info", form: str = "human", out: TextIO | None = None) -> None:
        """Write lines of at least `level` in `form` ("human" or "json") to `out` (stderr)."""
        self._out = out or sys.stderr
        self._lock = threading.Lock()
        self.configure(level=level, form=form)

    def configure(self, *, level: str, form: str) -> None:
        """Change level and form while running."""
        self._level = LEVELS[level]
        self._json = form == "json"
        self._colour = not self._json and self._out.isatty() and "NO_COLOR" not in os.environ

    def debug(self, name: str, /, **fields: Field) -> None:
        """The rest: what only a developer wants."""
        self._write(DEBUG, name, fields)

    def info(self, name: str, /, **fields: Field) -> None:
        """What a user would tell a colleague."""
        self._write(INFO, name, fields)

    def warn(self, name: str, /, **fields: Field) -> None:
        """Something went wrong and scr coped."""
        self._write(WARN, name, fields)

    def error(self, name: str, /, **fields: Field) -> None:
        """The operator must act."""
        self._write(ERROR, name, fields)

    def _write(self, level: int, name: str, fields: dict[str, Field]) -> None:
        if level < self._level:
            return
        line = self._as_json(level, name, fields) if self._json else self._as_text(level, name, fields)
        with self._lock, contextlib.suppress(OSError, ValueError):  # a closed stderr must not stop the registry
            self._out.write(line)
            self._out.flush()

    def _as_json(self, level: int, name: str, fields: dict[str, Field]) -> str:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        cut = {key: value[:_PLAIN_LIMIT] if isinstance(value, str) else value for key, value in fields.items()}
        record = {"time": moment, "level": _NAMES[level], "event": name} | cut
        return msgspec.json.encode(record).decode() + "\n"

    def _as_text(self, level: int, name: str, fields: dict[str, Field]) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime())
        words = " ".join(f"{key}={_readable(value)}" for key, value in fields.items())
        line = f"{moment} {_NAMES[level]:5} {name} {words}".rstrip()
        colour = _COLOURS[level] if self._colour else ""
        return f"{colour}{line}\x1b[0m\n" if colour else line + "\n"


class Relay(logging.Handler):
    """Writes what libraries say through `logging` as lines of ours: one each, without a traceback."""

    def __init__(self, log: Log) -> None:
        """Write to `log`."""
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; the error that comes with it is named, not unrolled."""
        error = record.exc_info[1] if record.exc_info else None
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warn
        write("library.said", library=record.name, text=record.getMessage(), error=repr(error) if error else None)


def _readable(value: Field) -> str:
    """Return `value` on one line; text is quoted where it holds spaces or anything not printable."""
    if not isinstance(value, str):
        return str(value)
    text = value[:_PLAIN_LIMIT]
    return text if text and text.isprintable() and " " not in text and '"' not in text else ascii(text)
