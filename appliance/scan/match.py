"""Inventory and vulnerability data -> findings: a pure function; whoever keeps the data is asked through a lookup."""

import functools
from collections.abc import Callable, Iterable, Iterator

import msgspec

from appliance.domain.moment import Timestamp
from appliance.domain.vulnerability import Advisory, Distribution, Ecosystem, Finding, Inventory, Package, Unjudged
from appliance.scan import namespaces
from appliance.scan.matching import distributions, languages, rating, redhat
from appliance.scan.matching.end_of_life import has_ended
from appliance.scan.matching.lookup import AdvisoryLookup
from appliance.scan.matching.memory import Memory
from appliance.scan.matching.verdict import Hit
from appliance.scan.versions import SCHEMES, VersionInvalid

VERSION = 1  # of the rules below this module: a change makes what older ones matched stale
_NO_SOFTWARE = frozenset({"gpg-pubkey"})  # keys that rpm keeps as packages: their versions are no versions


class Matched(msgspec.Struct, frozen=True):
    """What matching found: worst first, then by package and id."""

    distribution: Distribution | None
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]
    uncovered: tuple[str, ...]


def match(inventory: Inventory, lookup: AdvisoryLookup, now: Timestamp, memory: Memory | None = None) -> Matched:
    """Return what `lookup` knows about the packages of `inventory`; `now` tells which distributions have ended.

    `memory` spares whoever matches many images with the same data what the images have in common.
    """
    memory = memory or Memory()
    hits: list[Hit] = []
    unjudged: list[Unjudged] = []
    uncovered: list[str] = []
    groups = _group(package for package in inventory.packages if package.name not in _NO_SOFTWARE)
    for ecosystem, packages in groups.items():
        for verdict in _match_group(ecosystem, packages, inventory.distribution, lookup, memory):
            if isinstance(verdict, Hit):
                hits.append(verdict)
            elif isinstance(verdict, Unjudged):
                unjudged.append(verdict)
            else:
                uncovered.append(verdict)
    findings = _findings(_one_for_each(hits), lookup, memory)
    findings.sort(key=lambda finding: (-finding.severity.rank, finding.package.name, finding.id))
    distribution = inventory.distribution
    if distribution is not None:
        distribution = msgspec.structs.replace(distribution, end_of_life=has_ended(distribution, now))
    return Matched(distribution, tuple(findings), tuple(unjudged), tuple(uncovered))


def _group(packages: Iterable[Package]) -> dict[Ecosystem, list[Package]]:
    groups: dict[Ecosystem, list[Package]] = {}
    for package in packages:
        groups.setdefault(package.ecosystem, []).append(package)
    return groups


def _match_group(
    ecosystem: Ecosystem,
    packages: list[Package],
    distribution: Distribution | None,
    lookup: AdvisoryLookup,
    memory: Memory,
) -> Iterator[Hit | Unjudged | str]:
    """Yield verdicts on packages of one ecosystem, and a sentence where the data do not cover them."""
    if ecosystem.is_language:
        if ecosystem not in SCHEMES:  # conda: nobody publishes advisories for it, so no data could ever cover it
            return
        namespace = namespaces.of_ecosystem(ecosystem)
        if not lookup.covers(namespace):
            yield f"the vulnerability data hold nothing about {namespace} packages; the image has {len(packages)}"
            return
        find = _finder(lookup, namespace)
        yield from memory.judge(
            namespace,
            packages,
            lambda package: (package.name, package.version),
            lambda new: languages.match(ecosystem, new, find),
        )
        return
    if distribution is None:
        yield f"the distribution is unknown, so {len(packages)} {ecosystem} packages could not be matched"
        return
    yield from _match_system(ecosystem, packages, distribution, lookup, memory)


def _match_system(
    ecosystem: Ecosystem,
    packages: list[Package],
    distribution: Distribution,
    lookup: AdvisoryLookup,
    memory: Memory,
) -> Iterator[Hit | Unjudged | str]:
    """Yield verdicts on packages of the distribution, by each kind of data there is about it."""
    namespace = namespaces.of_distribution(distribution)
    any_name = next(filter(lookup.covers, namespaces.any_name_choices(distribution)), None)
    is_covered = lookup.covers(namespace)
    if not is_covered and any_name is None:
        yield f"the vulnerability data hold nothing about {namespace}; the image has {len(packages)} packages of it"
        return
    is_red_hat = namespace == namespaces.RED_HAT
    rule = distributions.RULES.get(namespaces.family_of(distribution))
    if ecosystem is not (rule.ecosystem if rule else Ecosystem.RPM):
        yield f"{len(packages)} {ecosystem} packages do not belong to {namespace} and could not be matched"
        return
    find = _finder(lookup, namespace)
    if is_covered and is_red_hat:
        yield from redhat.match(packages, redhat.Products(lookup, distribution), find)
    elif is_covered and rule is not None:
        judge = functools.partial(distributions.match, rule, find=find)
        yield from memory.judge(namespace, packages, distributions.tell_apart, judge)
    elif any_name is None:
        yield f"how {namespace} names packages in its advisories is unknown; {len(packages)} could not be matched"
    if any_name is not None:
        yield from distributions.match_any_name(packages, _finder(lookup, any_name))


def _finder(lookup: AdvisoryLookup, namespace: str) -> Callable[[set[str]], dict[str, list[Advisory]]]:
    def find(names: set[str]) -> dict[str, list[Advisory]]:
        by_name: dict[str, list[Advisory]] = {}
        for advisory in sorted(lookup.advisories(namespace, names), key=lambda one: (one.id, one.feed, one.fixed)):
            by_name.setdefault(advisory.name, []).append(advisory)
        return by_name

    return find


def _one_for_each(hits: Iterable[Hit]) -> list[Hit]:
    """Return one hit for each flaw of a package: sources repeat each other, under the same id or an alias of it.

    The same package found twice at one path (built for two architectures) counts once. The highest fix is kept.
    """
    flaws: dict[tuple[str, ...], _Flaw] = {}
    for hit in hits:
        flaw = _Flaw(hit)
        for name in flaw.names():
            if (known := flaws.get(name)) is not None and known is not flaw:
                flaw.absorb(known)
        flaws.update(dict.fromkeys(flaw.names(), flaw))
    return [flaw.hit for flaw in {id(flaw): flaw for flaw in flaws.values()}.values()]


class _Flaw:
    """One flaw of one package under all its names."""

    def __init__(self, hit: Hit) -> None:
        self.hit = hit
        self.ids = {hit.advisory.id: None, **dict.fromkeys(hit.advisory.aliases)}

    def names(self) -> list[tuple[str, ...]]:
        package = self.hit.package
        place = (package.ecosystem, package.name, package.version, package.found_in)
        return [(*place, one) for one in self.ids]

    def absorb(self, other: "_Flaw") -> None:
        """Become what both say: the ids of both, the hit with the later fix, the older one where they are alike."""
        self.ids = {**other.ids, **self.ids}
        if not _mends_later(self.hit, other.hit):
            self.hit = other.hit


def _mends_later(hit: Hit, rival: Hit) -> bool:
    one, other = hit.advisory.fixed, rival.advisory.fixed
    if not one or not other:
        return bool(one)
    try:
        return SCHEMES[hit.package.ecosystem].compare(other, one) < 0
    except VersionInvalid:  # several fixes in one text
        return False


def _findings(hits: list[Hit], lookup: AdvisoryLookup, memory: Memory) -> list[Finding]:
    known = memory.vulnerabilities({hit.advisory.id for hit in hits}, lookup)
    return [
        rating.finding(hit, known.get(hit.advisory.id))
        for hit in hits
        if not (hit.advisory.id in known and known[hit.advisory.id].withdrawn)
    ]
