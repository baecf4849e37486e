"""What a command prints: data to stdout, talk to stderr, colours only where a person looks."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from appliance.domain.foreign import seen

BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


def show(text: str) -> None:
    """Write data: `text` and a line end to stdout."""
    sys.stdout.write(text + "\n")


def show_json(value: object) -> None:
    """Write data for a program: `value` (a Struct, or what JSON knows) as indented JSON to stdout."""
    import msgspec  # noqa: PLC0415 - 15 ms that most commands do not need

    show(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def say(text: str) -> None:
    """Tell the person something: `text` and a line end to stderr."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows of text under their heads, columns aligned; nothing but the heads for no rows.

    Names in them may be foreign, as those of packages: none moves the cursor or begins a line of its own.
    """
    rows = [[seen(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    for number, row in enumerate((heads, *rows)):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        show(paint(line, BOLD) if number == 0 else line)


def paint(text: str, colour: str, out: TextIO | None = None) -> str:
    """Return `text` in `colour` where `out` (stdout) shows colours, else unchanged."""
    return f"\x1b[{colour}m{text}\x1b[0m" if has_colour(out or sys.stdout) else text


def has_colour(out: TextIO) -> bool:
    """Whether `out` is a terminal of somebody who did not refuse colours (https://no-color.org)."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
