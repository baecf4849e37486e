"""What somebody may hand to others: nothing that their own policies do not let them do.

Patterns are compared as texts. A star of the wider pattern stands for any characters, those of the narrower one's stars
included, so that `registry/*` covers `registry/pay/*`. A pattern that means a repository means its images as well.
Whatever cannot be told in `MOST` comparisons is not given.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from appliance.domain.access import Action, Conditions, Statement, matches

MOST = 200_000  # comparisons of one question; each takes a microsecond, and the writer waits for them


class Excess(msgspec.Struct, frozen=True):
    """What would be given without being had: `action` on `resource`, and why it is not had."""

    action: Action
    resource: str
    reason: str


_IMAGES = "/image/*"  # behind a repository: all that is in it


class _TooMany(Exception):
    """The question takes more comparisons than anybody waits for."""


class Holdings:
    """What the statements of somebody's policies let them hand on."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        """Sort `statements` by action: each is asked for many times."""
        self._allows: defaultdict[Action, defaultdict[str, list[Conditions]]] = defaultdict(lambda: defaultdict(list))
        self._denies: list[Statement] = []
        self._left = MOST
        for one in statements:
            if one.effect != "allow":
                self._denies.append(one)
                continue
            for action, resource in _pairs(one):
                self._allows[action][resource].append(one.conditions)

    def find_excess(self, given: Sequence[Statement]) -> Excess | None:
        """Return the first thing that `given` would let others do and its giver may not, or None.

        A deny of the giver counts unless `given` carries the same one along.
        """
        carried = [one for one in given if one.effect != "allow"]
        denies = [one for one in self._denies if one not in carried]
        self._left = MOST
        try:
            for statement in given:
                if statement.effect == "allow" and (found := self._excess_of(statement, denies)) is not None:
                    return found
        except _TooMany:
            return Excess(Action.LOGIN, "*", "it names too many resources to tell; give it in several smaller policies")
        return None

    def _excess_of(self, statement: Statement, denies: Sequence[Statement]) -> Excess | None:
        for action, resource in _pairs(statement):
            if not self._covers(action, resource, statement.conditions):
                return Excess(action, resource, "your own policies do not allow that")
            for deny in denies:
                if any(self._match(pattern, action) for pattern in deny.actions) and any(
                    self._may_meet(pattern, resource) for pattern in deny.resources
                ):
                    return Excess(action, resource, "a policy of yours denies that, or a part of it")
        return None

    def _covers(self, action: Action, resource: str, conditions: Conditions) -> bool:
        had = self._allows.get(action)
        if had is None:
            return False
        if self._is_within(conditions, had.get("*", ())) or self._is_within(conditions, had.get(resource, ())):
            return True
        return any(
            (self._match(pattern, resource) or self._match(pattern + _IMAGES, resource))
            and self._is_within(conditions, owned)
            for pattern, owned in had.items()
        )

    def _is_within(self, narrow: Conditions, wide: Sequence[Conditions]) -> bool:
        for one in wide:
            self._spend(1 + _addresses(narrow) * _addresses(one))
            if is_within(narrow, one):
                return True
        return False

    def _match(self, pattern: str, text: str) -> bool:
        self._spend(1)
        return matches(pattern, text)

    def _spend(self, comparisons: int) -> None:
        self._left -= comparisons
        if self._left < 0:
            raise _TooMany

    def _may_meet(self, one: str, other: str) -> bool:
        """Whether there may be anything that both patterns mean."""
        return any(
            self._may_overlap(first, second) for first in (one, one + _IMAGES) for second in (other, other + _IMAGES)
        )

    def _may_overlap(self, one: str, other: str) -> bool:
        """Whether a text may match both patterns: what is not sure counts as yes."""
        if "*" not in one or "*" not in other:
            return self._match(one, other) or self._match(other, one)
        self._match(one, other)
        begins = one.partition("*")[0], other.partition("*")[0]
        ends = one.rpartition("*")[2], other.rpartition("*")[2]
        return _fit(*begins, str.startswith) and _fit(*ends, str.endswith)


def is_within(narrow: Conditions, wide: Conditions) -> bool:
    """Whether a statement under `narrow` counts only where one under `wide` does."""
    if wide.not_before is not None and (narrow.not_before is None or narrow.not_before < wide.not_before):
        return False
    if wide.not_after is not None and (narrow.not_after is None or narrow.not_after > wide.not_after):
        return False
    if wide.applied_addresses and not (
        narrow.applied_addresses and all(_is_in(one, wide.applied_addresses) for one in narrow.applied_addresses)
    ):
        return False
    return all(_is_in(one, narrow.excluded_addresses) for one in wide.excluded_addresses)


def denied_by(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Return what taking away the denies of `statements` would give: their actions on their resources, at any time."""
    return tuple(Statement("allow", one.actions, one.resources) for one in statements if one.effect != "allow")


def _pairs(statement: Statement) -> Iterator[tuple[Action, str]]:
    for action in Action:
        if any(matches(pattern, action) for pattern in statement.actions):
            for resource in statement.resources:
                yield action, resource


def _addresses(conditions: Conditions) -> int:
    return len(conditions.applied_addresses) + len(conditions.excluded_addresses)


def _is_in(text: str, among: Sequence[str]) -> bool:
    network = ipaddress.ip_network(text)
    return any(
        network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]  # of one version
        for other in map(ipaddress.ip_network, among)
    )


def _fit(one: str, other: str, holds: Callable[[str, str], bool]) -> bool:
    return holds(one, other) or holds(other, one)
