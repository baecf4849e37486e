"""Package URLs (package-url/purl-spec, PURL-SPECIFICATION.rst and PURL-TYPES.rst)."""

from urllib.parse import quote

from appliance.domain.vulnerability import Distribution, Ecosystem, Package

_VENDORS = {  # family -> namespace, where they differ
    "opensuse-leap": "opensuse",
    "opensuse-tumbleweed": "opensuse",
    "sles": "suse",
    "sle-micro": "suse",
}
_UNQUOTED = ":~"  # the specification leaves the colon as it is; the tilde never needs quoting


def build(package: Package, distribution: Distribution | None) -> str:
    """Return the package URL of `package`, which was found in an image of `distribution`; "" without a version."""
    if not package.version:
        return ""
    ecosystem, version = package.ecosystem, package.version
    qualifiers: dict[str, str] = {}
    if ecosystem.is_language:
        names = _components(package)
    else:
        family = distribution.family if distribution else ecosystem.value
        names = [_VENDORS.get(family, family), package.name]
        if package.arch:
            qualifiers["arch"] = package.arch
        if distribution and distribution.version:
            qualifiers["distro"] = f"{family}-{distribution.version.split()[0]}"
        if ecosystem is Ecosystem.RPM and ":" in version:
            qualifiers["epoch"], version = version.split(":", 1)
        if package.source:
            qualifiers["upstream"] = package.source
            if package.source_version != package.version:
                qualifiers["upstream"] += f"@{package.source_version}"
    path = "/".join(quote(part, safe=_UNQUOTED) for part in names if part)
    text = f"pkg:{ecosystem.value}/{path}@{quote(version, safe=_UNQUOTED)}"
    if not qualifiers:
        return text
    return f"{text}?{'&'.join(f'{key}={quote(qualifiers[key], safe=_UNQUOTED)}' for key in sorted(qualifiers))}"


def _components(package: Package) -> list[str]:
    """Return namespace and name, split as the type wants them."""
    name = package.name
    if package.ecosystem is Ecosystem.PYPI:
        return [name.lower().replace("_", "-")]
    if package.ecosystem is Ecosystem.MAVEN:
        return name.split(":", 1)
    if package.ecosystem in (Ecosystem.GOLANG, Ecosystem.COMPOSER):
        return name.lower().split("/")
    return name.split("/")
