"""`/api/v1/verifications`: compare the store with the database."""

import msgspec
from litestar import post
from litestar.params import JSONBody

from appliance.domain.access import Action
from appliance.http.api.asking import InAsking, InStock
from appliance.http.api.running import InRunning
from appliance.http.api.upkeep import alone
from appliance.services.verify import Verified, verify


class VerificationOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to verify: `deep` reads and hashes every byte, `repair` mends what is safe to mend."""

    deep: bool = False
    repair: bool = False


_VERIFY = VerificationOrder()


@post("/api/v1/verifications", status_code=200, tags=["upkeep"])
async def run_verification(
    stock: InStock, running: InRunning, asking: InAsking, data: JSONBody[VerificationOrder] = _VERIFY
) -> Verified:
    """Compare the store with the database; answer what is wrong."""
    asking.check(Action.MANAGE_REGISTRY)
    with alone(running, "verification"):
        return await verify(stock, deep=data.deep, repair=data.repair)
