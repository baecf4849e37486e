"""One file out of a layer's bytes, in one pass: the member that the index of the layer tells of."""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from appliance.domain.layer import FileKind
from appliance.scan import tar
from appliance.scan.inflate import PIECE, inflate
from appliance.scan.limits import MIB, LimitReached, Limits, Unreadable
from appliance.scan.stream import Stream

_HELD = 8 * MIB  # a file up to this is checked before any of it is given: a layer may name one path twice


class Wanted(msgspec.Struct, frozen=True):
    """The file as the index knows it: path, bytes of its content, SHA-256 of that."""

    path: str
    size: int
    sha256: bytes


def extract(chunks: Iterable[bytes], wanted: Wanted, limits: Limits) -> Iterator[bytes]:
    """Yield the content of the file `wanted` of the layer whose stored bytes are `chunks`.

    A file longer than 8 MiB is given as it comes: whoever takes it compares the sum. Raises Unreadable, LimitReached.
    """
    stream = Stream(inflate(chunks, limits))
    for number, member in enumerate(tar.walk(stream, limits)):
        if number >= limits.members:
            raise LimitReached(f"the layer has more than {limits.members} entries")
        if member.path != wanted.path or member.kind is not FileKind.FILE:
            continue
        size = member.size if member.laid_out is None else member.laid_out.size
        if size != wanted.size:
            continue  # one of several of this name: the index holds the last
        if member.laid_out is not None:
            body = _lay_out(member, stream, limits)
        elif size <= _HELD:
            body = stream.take(size)
        else:
            yield from stream.portions(size)
            return
        if hashlib.sha256(body).digest() == wanted.sha256:
            yield from (body[at : at + PIECE] for at in range(0, len(body), PIECE))
            return
    raise Unreadable(f"the layer holds no {wanted.path} as it was read before")


def _lay_out(member: tar.Member, stream: Stream, limits: Limits) -> bytes:
    """Return the content of a sparse file. Raises LimitReached."""
    if member.laid_out is None or max(member.laid_out.size, member.size) > limits.body:
        raise LimitReached(f"{member.path} is a sparse file that is too large to be laid out")
    return member.laid_out.lay_out(stream.take(member.size))
