"""What a Helm chart says of itself: its config in the registry, and the default values in its archive.

Spec: Helm's "Charts", "The Chart File Structure", and "Use OCI-based registries".
"""

import msgspec

from appliance.scan import tar
from appliance.scan.inflate import inflate
from appliance.scan.limits import Limits, Shortcoming
from appliance.scan.stream import Stream

CONTENT = "application/vnd.cncf.helm.chart.content."
LARGEST = 20 << 20  # bytes of an archive that is opened; Helm itself takes no larger one
_LIMITS = Limits(raw=64 << 20, members=20_000, names=8 << 20, laid_out=8 << 20)
_VALUES = 256 << 10  # bytes of values.yaml that are told
_ENTRIES = 200
_TEXT = 4000


class Dependency(msgspec.Struct, frozen=True):
    """A chart that this one needs."""

    name: str = ""
    version: str = ""
    repository: str = ""


class Chart(msgspec.Struct, frozen=True, rename="camel"):
    """What a chart says of itself. `values` is its values.yaml, cut where it is very long; null where there is none."""

    name: str
    version: str
    app_version: str
    description: str
    type: str
    home: str
    deprecated: bool
    keywords: tuple[str, ...]
    dependencies: tuple[Dependency, ...]
    values: str | None


class _Dependency(msgspec.Struct):
    name: str | None = None
    version: str | None = None
    repository: str | None = None


class _Config(msgspec.Struct, rename="camel"):
    name: str | None = None
    version: str | None = None
    app_version: str | None = None
    description: str | None = None
    type: str | None = None
    home: str | None = None
    deprecated: bool | None = None
    keywords: list[str] | None = None
    dependencies: list[_Dependency] | None = None


_DECODER = msgspec.json.Decoder(_Config)


def parse(config: bytes, archive: bytes | None) -> Chart | None:
    """Return what the chart of this config and archive says; None where the config is none."""
    try:
        found = _DECODER.decode(config)
    except (msgspec.DecodeError, RecursionError):
        return None
    return Chart(
        name=_text(found.name),
        version=_text(found.version),
        app_version=_text(found.app_version),
        description=_text(found.description),
        type=_text(found.type) or "application",
        home=_text(found.home),
        deprecated=bool(found.deprecated),
        keywords=tuple(_text(one) for one in (found.keywords or [])[:_ENTRIES]),
        dependencies=tuple(
            Dependency(_text(one.name), _text(one.version), _text(one.repository))
            for one in (found.dependencies or [])[:_ENTRIES]
        ),
        values=None if archive is None else read_values(archive),
    )


def read_values(archive: bytes) -> str | None:
    """Return the text of `<chart>/values.yaml` in a packed chart, at most `_VALUES` bytes of it; None without one."""
    try:
        stream = Stream(inflate([archive], _LIMITS))
        for member in tar.walk(stream, _LIMITS):
            if member.path.count("/") == 1 and member.path.endswith("/values.yaml"):
                return stream.take(min(member.size, _VALUES)).decode(errors="replace")
    except (Shortcoming, MemoryError):
        return None
    return None


def _text(found: str | None) -> str:
    return (found or "")[:_TEXT]
