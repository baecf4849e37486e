"""Edits that do not overwrite each other: revisions that a client expects, and what changed between two of them."""

import msgspec

from appliance.errors import Stale


class Expected(msgspec.Struct, frozen=True):
    """The revisions of a resource that an edit is meant for; None: whatever it is now."""

    among: frozenset[int] | None = None

    def check(self, current: int, what: str) -> None:
        """Raise Stale where `what` ("repository pay") is at another revision than the client has read."""
        if self.among is not None and current not in self.among:
            raise Stale(f"{what} was changed since you read it (it is at revision {current}); read it again, then edit")


ANY = Expected()


def changes(before: msgspec.Struct, after: msgspec.Struct) -> dict[str, dict[str, object]] | None:
    """Return what differs as `{"before": {...}, "after": {...}}`, for the activity; None where nothing does."""
    old, new = _differences(msgspec.to_builtins(before), msgspec.to_builtins(after))
    return {"before": old, "after": new} if old or new else None


def _differences(before: dict[str, object], after: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    old: dict[str, object] = {}
    new: dict[str, object] = {}
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            one, other = _differences(one, other)
        if name in before:
            old[name] = one
        if name in after:
            new[name] = other
    return old, new
