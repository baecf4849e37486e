"""How clients call the registries of a running server, for commands that tell or test it."""

from collections.abc import Iterator

import msgspec

from appliance.cli.asking import walk
from appliance.cli.client import Client


class _Urls(msgspec.Struct, frozen=True):
    private: tuple[str, ...] = ()
    public: tuple[str, ...] = ()


class _Registry(msgspec.Struct):
    name: str
    urls: _Urls = _Urls()


def list_urls(client: Client) -> Iterator[str]:
    """Yield the URLs of every registry, at its private endpoint and then at its public one."""
    for one in walk(client, "/api/v1/registries", _Registry):
        yield from one.urls.private
        yield from one.urls.public
