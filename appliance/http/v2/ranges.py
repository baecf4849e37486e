"""Range of a read (RFC 9110, 14) and Content-Range of an upload (distribution-spec, "Pushing a blob in chunks")."""

import re

from appliance.errors import OutOfRange, UploadInvalid

_READ = re.compile(r"bytes\s*=\s*(.+)", re.IGNORECASE)  # names of units are case-insensitive (RFC 9110, 14.1)
_ONE = re.compile(r"(\d{0,19})\s*-\s*(\d{0,19})")
_CHUNK = re.compile(r"(?:bytes[ =])?(\d{1,19})-(\d{1,19})(?:/(?:\d+|\*))?")


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Return start (included) and end (excluded) of the part of `size` bytes asked for; None: send all of it.

    Of several ranges the first that can be served is sent: one part is a lawful answer, and clients that load lazily
    get their first piece. Raises OutOfRange when none can. A range written backwards (`500-0`) is out of range too.
    """
    if not text or not size:  # clients that send `bytes=0-` with everything must get an empty blob too
        return None
    wanted = _READ.fullmatch(text.strip())
    if wanted is None:
        return None  # an unknown unit is ignored (RFC 9110, 14.2)
    parts = [part.strip() for part in wanted[1].split(",")[:100]]
    for part in parts:
        found = _ONE.fullmatch(part)
        if found is None or part == "-":
            return None  # not a range at all: ignored
        first, last = found[1], found[2]
        if not first:  # the last so many bytes
            start, end = max(size - int(last), 0), size
        else:
            start, end = int(first), min(int(last) + 1, size) if last else size
        if start < end:
            return start, end
    raise OutOfRange(f"no byte of {text[:80]!r} is there; the content has {size} bytes", size)


def parse_chunk(text: str) -> tuple[int, int]:
    """Return first and last byte (both included) of a chunk's Content-Range.

    The specification's form is `<first>-<last>`; `bytes <first>-<last>/<total>` is taken too. Raises UploadInvalid.
    """
    found = _CHUNK.fullmatch(text.strip())
    if found is None or int(found[1]) > int(found[2]) + 1:
        raise UploadInvalid(f"Content-Range {text[:80]!r} is not <first>-<last>; count bytes from 0, both included")
    return int(found[1]), int(found[2])
