"""Resources that `scr.toml` declares: `[[registry]]` and `[[repository]]` as values, and what of them goes together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NewType, cast

import msgspec

from appliance.config.lines import KeyPath
from appliance.config.quantities import Size
from appliance.domain.image_policy import ImagePolicy, PullLimit, ScanPolicy, TagDeletion
from appliance.domain.names import DEFAULT_REGISTRY, parse_repository_name
from appliance.domain.registry import EndpointType, Visibility
from appliance.domain.resource_tags import MAX_TAGS
from appliance.errors import NameInvalid

DeclaredRegistry = NewType("DeclaredRegistry", str)  # the name of a registry
DeclaredRepository = NewType("DeclaredRepository", str)  # the name of a repository
TagText = NewType("TagText", str)  # "key=value"
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class RegistrySection(msgspec.Struct, frozen=True):
    """`[[registry]]`: a registry that is made, or changed to match. 0 is no port of its own, and no limit."""

    name: DeclaredRegistry
    description: str = ""
    visibility: Visibility = Visibility.PRIVATE
    endpoint: EndpointType = EndpointType.PRIVATE
    private_access_control: bool = False
    public_access_control: bool = False
    port: Port = 0
    quota: Size = Size(0)
    quota_images: Count = 0
    resource_tags: tuple[TagText, ...] = ()


class RepositorySection(msgspec.Struct, frozen=True):
    """`[[repository]]`: a repository that is made, or changed to match.

    Once read, what its policy leaves out is as `[defaults.repository]` says.
    """

    name: DeclaredRepository
    registry: DeclaredRegistry = DeclaredRegistry(DEFAULT_REGISTRY)
    description: str = ""
    locked: bool = False
    resource_tags: tuple[TagText, ...] = ()
    scan: ScanPolicy = ScanPolicy()
    pull_limit: PullLimit = PullLimit()
    tag_deletion: TagDeletion = TagDeletion()

    @property
    def policy(self) -> ImagePolicy:
        """The template of new images."""
        return ImagePolicy(self.scan, self.pull_limit, self.tag_deletion)


def with_defaults(
    repositories: Sequence[RepositorySection], raw: object, defaults: ImagePolicy
) -> tuple[RepositorySection, ...]:
    """Return `repositories` (from the tables `raw`) with `defaults` for what they leave out of their policies."""
    tables = cast("list[dict[str, object]]", raw if isinstance(raw, list) else [])
    found = []
    for one, table in zip(repositories, tables, strict=True):
        parts = {}
        for name in ("scan", "pull_limit", "tag_deletion"):
            written = table.get(name, {})
            own = getattr(one, name)
            values = {key: getattr(own, key) for key in written} if isinstance(written, Mapping) else {}
            parts[name] = msgspec.structs.replace(getattr(defaults, name), **values)
        found.append(msgspec.structs.replace(one, **parts))
    return tuple(found)


def find_faults(
    registries: Sequence[RegistrySection], repositories: Sequence[RepositorySection], *, strict: bool
) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not go together, each with its place."""
    for number, registry in enumerate(registries):
        place: KeyPath = ("registry", number)
        before = registries[:number]
        if any(other.name == registry.name for other in before):
            yield (*place, "name"), f"there is another [[registry]] {registry.name}; write one table for each"
        if registry.port and any(other.port == registry.port for other in before):
            yield (*place, "port"), f"another [[registry]] has port {registry.port}; give each a port of its own"
        yield from _tag_faults(place, registry.resource_tags)
    for number, repository in enumerate(repositories):
        place = ("repository", number)
        same = (repository.registry, repository.name)
        if any((other.registry, other.name) == same for other in repositories[:number]):
            yield (*place, "name"), f"there is another [[repository]] {repository.name}; write one table for each"
        try:
            parse_repository_name(repository.name, strict=strict)
        except NameInvalid as error:
            yield (*place, "name"), error.message
        yield from _tag_faults(place, repository.resource_tags)


def _tag_faults(place: KeyPath, tags: Sequence[TagText]) -> Iterator[tuple[KeyPath, str]]:
    keys = [tag.partition("=")[0] for tag in tags]
    if len(keys) > MAX_TAGS:
        yield (*place, "resource_tags"), f"{len(keys)} resource tags are too many; a resource has up to {MAX_TAGS}"
    for key in {key for key in keys if keys.count(key) > 1}:
        yield (*place, "resource_tags"), f"resource tag {key} is written more than once; a key has one value"
