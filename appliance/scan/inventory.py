"""The layers of an image -> what the image holds: the uppermost of each file counts, what a layer removes is gone.

Secrets are the exception: a file that a later layer removed can still be pulled, so what was found in it stays.
Spec: image-spec 1.1.1, layer.md, "Applying Changesets".
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from appliance.domain.layer import Build, ContentSets, FileKind, ImageLayer, Reading
from appliance.domain.names import Digest
from appliance.domain.vulnerability import Distribution, Inventory, Package, Secret
from appliance.scan import owned, purl

# Who packaged it when the distribution did not: its advisories say nothing of these, so their files are not hidden.
_STRANGERS = (
    "confluent",
    "datadoghq.com",
    "docker.com",
    "elastic.co",
    "gitlab.com",
    "google.com",
    "grafana.com",
    "hashicorp.com",
    "influxdata.com",
    "microsoft.com",
    "mongodb.com",
    "nginx.com",
    "nodesource.com",
    "oracle.com",
    "redis.com",
    "yarnpkg.com",
)
_DPKG_LISTS = "var/lib/dpkg/info/"


class _Seen(msgspec.Struct, frozen=True):
    """A reading that no later layer replaces, and the index of its layer."""

    layer: int
    reading: Reading


def merge(layers: Sequence[ImageLayer]) -> Inventory:
    """Return the inventory of the image that consists of `layers`, the lowest first."""
    visible = list(_visible(layers))
    distribution = _distribution(visible)
    licences = {
        licence.package: licence.licences for seen in visible for licence in seen.reading.licences if licence.licences
    }
    installed = _owned(visible)
    first = _first_layers(layers)
    red_hat = [_red_hat(layers, index) for index in range(len(layers))]  # once a layer: it looks at every reading
    packages: dict[tuple[str, str, str, str, str], Package] = {}
    for seen in visible:
        for package in seen.reading.packages:
            if package.ecosystem in owned.ECOSYSTEMS and package.found_in in installed:
                continue
            layer = seen.layer
            if not package.ecosystem.is_language:
                layer = first.get((seen.reading.path, package.name, package.version, package.arch), layer)
            content_sets, build = red_hat[layer]
            key = (package.ecosystem.value, package.name, package.version, package.arch, _place(package))
            packages.setdefault(
                key,
                msgspec.structs.replace(
                    package,
                    purl=purl.build(package, distribution),
                    licences=package.licences or licences.get(package.name, ()),
                    layer=layers[layer].digest,
                    content_sets=content_sets.names if content_sets else (),
                    build=build.name if build else "",
                    build_arch=build.arch if build else "",
                ),
            )
    return Inventory(distribution, tuple(packages.values()), tuple(_secrets(layers)), tuple(_limits(layers)))


def _place(package: Package) -> str:
    """Return what tells two equal packages apart: of a distribution, only one can be installed."""
    return package.found_in if package.ecosystem.is_language else ""


def _visible(layers: Sequence[ImageLayer]) -> Iterator[_Seen]:
    """Yield the readings that are left, from the uppermost layer down."""
    covered = _Cover()
    for index in range(len(layers) - 1, -1, -1):
        contents = layers[index].contents
        for reading in contents.readings:
            if not covered.hides(reading.path):
                yield _Seen(index, reading)
        if index:
            covered.add(layers[index])


class _Cover:
    """What the layers above hide."""

    def __init__(self) -> None:
        self._names: set[str] = set()  # replaced or removed, each with all that lies below it
        self._folders: set[str] = set()  # written again: nothing below is hidden by that
        self._opaque: set[str] = set()

    def add(self, layer: ImageLayer) -> None:
        for entry in layer.contents.files:
            (self._folders if entry.kind is FileKind.FOLDER else self._names).add(entry.path)
        self._names.update(layer.contents.whiteouts)
        self._opaque.update(layer.contents.opaque)

    def hides(self, path: str) -> bool:
        if path in self._names or path in self._folders:
            return True
        while path:
            path = path.rpartition("/")[0]
            if path in self._opaque or (path and path in self._names):
                return True
        return False


def _distribution(visible: Iterable[_Seen]) -> Distribution | None:
    releases = [release for seen in visible for release in seen.reading.releases]
    best = min(releases, key=lambda release: release.rank, default=None)
    return best.distribution if best else None


def _owned(visible: Sequence[_Seen]) -> set[str]:
    """Return the files that the distribution itself installed."""
    strangers = {
        package.name
        for seen in visible
        for package in seen.reading.packages
        if any(stranger in package.vendor.lower() for stranger in _STRANGERS)
    }
    paths: set[str] = set()
    for seen in visible:
        path = seen.reading.path
        if path.startswith(_DPKG_LISTS):
            name = path.removeprefix(_DPKG_LISTS).removesuffix(".list").partition(":")[0]
            if name in strangers:
                continue
        paths.update(seen.reading.owned)
    return paths


def _first_layers(layers: Sequence[ImageLayer]) -> dict[tuple[str, str, str, str], int]:
    """Return the lowest layer in whose database each of the distribution's packages stands, by file and package.

    Every layer that installs something carries the whole database again; a package came with the first that has it.
    """
    first: dict[tuple[str, str, str, str], int] = {}
    for index, layer in enumerate(layers):
        for reading in layer.contents.readings:
            for package in reading.packages:
                if not package.ecosystem.is_language:
                    first.setdefault((reading.path, package.name, package.version, package.arch), index)
    return first


def _red_hat(layers: Sequence[ImageLayer], index: int) -> tuple[ContentSets | None, Build | None]:
    """Return what the build left in the layer, else in the nearest below it.

    The lowest layer of a Red Hat image has no such files: they lie in the second.
    """
    order = [index, *range(index - 1, -1, -1)] if index else [0, 1]
    content_sets: ContentSets | None = None
    build: Build | None = None
    for position in order:
        if position >= len(layers):
            break
        for reading in layers[position].contents.readings:
            if content_sets is None and reading.content_sets:
                content_sets = reading.content_sets[0]
            if build is None and reading.builds:
                build = reading.builds[0]
        if content_sets or build:
            break
    return content_sets, build


def _secrets(layers: Sequence[ImageLayer]) -> Iterator[Secret]:
    known: set[tuple[str, str, int, str]] = set()
    for layer in reversed(layers):
        for secret in layer.contents.secrets:
            key = (secret.found_in, secret.rule, secret.line, secret.match)
            if key not in known:
                known.add(key)
                yield msgspec.structs.replace(secret, layer=layer.digest)


def _limits(layers: Sequence[ImageLayer]) -> Iterator[str]:
    for layer in layers:
        name = _short(layer.digest)
        for sentence in layer.contents.limits:
            yield f"layer {name}: {sentence}"
        computed = layer.contents.diff_id
        if layer.claimed and computed and layer.claimed != computed:
            yield f"layer {name}: diff_id mismatch: the config claims {layer.claimed}, the bytes have {computed}"


def _short(digest: Digest) -> str:
    return digest.partition(":")[2][:12]
