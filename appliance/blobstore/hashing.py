"""The hash of an upload, made by one thread while another encrypts and writes: hashing takes longer than they do."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from typing import NamedTuple


class Step(NamedTuple):
    """A batch that is being hashed: what the hash was before it, and what it becomes by it."""

    batch: list[bytes]
    before: "hashlib._Hash"
    after: "Future[hashlib._Hash]"


class Hashing:
    """The hash of all that was taken. What was not written in the end is not in it."""

    def __init__(self, algorithm: str, executor: Executor) -> None:
        """Begin with nothing; `executor` must begin first what it was handed first."""
        self._state = hashlib.new(algorithm)
        self._executor = executor

    def update(self, piece: bytes) -> None:
        """Take `piece` at once."""
        self._state.update(piece)

    def begin(self, batch: list[bytes]) -> Step:
        """Hash `batch` in a thread. Whoever is handed over after this may wait for it in a thread: it has begun."""
        return Step(batch, self._state, self._executor.submit(_further, self._state, batch))

    def take(self, step: Step) -> None:
        """Take what was begun, for it is written now."""
        after = step.after.result()
        if self._state is not step.before:  # a request that was cut off was still writing when this one began
            after = _further(self._state, step.batch)
        self._state = after

    def hexdigest(self) -> str:
        """Return the hash."""
        return self._state.hexdigest()


def hash_of(algorithm: str, pieces: Iterable[bytes]) -> str:
    """Return the hash of what `pieces` make up."""
    state = hashlib.new(algorithm)
    for piece in pieces:
        state.update(piece)
    return state.hexdigest()


def _further(state: "hashlib._Hash", batch: list[bytes]) -> "hashlib._Hash":
    further = state.copy()
    for piece in batch:
        further.update(piece)
    return further
