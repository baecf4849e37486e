"""`/api/v1/defaults`: what a new repository starts with."""

import msgspec
from litestar import get

from appliance.domain.image_policy import ImagePolicy
from appliance.http.api.asking import InAsking, InStock


class Defaults(msgspec.Struct, frozen=True, rename="camel"):
    """What is so where nobody says otherwise."""

    repository: ImagePolicy  # `[defaults.repository]` of scr.toml
    strict: bool  # names follow the manual, and no push makes a repository


@get("/api/v1/defaults", tags=["repositories"], sync_to_thread=False)
def show_defaults(stock: InStock, asking: InAsking) -> Defaults:  # noqa: ARG001 - who asks was admitted by the front
    """Tell the policy that a repository gets where its maker leaves it out."""
    return Defaults(stock.rules.default_policy, stock.rules.strict)
