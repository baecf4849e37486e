"""What the server and its scanning child say to each other through two pipes.

To the child: frames of a length (four bytes, big endian) and that many bytes. The first is the `Setup`; then, for each
layer, a `Begin`, the layer's bytes in any number of frames, and an empty frame. End of file ends the child.

From the child: frames of a kind (one byte), a length and that many bytes. For each layer any number of FILES (lists of
FileEntry), then CONTENTS (LayerContents without files). All values are MessagePack. Where the `Begin` wants one file
instead: any number of BYTES (its content), then END (a sentence why that is not all of it, or nothing).
"""

import struct

import msgspec

from appliance.domain.layer import FileEntry, LayerContents
from appliance.domain.vulnerability import Severity
from appliance.scan.extract import Wanted

COMMAND = "_worker"  # the word after the program's own that makes it the child
LENGTH = struct.Struct(">I")
HEAD = struct.Struct(">BI")
FILES, CONTENTS, BYTES, END = 1, 2, 3, 4
BATCH = 4000  # files in one frame
MOST = 64 << 20  # bytes of a frame: honest reports are below a megabyte, and the server must hold it


class OwnRule(msgspec.Struct, frozen=True):
    """A kind of secret that the operator wrote in `scr.toml`."""

    id: str
    title: str
    pattern: str
    literals: tuple[str, ...]
    severity: Severity


class Setup(msgspec.Struct, frozen=True):
    """How the child reads, and what it may take. Sizes in bytes, times in seconds."""

    memory: int  # beyond what the program itself takes
    cpu_s: int  # for one layer
    lock_files: bool = False
    rules: str = "all"  # "all", "manual", "off"
    own_rules: tuple[OwnRule, ...] = ()
    excluded: tuple[str, ...] = ()  # patterns of paths that are not searched for secrets


class Begin(msgspec.Struct, frozen=True):
    """A layer follows. `again` is the `reread` of an earlier reading of it, if it had one; `wanted` one file of it."""

    again: frozenset[str] = frozenset()
    wanted: Wanted | None = None


encode = msgspec.msgpack.Encoder().encode
decode_setup = msgspec.msgpack.Decoder(Setup).decode
decode_begin = msgspec.msgpack.Decoder(Begin).decode
decode_files = msgspec.msgpack.Decoder(list[FileEntry]).decode
decode_contents = msgspec.msgpack.Decoder(LayerContents).decode
