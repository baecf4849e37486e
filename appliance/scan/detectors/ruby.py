"""Ruby: the specification that RubyGems writes for every installed gem, and the lock file of Bundler."""

import re
from collections.abc import Iterator

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences
from appliance.scan.detector import Detector, Fact, Wants

_NAME = re.compile(rb"\.name\s{0,9}=\s{0,9}[\"']([^\"'\s]{1,200})[\"']")
_VERSION = re.compile(rb"\.version\s{0,9}=\s{0,9}(?:Gem::Version\.new\()?\s{0,9}[\"']([^\"'\s]{1,200})[\"']")
_LICENCES = re.compile(rb"\.licenses?\s{0,9}=\s{0,9}\[?([^\]\n]{1,500})")
_LOCKED = re.compile(rb"^ {4}([A-Za-z0-9._-]{1,200}) \(([0-9][^)\s]{0,200})\)\r?$", re.MULTILINE)
_QUOTED = re.compile(rb"[\"']([^\"']{1,200})[\"']")


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the gem of a specification, which is Ruby code in the one form that RubyGems generates."""
    name, version = _NAME.search(content), _VERSION.search(content)
    if not name or not version:
        return
    listed = _LICENCES.search(content)
    names = [found.decode(errors="replace") for found in _QUOTED.findall(listed[1])] if listed else []
    yield Package(
        Ecosystem.GEM,
        name[1].decode(errors="replace"),
        version[1].decode(errors="replace"),
        licences=licences.gather(names),
        found_in=path,
    )


def read_lock(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the gems of a Gemfile.lock: names with a version in brackets, indented by four spaces."""
    for name, version in dict.fromkeys(_LOCKED.findall(content)):
        yield Package(Ecosystem.GEM, name.decode(), version.decode(errors="replace"), found_in=path)


DETECTOR = Detector(
    "ruby",
    version=1,
    wants=Wants(endings=(".gemspec",), pattern=re.compile(r"(?:^|/)specifications/")),
    read=read,
)
LOCKS = (Detector("bundler-lock", version=1, wants=Wants(names=frozenset({"Gemfile.lock"})), read=read_lock),)
