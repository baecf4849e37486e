"""One ecosystem a file; what an image is read for is listed here."""

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
