"""What is said of a registry before it is made, and the allowlists that are made with it.

The check judges field by field what is being typed: what is still empty is not judged.
"""

from collections.abc import Iterator, Mapping

import msgspec
from litestar import post
from litestar.params import JSONBody

from appliance.db import registries
from appliance.domain.access import Action
from appliance.domain.admission import Caller
from appliance.domain.endpoint import Endpoint, ListName
from appliance.domain.names import RegistryName, parse_registry_name
from appliance.domain.registry import EndpointType, EndpointUrls, RegistryId, RegistrySettings
from appliance.errors import AllowlistInvalid, NameInvalid
from appliance.http.api.asking import InAsking, InRunning, InStock
from appliance.http.running import Running
from appliance.services import allowlists
from appliance.services.first_lists import FirstLists
from appliance.services.provision import find_taken
from appliance.services.stock import Stock

_UNNAMED = RegistryName("*")  # while no name is typed that could be one: who may make any registry at all
_UNTOLD = RegistryName("<name>")  # where a URL has it
_HIGHEST = 65_535


class RegistryDraft(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is typed so far of a registry to be made."""

    name: str = ""
    endpoint: EndpointType = EndpointType.PRIVATE
    port: int | None = None
    private_allowlist: str = ""
    public_allowlist: str = ""


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a field of the draft, as the draft names it."""

    field: str
    text: str


class RegistryChecked(msgspec.Struct, frozen=True):
    """All that is wrong with it; none: it could be made so. `urls`: how it would be called, `<id>` being its id."""

    faults: list[Fault]
    urls: EndpointUrls


@post("/api/v1/registries/checks", status_code=200, tags=["registries"])
async def check_registry(
    stock: InStock, running: InRunning, asking: InAsking, data: JSONBody[RegistryDraft]
) -> RegistryChecked:
    """Say what is wrong with a registry that is not made yet, field by field; make nothing."""
    name, faults = _judge_name(data.name)
    asking.at(RegistryId(0), name or _UNNAMED).check(Action.MANAGE_REGISTRY)
    if name is not None and (found := registries.find(stock.db.reader, name)):
        faults.append(Fault("name", f"there is a registry {name} already (id {found.public_id}); choose another name"))
    if data.port is not None:
        faults += _judge_port(stock, asking.caller, data.port)
    lists = {"privateAllowlist": data.private_allowlist, "publicAllowlist": data.public_allowlist}
    for field, text in lists.items():
        try:
            await _check_list(running, text)
        except AllowlistInvalid as error:
            faults.append(Fault(field, error.message))
    port = data.port if data.port and 0 < data.port <= _HIGHEST else None
    planned = RegistrySettings(name or _UNTOLD, endpoint=data.endpoint, port=port)
    return RegistryChecked(faults, running.urls_planned(planned))


async def first_lists(running: Running, registry: RegistryName, texts: Mapping[Endpoint, str]) -> FirstLists:
    """Return the lists that a registry shall begin with. Raises AllowlistInvalid where one of them has a mistake."""
    for endpoint, text in texts.items():
        try:
            await _check_list(running, text)
        except AllowlistInvalid as error:
            raise AllowlistInvalid(f"{endpoint.value}Allowlist: {error.message}") from error
    lists = running.allowlists()
    named = {ListName(one, registry): text for one, text in texts.items()}
    return FirstLists(lists.shelf, lists.groups, named, lists.refresh)


async def _check_list(running: Running, text: str) -> None:
    lists = running.allowlists()
    await lists.shelf.run(lambda: allowlists.check(text, lists.groups))


def _judge_name(text: str) -> tuple[RegistryName | None, list[Fault]]:
    if not text:
        return None, []
    try:
        return parse_registry_name(text), []
    except NameInvalid as error:
        return None, [Fault("name", error.message)]


def _judge_port(stock: Stock, caller: Caller, port: int) -> Iterator[Fault]:
    if not 0 < port <= _HIGHEST:
        yield Fault("port", f"a port is a number from 1 to {_HIGHEST}")
    elif taken := find_taken(stock.db.reader, caller, port, RegistryId(0)):
        yield Fault("port", f"{taken}; choose another one")
