"""Red Hat and CentOS: one set of advisories for all releases, told apart by the products (CPEs) they concern.

Which products a package belongs to follows from the repositories its layer was built from, or from the build of the
container; where neither is recorded, from the release of the system.
"""

from collections.abc import Callable, Iterable, Iterator

from appliance.domain.vulnerability import Advisory, Distribution, Package, PlatformKind, Unjudged
from appliance.scan import namespaces
from appliance.scan.matching.distributions import modular_name
from appliance.scan.matching.lookup import AdvisoryLookup
from appliance.scan.matching.verdict import Hit, judge
from appliance.scan.versions import Scheme, VersionInvalid, rpm

_FOREIGN = ".remi"  # releases of a repository that rebuilds Red Hat's packages under its own numbers

# The repositories that every subscription of a major release has. The products are the same on all architectures.
_DEFAULTS = {
    "6": ("rhel-6-server-rpms", "rhel-6-server-extras-rpms"),
    "7": ("rhel-7-server-rpms", "rhel-7-server-extras-rpms"),
    "8": ("rhel-8-for-x86_64-baseos-rpms", "rhel-8-for-x86_64-appstream-rpms"),
    "9": ("rhel-9-for-x86_64-baseos-rpms", "rhel-9-for-x86_64-appstream-rpms"),
    "10": ("rhel-10-for-x86_64-baseos-rpms", "rhel-10-for-x86_64-appstream-rpms"),
}


class Products:
    """The products of packages, asked for once for each set of repositories and build."""

    def __init__(self, lookup: AdvisoryLookup, distribution: Distribution) -> None:
        """Take where to look, and the system whose release is the last resort."""
        self._lookup = lookup
        self._defaults = _DEFAULTS.get(namespaces.major_of(distribution.version), ())
        self._known: dict[tuple[tuple[str, ...], str], frozenset[int]] = {}

    def of(self, package: Package) -> frozenset[int]:
        """Return the CPE indices of `package`; none where the data know nothing of its origin."""
        build = f"{package.build}-{package.build_arch}" if package.build else ""
        origin = (package.content_sets, build)
        if origin not in self._known:
            self._known[origin] = self._find(*origin) or self._find(self._defaults, "")
        return self._known[origin]

    def _find(self, content_sets: tuple[str, ...], build: str) -> frozenset[int]:
        found = [
            *(self._lookup.platforms(PlatformKind.REPOSITORY, content_sets) if content_sets else ()),
            *(self._lookup.platforms(PlatformKind.BUILD, (build,)) if build else ()),
        ]
        return frozenset(index for platform in found for index in platform.indices)


def match(
    packages: Iterable[Package], products: Products, find: Callable[[set[str]], dict[str, list[Advisory]]]
) -> Iterator[Hit | Unjudged]:
    """Yield hits and what cannot be judged. Of several advisories for an id, the one with the highest fix counts."""
    ours = [package for package in packages if not package.version.endswith(_FOREIGN)]
    names = {id(package): modular_name(package.name, package.module) for package in ours}
    advisories = find(set(names.values()))
    for package in ours:
        indices = products.of(package)
        if not indices:
            yield Unjudged("", package, "the data know no product that it could belong to")
            continue
        for advisory in _latest(_concerning(package, indices, advisories.get(names[id(package)], ()))):
            if verdict := judge(rpm.SCHEME, package, package.version, advisory):
                yield verdict


def _concerning(package: Package, indices: frozenset[int], advisories: Iterable[Advisory]) -> Iterator[Advisory]:
    for advisory in advisories:
        if advisory.platforms and indices.isdisjoint(advisory.platforms):
            continue
        if advisory.arches and package.arch != "noarch" and package.arch not in advisory.arches:
            continue
        yield advisory


def _latest(advisories: Iterable[Advisory]) -> Iterable[Advisory]:
    chosen: dict[str, Advisory] = {}
    for advisory in advisories:
        rival = chosen.get(advisory.id)
        if rival is None or _is_older(rpm.SCHEME, rival.fixed, advisory.fixed):
            chosen[advisory.id] = advisory
    return chosen.values()


def _is_older(scheme: Scheme, left: str, right: str) -> bool:
    """Return whether the fix `left` is older than `right`: no fix is older than any, an unreadable one than none."""
    if not left or not right:
        return bool(right)
    try:
        return scheme.compare(left, right) < 0
    except VersionInvalid:
        return False
