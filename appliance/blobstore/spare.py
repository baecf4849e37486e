"""Memory that is used again: a new mebibyte must be filled with zeros, only to be written over at once."""

from appliance.blobstore.cipher import Content

_KEPT = 3  # what is being sent, what is made meanwhile, and what it is made of


class Spare:
    """Keeps what was given back, and hands it out again once nobody looks at it any more."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kept: list[bytearray] = []

    def take(self, size: int) -> bytearray:
        """Return `size` bytes of any content."""
        for number, one in enumerate(self._kept):
            if len(one) == size and _is_free(one):
                return self._kept.pop(number)
        return bytearray(size)

    def give_back(self, one: Content) -> None:
        """Take `one`, of which its giver keeps views at most: while there is any, it is not handed out."""
        if isinstance(one, bytearray) and len(self._kept) < _KEPT:
            self._kept.append(one)


def _is_free(one: bytearray) -> bool:
    """Whether there is no view of it: a connection holds one as long as it has not sent all."""
    try:
        one.append(0)
    except BufferError:
        return False
    one.pop()
    return True
