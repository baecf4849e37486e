"""One version order a file: parse and compare, nothing else. Here: which ecosystem uses which."""

from appliance.domain.vulnerability import Ecosystem
from appliance.scan.versions import apk, deb, gem, generic, maven, npm, pep440, rpm
from appliance.scan.versions.order import Scheme, VersionInvalid

__all__ = ["SCHEMES", "Scheme", "VersionInvalid"]

SCHEMES: dict[Ecosystem, Scheme] = {
    Ecosystem.APK: apk.SCHEME,
    Ecosystem.DEB: deb.SCHEME,
    Ecosystem.RPM: rpm.SCHEME,
    Ecosystem.PYPI: pep440.SCHEME,
    Ecosystem.NPM: npm.SCHEME,
    Ecosystem.MAVEN: maven.SCHEME,
    Ecosystem.GEM: gem.SCHEME,
    Ecosystem.NUGET: generic.NUGET,
    Ecosystem.COMPOSER: generic.SCHEME,
    Ecosystem.GOLANG: generic.SCHEME,
    Ecosystem.CARGO: generic.SCHEME,
}
