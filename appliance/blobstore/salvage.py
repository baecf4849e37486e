"""Reads blobs that no row describes: what is left after the database is lost. Nothing is checked here."""

import hashlib

import msgspec

from appliance.blobstore.local import LocalStore
from appliance.blobstore.sums import CHUNK, Summer
from appliance.domain.names import Digest, algorithm_of, hex_of
from appliance.errors import StoreFailed


class Salvaged(msgspec.Struct, frozen=True):
    """What lies there: its size in bytes, its sums, and whether it is what its name says."""

    size: int
    sums: bytes
    is_whole: bool


def salvage(store: LocalStore, digest: Digest, generation: str) -> Salvaged:
    """Read a generation whole (blocking). Raises StoreFailed."""
    state = hashlib.new(algorithm_of(digest))
    summer = Summer()
    size = 0
    path = store.path_of(digest, generation)
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(CHUNK):
                state.update(piece)
                summer.update(piece)
                size += len(piece)
    except OSError as error:
        raise StoreFailed(f"the store failed: read {path.name}: {error.strerror}; see the host's disk") from error
    return Salvaged(size, summer.finish(), state.hexdigest() == hex_of(digest))
