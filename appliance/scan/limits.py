"""How much of a layer is read at most. Every limit that is met ends as a sentence in the layer's `limits`."""

import msgspec

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


class Shortcoming(Exception):
    """Why something was not read. It never leaves the scanner: it becomes a sentence of the report."""

    def __init__(self, message: str) -> None:
        """Keep `message`, the sentence."""
        super().__init__(message)
        self.message = message


class Unreadable(Shortcoming):
    """The bytes are not what their place or name promises."""


class LimitReached(Shortcoming):
    """The bytes may be well-formed, and ask for more than we give."""


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one layer; sizes in bytes. Where they come from: the largest honest images, times about four."""

    raw: int = 8 * GIB  # inflated
    ratio: int = 200  # inflated to compressed: honest layers stay below 30
    ratio_from: int = 64 * MIB  # less than this is inflated whatever the ratio: it costs a tenth of a second
    window: int = 128 * MIB  # of a zstd frame or an xz stream: what `zstd --long` asks for, and no more
    members: int = 2_000_000
    names: int = 256 * MIB  # all paths and link targets together
    path: int = 4096  # PATH_MAX: no runtime could make a longer one
    extension: int = MIB  # one pax record block or GNU long name
    fragments: int = 100_000  # of one sparse file
    laid_out: int = 512 * MIB  # all sparse files together, their holes filled
    body: int = 64 * MIB  # one file held in memory for a detector
    large_body: int = 512 * MIB  # the same for package databases, archives and executables
    packages: int = 200_000
    readings: int = 200_000
    secrets: int = 10_000
    sentences: int = 100  # of `limits` and of `unreadable`
