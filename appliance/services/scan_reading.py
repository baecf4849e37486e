"""How layers are read, and what is said of those that could not be: alike for the server and for `scr scan PATH`."""

import hashlib

import msgspec

from appliance.domain.layer import LayerContents
from appliance.domain.manifest import FileSystem
from appliance.domain.names import Digest
from appliance.scan import rules
from appliance.scan.detectors import choose, version
from appliance.services.scan_protocol import Setup


class ScanOptions(msgspec.Struct, frozen=True):
    """How layers are read; `timeout_s` is for one of them."""

    setup: Setup
    timeout_s: float

    @property
    def reader(self) -> str:
        """Return a text that is another one whenever layers would be read in another way."""
        setup = self.setup
        detectors = version(choose(lock_files=setup.lock_files))
        told = (detectors, rules.VERSION, setup.rules, setup.own_rules, setup.excluded)
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


class _Config(msgspec.Struct):
    class _Root(msgspec.Struct):
        diff_ids: list[str] = []

    rootfs: _Root = msgspec.field(default_factory=_Root)


def lost(sentence: str) -> LayerContents:
    """Return the contents of a layer of which nothing is known, and why."""
    return LayerContents(None, 0, (), limits=(sentence,))


def claims_of(config: bytes, system: FileSystem) -> tuple[Digest | None, ...]:
    """Return the diff_ids that `config` claims for the layers of `system`."""
    try:
        claimed = msgspec.json.decode(config, type=_Config).rootfs.diff_ids
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        claimed = []
    return tuple(Digest(claimed[place]) if place < len(claimed) else None for place in system.places)
