"""Which registries the asker may view, for what is told of several at once: activity, refusals, traffic, counts."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from litestar.params import QueryParameter

from appliance.db import registries
from appliance.domain.access import Action
from appliance.domain.admission import may_registry
from appliance.domain.moment import Timestamp, from_datetime
from appliance.domain.names import RegistryName
from appliance.domain.registry import RegistryId
from appliance.errors import QueryInvalid
from appliance.http.api.asking import Asking
from appliance.services.stock import Stock

Since = Annotated[datetime | None, QueryParameter(description="from this time on (RFC 3339)")]
Until = Annotated[datetime | None, QueryParameter(description="before this time (RFC 3339)")]
After = Annotated[
    int | None,
    QueryParameter(ge=0, description="what came after this `seq`, the oldest first; `next` is the following `after`"),
]
ByTime = Annotated[Literal["-at", "at"], QueryParameter(description="the newest first, or the oldest")]
Principal = Annotated[str | None, QueryParameter(max_length=300, description="of whom, as user:ann")]

NOWHERE = RegistryId(0)  # what belongs to no registry, or happened before it was known which one is meant
NEWEST = 1 << 62  # a `seq` and a time that nothing has
_EVERY = RegistryName("*")  # in a question for access: whatever registry there may be


def may_view(asking: Asking) -> bool:
    """Whether the asker may view the registry that is asked."""
    return may_registry(asking.caller, asking.site, Action.VIEW_REGISTRY)


def may_view_all(asking: Asking) -> bool:
    """Whether the asker may view every registry there may be, and so what belongs to none."""
    return may_view(everywhere(asking))


def everywhere(asking: Asking) -> Asking:
    """Return the same caller asking about every registry there may be: only a policy on all of them speaks of that."""
    return asking.at(NOWHERE, _EVERY)


def find_viewed(stock: Stock, asking: Asking, registry: str | None) -> dict[RegistryId, str]:
    """Return id and name of the registry of that name, or of all that the asker may view, NOWHERE among them.

    Raises AccessDenied where that is none; NameInvalid, RegistryUnknown.
    """
    if registry is not None:
        one = asking.at_name(stock, registry)
        one.check(Action.VIEW_REGISTRY)
        return {one.site.registry: one.site.name}
    found = {
        one.id: str(one.name) for one in registries.list_all(stock.db.reader) if may_view(asking.at(one.id, one.name))
    }
    if may_view_all(asking):
        found[NOWHERE] = ""
    if not found:
        asking.check(Action.VIEW_REGISTRY)
    return found


def time_or(moment: datetime | None, default: int) -> Timestamp:
    """Return a time of a query as the database has it; one without a zone is UTC, as everything here is."""
    if moment is None:
        return Timestamp(default)
    found = from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    if found < 0:
        raise QueryInvalid("that is before anything happened here; write a time as 2026-11-20T12:00:00Z")
    return found


def seq_of(cursor: str) -> int:
    """Return the `seq` that a cursor holds; one greater than all for none. Raises QueryInvalid."""
    if not cursor:
        return NEWEST
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise QueryInvalid("cursor is none of this list; take it from `next` of the page before")
    return int(cursor)
