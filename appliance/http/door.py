"""A listener as a request sees it."""

import msgspec

from appliance.domain.endpoint import Endpoint
from appliance.domain.names import RegistryName


class Door(msgspec.Struct, frozen=True):
    """What a request came in by; `listen.py` puts it into the connection's state.

    `name` tells doors apart that mean something else. A door may be a registry's own: by the name that `[[listener]]`
    has for it, or by the port that the registry has.
    """

    name: str
    is_control: bool = False
    is_tls: bool = False
    is_beside_tls: bool = False  # plain HTTP on a port that speaks TLS too: never a cookie, a token or a challenge
    endpoint: Endpoint = Endpoint.PRIVATE
    registry: RegistryName | None = None
    port: int | None = None


def make_door(endpoint: Endpoint, *, registry: RegistryName | None = None, port: int | None = None) -> Door:
    """Return the door of a listener."""
    own = f" of registry {registry}" if registry else f" of port {port}" if port else ""
    return Door(f"{endpoint} endpoint{own}", endpoint=endpoint, registry=registry, port=port)
