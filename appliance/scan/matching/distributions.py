"""The rules of the distributions, but for Red Hat's: which name and version of a package their advisories speak of."""

import functools
from collections.abc import Callable, Iterable, Iterator

import msgspec

from appliance.domain.vulnerability import Advisory, Ecosystem, Package, Unjudged
from appliance.scan.matching.verdict import Hit, judge
from appliance.scan.versions import SCHEMES


class Rule(msgspec.Struct, frozen=True):
    """How one family of distributions is judged."""

    ecosystem: Ecosystem
    named_by_source: bool = False  # advisories name source packages
    judged_by_source: bool = False  # and give their versions
    is_modular: bool = False  # names of modular rpms carry the module
    refusal: Callable[[Package], str] = lambda _package: ""  # why a package cannot be judged; empty: it can
    concerns: Callable[[Package, Advisory], bool] = lambda _package, _advisory: True

    def name(self, package: Package) -> str:
        """Return the name that the advisories of `package` are kept under."""
        name = package.source or package.name if self.named_by_source else package.name
        return modular_name(name, package.module) if self.is_modular else name

    def version(self, package: Package) -> str:
        """Return the version that the advisories speak of."""
        return package.source_version or package.version if self.judged_by_source else package.version


def modular_name(name: str, label: str) -> str:
    """Return "nodejs:12::npm" for npm of the module "nodejs:12:8030020201124152102:229f0a1c"."""
    parts = label.split(":")
    return f"{parts[0]}:{parts[1]}::{name}" if len(parts) > 2 else name


def _is_on_its_architecture(package: Package, advisory: Advisory) -> bool:
    return not advisory.arches or package.arch in advisory.arches


def _flavour(version: str) -> str:
    """Return which of Oracle's parallel builds a version belongs to: they are never compared with each other."""
    version = version.lower()
    if version.endswith("_fips"):
        return "fips"
    return "ksplice" if any(part.startswith("ksplice") for part in version.split(".")) else "normal"


def _is_of_its_flavour(package: Package, advisory: Advisory) -> bool:
    release = package.version.rpartition("-")[2]
    return _is_on_its_architecture(package, advisory) and _flavour(advisory.fixed) == _flavour(release)


def _refuse_unlabelled_modules(package: Package) -> str:
    if ".module_el" in package.version and not package.module:
        return "it was built in a module but does not say in which, and each stream has advisories of its own"
    return ""


def _refuse_modules(package: Package) -> str:
    return "Rocky Linux publishes incomplete advisories for packages of modules" if package.module else ""


_ALPINE = Rule(Ecosystem.APK, named_by_source=True, judged_by_source=True)
_DEBIAN = Rule(Ecosystem.DEB, named_by_source=True, judged_by_source=True)
_BY_BINARY = Rule(Ecosystem.RPM)
_AZURE = Rule(Ecosystem.RPM, named_by_source=True, judged_by_source=True)

RULES = {
    "alpine": _ALPINE,
    "wolfi": _ALPINE,
    "chainguard": _ALPINE,
    "debian": _DEBIAN,
    "ubuntu": _DEBIAN,
    "amazon": _BY_BINARY,
    "sles": _BY_BINARY,
    "sle-micro": _BY_BINARY,
    "opensuse-leap": _BY_BINARY,
    "opensuse-tumbleweed": _BY_BINARY,
    "oracle": Rule(Ecosystem.RPM, concerns=_is_of_its_flavour),
    "alma": Rule(Ecosystem.RPM, is_modular=True, refusal=_refuse_unlabelled_modules),
    "rocky": Rule(Ecosystem.RPM, refusal=_refuse_modules, concerns=_is_on_its_architecture),
    "photon": Rule(Ecosystem.RPM, named_by_source=True),
    "cbl-mariner": _AZURE,
    "azure": _AZURE,
}


def match_any_name(
    packages: Iterable[Package], find: Callable[[set[str]], dict[str, list[Advisory]]]
) -> Iterator[Hit | Unjudged]:
    """Yield verdicts on rpms by advisories that name the source or the binary, and give the version of what they name.

    An advisory without a module concerns packages of every module.
    """
    scheme = SCHEMES[Ecosystem.RPM]
    names = [
        (package, name, version, is_source)
        for package in packages
        for plain, version, is_source in _names(package)
        for name in dict.fromkeys((plain, modular_name(plain, package.module)))
    ]
    advisories = find({name for _package, name, _version, _is_source in names})
    for package, name, version, is_source in names:
        for advisory in advisories.get(name, ()):
            if _is_for(package, advisory, is_source=is_source) and (
                verdict := judge(scheme, package, version, advisory)
            ):
                yield verdict


def _names(package: Package) -> Iterator[tuple[str, str, bool]]:
    """Yield name and version of the binary, and of the source where that is called otherwise."""
    yield package.name, package.version, False
    if package.source and package.source != package.name:
        yield package.source, package.source_version or package.version, True


def _is_for(package: Package, advisory: Advisory, *, is_source: bool) -> bool:
    if not advisory.arches or package.arch == "noarch":
        return True
    return ("src" if is_source else package.arch) in advisory.arches


def tell_apart(package: Package) -> tuple[str, ...]:
    """Return all of a package that a rule looks at."""
    return (package.name, package.version, package.source, package.source_version, package.module, package.arch)


def match(
    rule: Rule, packages: Iterable[Package], find: Callable[[set[str]], dict[str, list[Advisory]]]
) -> Iterator[Hit | Unjudged]:
    """Yield what `rule` makes of `packages`; `find` returns the advisories of these names, by name."""
    judgeable = []
    for package in packages:
        if reason := rule.refusal(package):
            yield Unjudged("", package, reason)
        else:
            judgeable.append(package)
    decide = functools.partial(judge, SCHEMES[rule.ecosystem])
    advisories = find({rule.name(package) for package in judgeable})
    for package in judgeable:
        version = rule.version(package)
        for advisory in advisories.get(rule.name(package), ()):
            if rule.concerns(package, advisory) and (verdict := decide(package, version, advisory)):
                yield verdict
