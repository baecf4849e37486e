"""Language packages: looked up by ecosystem and normalised name, judged by the ecosystem's own order and ranges."""

from collections.abc import Callable, Iterable, Iterator

from appliance.domain.vulnerability import Advisory, Ecosystem, Package, Unjudged
from appliance.scan import namespaces
from appliance.scan.matching.verdict import Hit, judge
from appliance.scan.versions import SCHEMES


def match(
    ecosystem: Ecosystem, packages: Iterable[Package], find: Callable[[set[str]], dict[str, list[Advisory]]]
) -> Iterator[Hit | Unjudged]:
    """Yield hits and what cannot be judged; `find` returns the advisories of these names, by name."""
    judgeable = []
    for package in packages:
        if ecosystem is Ecosystem.MAVEN and ":" not in package.name:
            yield Unjudged(
                "", package, "its group is unknown: the archive does not say, and Java data may not be loaded"
            )
        else:
            judgeable.append(package)
    names = {id(package): namespaces.advisory_name(ecosystem, package.name) for package in judgeable}
    advisories = find(set(names.values()))
    for package in judgeable:
        for advisory in advisories.get(names[id(package)], ()):
            if not package.version:
                yield Unjudged(advisory.id, package, "its version is not recorded")
            elif not _names_versions(advisory):
                yield Unjudged(advisory.id, package, "the advisory names no versions")
            elif verdict := judge(SCHEMES[ecosystem], package, package.version, advisory):
                yield verdict


def _names_versions(advisory: Advisory) -> bool:
    return bool(advisory.spans or advisory.versions or advisory.vulnerable or advisory.patched or advisory.unaffected)
