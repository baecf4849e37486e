"""Foreign bytes as a page shows them: text in numbered lines, what cannot be seen made visible; else hexadecimal."""

from collections.abc import Sequence

import msgspec

from appliance.domain.foreign import seen

_HEX = 4 << 10  # bytes that are shown as hexadecimal
_ROW = 16
_LINES = 5000
_LONGEST = 2000  # characters of one line
_CUT = "…"


class Shown(msgspec.Struct, frozen=True):
    """What the page shows: `lines`, as text or as hexadecimal; `is_cut`: there is more than that."""

    lines: Sequence[str]
    is_text: bool
    is_cut: bool


def show(content: bytes, size: int) -> Shown:
    """Return what is shown of `content`, the beginning of a file of `size` bytes."""
    is_part = len(content) < size
    text = _decode(content, is_part=is_part)
    if text is None:
        return Shown(_hexadecimal(content[:_HEX]), is_text=False, is_cut=size > _HEX)
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    shown = [_line(line) for line in lines[:_LINES]]
    is_cut = is_part or len(lines) > _LINES or any(len(line) > _LONGEST for line in lines[:_LINES])
    return Shown(shown, is_text=True, is_cut=is_cut)


def _decode(content: bytes, *, is_part: bool) -> str | None:
    """Return the text, or None where it is none. A character that the cut has halved is left out."""
    if b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        if is_part and error.reason == "unexpected end of data" and error.start > len(content) - 4:
            return content[: error.start].decode()
        return None


def _line(line: str) -> str:
    shown = "\t".join(map(seen, line.removesuffix("\r")[:_LONGEST].split("\t")))
    return shown + _CUT if len(line) > _LONGEST else shown


def _hexadecimal(content: bytes) -> list[str]:
    """Return rows of an offset, sixteen bytes, and what of them is ASCII."""
    rows = []
    for at in range(0, len(content), _ROW):
        row = content[at : at + _ROW]
        seen = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        rows.append(f"{at:08x}  {row.hex(' '):<{3 * _ROW - 1}}  {seen}")
    return rows
