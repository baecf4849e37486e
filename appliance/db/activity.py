"""Activity: who changed what, when; written in the transaction of the change, never changed afterwards."""

from collections.abc import Mapping

import msgspec

from appliance.db.database import Transaction, Values
from appliance.domain.admission import Caller
from appliance.domain.moment import Timestamp

Detail = Mapping[str, object]  # what changed, by name; values that JSON can hold


class About(msgspec.Struct, frozen=True):
    """Which resources a change is about; 0 for none."""

    registry: int = 0
    repository: int = 0
    image: int = 0


def record(
    tx: Transaction,
    kind: str,
    caller: Caller,
    about: About,
    detail: Detail,
    now: Timestamp,
) -> int:
    """Append a record; return its `seq`, which orders everything, whatever the clock does."""
    values: Values = {
        "at": now,
        "kind": kind,
        "principal": str(caller.principal),
        "address": caller.address,
        "registry": about.registry or None,
        "repository": about.repository or None,
        "image": about.image or None,
        "detail": msgspec.json.encode({"v": 1, **detail}).decode(),
    }
    return tx.insert(
        "INSERT INTO activity (at, kind, principal, address, registry_id, repository_id, image_id, detail)"
        " VALUES (:at, :kind, :principal, :address, :registry, :repository, :image, :detail)",
        values,
    )
