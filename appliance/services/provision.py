"""Making, editing and taking away registries and repositories."""

from appliance.db import facts, registries
from appliance.db.database import Transaction
from appliance.domain.admission import Site
from appliance.domain.moment import Timestamp
from appliance.domain.names import DEFAULT_REGISTRY
from appliance.domain.registry import RegistryId, RegistrySettings
from appliance.services.stock import new_public_id


def claim_site(tx: Transaction, by: str, now: Timestamp) -> Site:
    """Return the default registry; a new appliance gets its id and that registry now."""
    appliance = facts.find(tx, "appliance")
    if appliance is None:
        appliance = new_public_id()
        facts.put(tx, "appliance", appliance)
    found = registries.find(tx, DEFAULT_REGISTRY)
    number = found.id if found else _make_default(tx, by, now)
    return Site(appliance, number, DEFAULT_REGISTRY)


def _make_default(tx: Transaction, by: str, now: Timestamp) -> RegistryId:
    made = registries.insert(tx, RegistrySettings(DEFAULT_REGISTRY), new_public_id(), by, now)
    registries.set_ready(tx, made, now)
    return made
