"""How clients call a registry: the URLs of its endpoints, from what is listened on and what the configuration says."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import msgspec

from appliance.config import Config, ListenerSection
from appliance.domain.endpoint import Endpoint, host_of, judge_type
from appliance.domain.moment import Timestamp
from appliance.domain.names import RegistryName
from appliance.domain.registry import EndpointUrls, Registry, RegistryId, RegistrySettings

_USUAL = {"http": 80, "https": 443}
_EVERY = frozenset({"", "::", ".".join("0000")})  # hosts that mean every address of the machine


class Listened(msgspec.Struct, frozen=True):
    """A place that is listened on, and the part of the configuration that says so; None for a registry's own port."""

    url: str
    listener: ListenerSection | None
    registry: str = ""  # whose own it is, whatever the Host


def urls_of(registry: Registry, default: RegistryName, config: Config, places: Sequence[Listened]) -> EndpointUrls:
    """Return the URLs of `registry`, the one to be told to people first."""
    found: dict[Endpoint, list[str]] = {Endpoint.PRIVATE: [], Endpoint.PUBLIC: []}
    if registry.name == default and config.server.public_url:
        found[Endpoint.PRIVATE].append(config.server.public_url)
    for place in places:
        endpoint = place.listener.endpoint if place.listener else Endpoint.PRIVATE
        if endpoint is Endpoint.MANAGEMENT or not judge_type(registry, endpoint).allowed:
            continue
        found[endpoint] += _at(registry, default, config, place, endpoint)
    return EndpointUrls(*(tuple(dict.fromkeys(found[one])) for one in (Endpoint.PRIVATE, Endpoint.PUBLIC)))


def draft_of(settings: RegistrySettings) -> Registry:
    """Return a registry that is not made yet, as far as its URLs are concerned; its id is `<id>`."""
    never = Timestamp(0)
    return Registry(RegistryId(0), "<id>", settings, 0, never, "", never, "", None, None, purging=False)


def console_url(config: Config, places: Sequence[Listened]) -> str:
    """Return how people call the console; "" where nothing is listened on."""
    wanted = Endpoint.MANAGEMENT if config.has_management else Endpoint.PRIVATE
    if config.server.public_url and wanted is Endpoint.PRIVATE:
        return config.server.public_url
    own = [place for place in places if not place.registry and place.listener and place.listener.endpoint is wanted]
    return _url(own[0].url, _shown(own[0].url, config, config.endpoint.private.domain)) if own else ""


def _at(
    registry: Registry, default: RegistryName, config: Config, place: Listened, endpoint: Endpoint
) -> Iterator[str]:
    """Yield how `registry` is called at a place."""
    domain = config.endpoint.private.domain if endpoint is Endpoint.PRIVATE else config.endpoint.public.domain
    if place.registry:
        if place.registry == registry.name:
            yield _url(place.url, _shown(place.url, config, domain))
        return
    if domain:
        yield _url(place.url, host_of(registry.name, registry.public_id, domain))
    if registry.name == default:
        yield _url(place.url, _shown(place.url, config, domain))


def _shown(url: str, config: Config, domain: str) -> str:
    """Return the host to call where no registry's own name is meant; one that resolves, where it is known."""
    host = urlsplit(url).hostname or ""
    if host not in _EVERY:
        return host
    return domain or next(iter(config.server.names), "localhost")


def _url(url: str, host: str) -> str:
    """Return `url` with another host; its port is left out where it is the usual one."""
    parts = urlsplit(url)
    shown = f"[{host}]" if ":" in host else host
    port = "" if parts.port == _USUAL[parts.scheme] else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}"
