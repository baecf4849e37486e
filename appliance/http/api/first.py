"""`/api/v1/first-administrator`: what the one-time link does that is printed where nobody can sign in yet."""

from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.params import JSONBody

from appliance.domain.accounts import check_password, check_user_name
from appliance.errors import AccessDenied
from appliance.http.agent import agent_of
from appliance.http.api.accounts import AccountName
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.session import InEntry
from appliance.http.api.users import Password


class FirstOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret at the end of the link, and whom to make an administrator."""

    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    name: AccountName
    password: Password


class FirstView(msgspec.Struct, frozen=True):
    """Who was made: sign in as that one."""

    id: str
    name: str


@post("/api/v1/first-administrator", status_code=201, tags=["accounts"])
async def make_first(
    stock: InStock, asking: InAsking, way_in: InEntry, data: JSONBody[FirstOrder]
) -> Response[FirstView]:
    """Make the first administrator. Good once, within a day of the start, and only while nobody can sign in."""
    callers = way_in.callers
    verifier = callers.doorkeeper.verifier
    try:
        callers.first_link.check(data.secret, stock.clock())
    except AccessDenied:
        await verifier.refuse(asking.caller.address)  # guessing is slow
        raise
    password = check_password(data.password, check_user_name(data.name))
    hashed = await verifier.hash(password)
    client = agent_of(way_in.request["scr.headers"])
    made = await callers.first_link.redeem(stock, data.secret, data.name, hashed, asking.caller.address, client)
    return Response(FirstView(made.id, made.name), status_code=201, headers={"cache-control": "no-store"})
