"""`/api/v1/declarations/plan`: what the resources of a scr.toml would change."""

import msgspec
from litestar import post
from litestar.params import JSONBody

from appliance.domain.access import Action
from appliance.domain.names import RegistryName
from appliance.domain.registry import RegistryId
from appliance.errors import ConfigInvalid, Conflict
from appliance.http.api.asking import InAsking, InStock
from appliance.services.declare import Change, Declaration, plan

_EVERY = RegistryName("*")  # in the place of a name: allowed to those alone whose policy covers every registry


class Plan(msgspec.Struct, frozen=True):
    """What would change, in the order of the doing; nothing where all is as declared."""

    changes: list[Change]


@post("/api/v1/declarations/plan", status_code=200, tags=["declarations"])
async def plan_declaration(stock: InStock, asking: InAsking, data: JSONBody[Declaration]) -> Plan:
    """Say what a declaration would change. Nothing does; a start or a reload with it would do just this."""
    asking.at(RegistryId(0), _EVERY).check(Action.MANAGE_REGISTRY)
    try:
        return Plan(await plan(stock.db, data, stock.clock()))
    except ConfigInvalid as error:  # of a running server's own file it would be a 500
        raise Conflict(error.message) from error
