"""`scr _feed`: the child that reads a feed; nobody types it. Its order is its argument, the feed its standard input.

What it says goes to standard output, a line of JSON each. It bounds itself before it looks at a byte.
"""

import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.errors import ScrError, Unavailable
from appliance.services.feed_import import Reply
from appliance.services.feed_reading import FeedOrder, read_feed

_MEMORY = 1 << 30  # bytes of its own; files are mapped, and no table of a feed is held whole
_CPU_S = 3600  # of a core: twenty times what the largest feed takes
_NICE = 15


def run(words: Sequence[str]) -> int:
    """Read the feed; say what was made of it, or what is wrong with it."""
    order = msgspec.json.decode(words[0], type=FeedOrder)
    _bound(order.room)
    try:
        made = read_feed(sys.stdin.buffer, order, lambda done: _say(Reply(done=done)))
    except ScrError as error:
        _say(Reply(fault=error.message, is_of_disk=isinstance(error, Unavailable)))
        return 1
    except MemoryError:
        _say(Reply(fault=f"{order.name} asks for more memory than a feed may have"))
        return 1
    except Exception as error:  # noqa: BLE001 - the last border of foreign bytes
        _say(Reply(fault=f"{order.name} cannot be read: {type(error).__name__}; fetch it again"))
        return 1
    _say(Reply(made=made))
    return 0


def _bound(room: int) -> None:
    """Take no more of memory, time and disk than a feed may have, and let everything else go first."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if room > 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    os.nice(_NICE)
    Path("/proc/self/oom_score_adj").write_text("500\n")  # rather this than the server


def _say(reply: Reply) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
    sys.stdout.buffer.flush()
