"""PHP: what Composer says that it installed, and its lock file, which has the same form."""

from collections.abc import Iterator

import msgspec

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.documents import decode_json


class _Installed(msgspec.Struct):
    name: str = ""
    version: str = ""
    license: list[str] | str | None = None


class _Packages(msgspec.Struct):
    packages: list[_Installed] = []


_DECODER = msgspec.json.Decoder(_Packages | list[_Installed])


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of an installed.json: a list by Composer 1, an object around one by Composer 2."""
    found = decode_json(_DECODER, content)
    for package in found if isinstance(found, list) else found.packages:
        if not package.name or not package.version:
            continue
        recorded = package.license if isinstance(package.license, list) else [package.license or ""]
        yield Package(
            Ecosystem.COMPOSER, package.name, package.version, licences=licences.gather(recorded), found_in=path
        )


DETECTOR = Detector("php", version=1, wants=Wants(names=frozenset({"installed.json"})), read=read)
LOCKS = (Detector("composer-lock", version=1, wants=Wants(names=frozenset({"composer.lock"})), read=read),)
