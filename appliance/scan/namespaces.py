"""Under which namespace and name an advisory is kept and looked up: feeds and matching must agree on both."""

import re

from appliance.domain.vulnerability import Distribution, Ecosystem

# Distributions whose advisories are kept per major release, per minor release, or once for all.
_BY_MAJOR = frozenset({"debian", "oracle", "alma", "rocky", "amazon"})
_BY_MINOR = frozenset({"alpine", "photon", "sles", "sle-micro", "opensuse-leap", "ubuntu", "cbl-mariner", "azure"})
_ROLLING = frozenset({"opensuse-tumbleweed", "wolfi", "chainguard", "arch"})
_REBUILDS = frozenset({"alma", "rocky"})
_RED_HAT = frozenset({"redhat", "centos"})

_OTHER_NAMES = {"azurelinux": "azure", "sl-micro": "sle-micro"}  # what newer releases call themselves

RED_HAT = "redhat"

_AMAZON_BY_NUMBER = frozenset({"2", "2022", "2023"})  # what came before is named by the month and is all "1"
_ALPINE_EDGE = re.compile(r"edge|_alpha")
_SEPARATORS = re.compile(r"[-_.]+")
_SERVICE_PACK = re.compile(r"-SP", re.IGNORECASE)


def family_of(distribution: Distribution) -> str:
    """Return the family by which rules and namespaces go: renamed distributions keep their old name."""
    return _OTHER_NAMES.get(distribution.family, distribution.family)


def of_distribution(distribution: Distribution) -> str:
    """Return the namespace of a distribution, e.g. "debian 12", "alpine 3.20", "redhat".

    A family that is unknown here gets "<family> <version>", for which no data will be found: the report then says so.
    """
    family, version = family_of(distribution), distribution.version.strip()
    if family in _RED_HAT:
        return RED_HAT
    if family in _ROLLING:
        return family
    if family == "alpine" and _ALPINE_EDGE.search(version):
        return "alpine edge"
    if family == "amazon":
        version = major_of(version.partition(" ")[0])
        return f"amazon {version if version in _AMAZON_BY_NUMBER else '1'}"
    if family in _BY_MAJOR:
        version = major_of(version)
    elif family in _BY_MINOR:
        version = ".".join(_SERVICE_PACK.sub(".", version).split(".")[:2])
    return f"{family} {version}".strip()


def by_any_name(distribution: Distribution) -> str:
    """Return the namespace of advisories that name rpms by source or by binary, for exactly this release.

    "redhat 9 *", "redhat 9.4 *", "oracle 8 *": unlike in `of_distribution`, Red Hat's releases stand apart.
    """
    if family_of(distribution) in _RED_HAT:
        return f"{RED_HAT} {'.'.join(distribution.version.split('.')[:2])} *"
    return f"{of_distribution(distribution)} *"


def any_name_choices(distribution: Distribution) -> tuple[str, ...]:
    """Return the namespaces of `by_any_name` that serve a system, the closest first.

    AlmaLinux and Rocky Linux rebuild Red Hat's packages, so where they have no advisories of their own its serve.
    """
    family = family_of(distribution)
    version = distribution.version
    of_red_hat = (
        by_any_name(Distribution(RED_HAT, version)),
        by_any_name(Distribution(RED_HAT, major_of(version))),
    )
    if family in _RED_HAT:
        return of_red_hat
    return (by_any_name(distribution), *(of_red_hat if family in _REBUILDS else ()))


def major_of(version: str) -> str:
    """Return what stands before the first point."""
    return version.partition(".")[0]


def of_ecosystem(ecosystem: Ecosystem) -> str:
    """Return the namespace of a language's packages."""
    return ecosystem.value


def advisory_name(ecosystem: Ecosystem, name: str) -> str:
    """Return `name` as advisories of this ecosystem are kept: without the spellings that the ecosystem ignores.

    PyPI: PEP 503. Go, and the distributions: as written. The others: without case.
    """
    if ecosystem is Ecosystem.PYPI:
        return _SEPARATORS.sub("-", name).lower()
    if ecosystem is Ecosystem.GOLANG or not ecosystem.is_language:
        return name
    return name.lower()
