"""One ecosystem a file; what an image is read for is listed here."""

from collections.abc import Iterable

from appliance.scan import os_release
from appliance.scan.detector import Detector
from appliance.scan.detectors import apk, dotnet, dpkg, go, java, node, php, python, rpm, ruby, rust

INSTALLED: tuple[Detector, ...] = (
    os_release.DETECTOR,
    apk.DETECTOR,
    dpkg.STATUS,
    dpkg.LIST,
    dpkg.COPYRIGHT,
    rpm.DATABASE,
    rpm.JOURNAL,
    rpm.MANIFEST,
    rpm.DOCKERFILE,
    python.DETECTOR,
    python.EGG,
    python.CONDA,
    node.DETECTOR,
    php.DETECTOR,
    dotnet.DEPENDENCIES,
    dotnet.LOCK,
    dotnet.CONFIG,
    go.DETECTOR,
    java.DETECTOR,
    rust.DETECTOR,
    ruby.DETECTOR,
)
# What was to be installed somewhere, once; in an image it need not be. Read only where the operator asks for it.
LOCKED: tuple[Detector, ...] = (
    *python.LOCKS,
    *node.LOCKS,
    *php.LOCKS,
    *go.LOCKS,
    *java.LOCKS,
    *rust.LOCKS,
    *ruby.LOCKS,
)


def choose(*, lock_files: bool) -> tuple[Detector, ...]:
    """Return the detectors of a scan, with or without those of lock files."""
    return INSTALLED + LOCKED if lock_files else INSTALLED


def version(detectors: Iterable[Detector]) -> str:
    """Return a text that changes when any of `detectors` does: a part of the key under which contents are kept."""
    return ",".join(f"{detector.name}:{detector.version}" for detector in detectors)
