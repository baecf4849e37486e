"""Endpoints: the sorts of doors a request comes in by, what registries are called there, and which are served."""

import enum
import re

import msgspec

from appliance.domain.decision import Stage, Step
from appliance.domain.names import RegistryName
from appliance.domain.registry import EndpointType, Registry

_LABEL = re.compile(r"([a-z][a-z0-9]{2,24})-([a-z0-9]{1,32})")  # both together fit the 63 characters of a label


class Endpoint(enum.StrEnum):
    """What a listener is for."""

    PRIVATE = "private"
    PUBLIC = "public"
    MANAGEMENT = "management"  # console, API and metrics alone


class ListName(msgspec.Struct, frozen=True):
    """Which allowlist: of a registry's private or public endpoint, or that of management (without a registry)."""

    endpoint: Endpoint
    registry: str = ""

    def __str__(self) -> str:
        """Return `local.private` or `management`: what people call it, and its file without `.txt`."""
        return f"{self.registry}.{self.endpoint}" if self.registry else str(self.endpoint)

    @property
    def file(self) -> str:
        """What its file is called."""
        return f"{self}.txt"


MANAGEMENT_LIST = ListName(Endpoint.MANAGEMENT)
_LIST = re.compile(r"([a-z][a-z0-9]{2,24})\.(private|public)")


def read_list_name(text: str) -> ListName | None:
    """Return the list that `local.private` or `management` names; None for any other text."""
    if text == str(MANAGEMENT_LIST):
        return MANAGEMENT_LIST
    found = _LIST.fullmatch(text)
    return ListName(Endpoint(found[2]), found[1]) if found else None


class Label(msgspec.Struct, frozen=True):
    """The name and the public id of a registry, as the first part of a host name has them."""

    name: RegistryName
    public_id: str


def host_of(name: RegistryName, public_id: str, domain: str) -> str:
    """Return the host name of a registry below `domain`."""
    return f"{name}-{public_id}.{domain}"


def read_host(host: str, domain: str) -> Label | None:
    """Return the registry that a host name (lower case, without port) below `domain` names; None for any other."""
    if not domain or not host.endswith(f".{domain}"):
        return None
    found = _LABEL.fullmatch(host[: -len(domain) - 1])
    return Label(RegistryName(found[1]), found[2]) if found else None


def judge_type(registry: Registry, endpoint: Endpoint) -> Step:
    """Say whether a registry is served at `endpoint`."""
    kind = registry.settings.endpoint
    is_served = endpoint is not Endpoint.PUBLIC or kind is EndpointType.BOTH
    said = f"registry {registry.name} has the endpoint type {kind}"
    return Step(Stage.ENDPOINT_TYPE, is_served, said if is_served else f"{said}: it is not served at the public one")


def is_controlled(registry: Registry, endpoint: Endpoint) -> bool:
    """Whether an allowlist decides who may use a registry at `endpoint`."""
    settings = registry.settings
    if endpoint is Endpoint.MANAGEMENT:
        return False  # no registry is served there
    return settings.public_access_control if endpoint is Endpoint.PUBLIC else settings.private_access_control


def list_names(registry: Registry) -> list[ListName]:
    """Return the allowlists that are in force for a registry."""
    return [
        ListName(endpoint, registry.name)
        for endpoint in (Endpoint.PRIVATE, Endpoint.PUBLIC)
        if is_controlled(registry, endpoint) and judge_type(registry, endpoint).allowed
    ]
