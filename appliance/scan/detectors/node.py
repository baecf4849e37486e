"""Node.js: the package.json that every installed package carries."""

import re
from collections.abc import Iterator

import msgspec

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.documents import decode_json

_NAME = re.compile(r"(?:@[^/\s@]+/)?[^/\s@]+")  # docs.npmjs.com, package.json, "name"


class _PackageJson(msgspec.Struct):
    name: object = None
    version: object = None
    license: object = None
    licenses: object = None


_DECODER = msgspec.json.Decoder(_PackageJson)


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the package that a package.json describes; one without name or version describes none."""
    found = decode_json(_DECODER, content)
    if not isinstance(found.name, str) or not isinstance(found.version, str):
        return
    if not _NAME.fullmatch(found.name) or not found.version:
        return
    names = licences.gather([*_licences(found.license), *_licences(found.licenses)])
    yield Package(Ecosystem.NPM, found.name, found.version.strip(), licences=names, found_in=path)


def _licences(value: object) -> Iterator[str]:
    """Yield the names in any of the forms that were ever allowed: a text, {"type": text}, or a list of these."""
    for item in value if isinstance(value, list) else [value]:
        name = item.get("type") if isinstance(item, dict) else item
        if isinstance(name, str):
            yield from licences.split(name)


DETECTOR = Detector("node", version=1, wants=Wants(names=frozenset({"package.json"})), read=read)
