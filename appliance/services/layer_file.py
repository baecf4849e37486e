"""One file of an image, out of the layer that holds it: found in the index, read by a child, compared with its sum.

No byte of a layer is inflated in this process. See docs/decisions/0024-reading-one-file.md.
"""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from appliance.db import blobs
from appliance.db.database import Reader
from appliance.domain.layer import FileKind
from appliance.domain.names import Digest
from appliance.errors import BlobBroken, EntryUnknown, StoreFailed, Unsupported
from appliance.scan.extract import Wanted
from appliance.services import scrub
from appliance.services.file_tree import Leaf, Tree
from appliance.services.scan_child import Failed, ScanChild
from appliance.services.scanning import Scanner
from appliance.services.stock import Stock


class Place(msgspec.Struct, frozen=True):
    """Where a file lies: the layer, and what the index knows of it there."""

    layer: Digest
    wanted: Wanted

    @property
    def size(self) -> int:
        """Return the bytes of its content."""
        return self.wanted.size


def find_file(reader: Reader, digests: Sequence[Digest], path: str, only: Digest | None) -> Place:
    """Return where the file `path` lies: in the whole image of the layers `digests`, or in one of them.

    A hard link leads to the file it names. Raises EntryUnknown; Unsupported for what has no content to be read.
    """
    folder = path.rpartition("/")[0]
    found = [leaf for leaf in Tree(reader, digests).list_folder(folder, only) if leaf.entry.path == path]
    if not found or found[-1].change == "removed":
        raise EntryUnknown(f"there is no file /{path} there; see the list of its folder")
    return _place(found[-1])


def _place(leaf: Leaf) -> Place:
    entry = leaf.entry
    if entry.kind not in (FileKind.FILE, FileKind.HARD_LINK):
        leads = f" to {entry.target}" if entry.target else ""
        raise Unsupported(f"/{entry.path} is a {entry.kind.value}{leads}; only files have content")
    if not entry.sha256:
        what = f"a hard link to /{entry.target}, which is in another layer" if entry.target else "a large sparse file"
        raise Unsupported(f"/{entry.path} is {what}: its content cannot be read by itself")
    path = entry.target if entry.kind is FileKind.HARD_LINK else entry.path
    return Place(leaf.layer, Wanted(path, entry.size, entry.sha256))


async def read_file(stock: Stock, scanner: Scanner, place: Place, most: int) -> AsyncGenerator[bytes]:
    """Yield the content, `most` bytes at most; whole, it is compared with its sum before the last piece is given.

    Raises StoreFailed where the layer is gone or broken, or is not what it was when it was scanned.
    """
    blob = await stock.db.read(lambda reader: blobs.find_stored(reader, place.layer))
    if blob is None:
        raise StoreFailed(f"the layer {place.layer} is not here any more")
    options, left = scanner.options(), min(most, place.size)
    is_whole = most >= place.size
    digest, last = hashlib.sha256(), b""
    try:
        async with scanner.file_turns, ScanChild(options.setup, options.timeout_s) as child:
            pieces = child.fetch(stock.store.chunks(blob, 0, blob.size), place.wanted)
            async with aclosing(pieces):
                async for piece in pieces:
                    check_piece(piece, left, is_whole=is_whole)
                    if last:
                        yield last
                    last = piece[:left]
                    digest.update(piece)
                    left -= len(last)
                    if not left and not is_whole:
                        break
    except Failed as error:
        raise StoreFailed(f"/{place.wanted.path} cannot be read: {error}") from error
    except BlobBroken as error:
        await scrub.judge(stock, blob, error)
        raise
    if left or (is_whole and digest.digest() != place.wanted.sha256):
        raise StoreFailed(f"/{place.wanted.path} is not what was scanned: scan the image again")
    yield last


def check_piece(piece: bytes, left: int, *, is_whole: bool) -> None:
    """Raise Failed for a piece that a sound child would not send: none is empty, and none goes beyond the file.

    The last of a file stays back until the sum is known; an empty piece after it would let it out.
    """
    if not piece or (is_whole and len(piece) > left):
        raise Failed("what came of it could not be understood")
