"""What the access policies of one principal allow: compiled once, asked on every request.

A deny wins, then an allow, else it is denied. Statements are sorted by effect and action when they are compiled;
resources that are named alone or by their beginning are found without looking at each pattern. What was decided is
remembered, as long as nothing it rests on can change: the policies (a `Rights` is replaced whole), the address and the
time where a condition asks for them.
"""

import ipaddress
import itertools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import ClassVar

import msgspec

from appliance.domain.access import AccessPolicy, Action, Conditions, Statement, matches, srn
from appliance.domain.moment import SECOND, Timestamp

_REMEMBERED = 50_000  # decisions, of all principals together; some 300 bytes each
_ACTIONS = tuple(Action)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Verdict(msgspec.Struct, frozen=True):
    """Whether it is allowed, and what decided; `policy` is "" where none spoke of it."""

    allowed: bool
    reason: str
    policy: str = ""


class _Gate:
    """The conditions of a statement."""

    def __init__(self, conditions: Conditions) -> None:
        self.applied = tuple(map(ipaddress.ip_network, conditions.applied_addresses))
        self.excluded = tuple(map(ipaddress.ip_network, conditions.excluded_addresses))
        first, last = conditions.not_before, conditions.not_after
        self.first = None if first is None else int(first.timestamp() * SECOND)
        self.last = None if last is None else int(last.timestamp() * SECOND)

    def is_open(self, address: Address | None, now: int, *, fallback: bool) -> bool:
        """Whether the statement counts; `fallback` where it asks for the address of somebody who has none."""
        if (self.first is not None and now < self.first) or (self.last is not None and now >= self.last):
            return False
        if not (self.applied or self.excluded):
            return True
        if address is None:
            return fallback
        return (not self.applied or any(address in one for one in self.applied)) and not any(
            address in one for one in self.excluded
        )


class _Rule:
    """A statement, as far as it speaks of one action."""

    __slots__ = ("gate", "policy", "reason")

    def __init__(self, policy: str, reason: str, conditions: Conditions) -> None:
        self.policy = policy
        self.reason = reason
        self.gate = None if conditions == Conditions() else _Gate(conditions)


class _Rules:
    """The rules of one effect on one action, by the form of their resources."""

    def __init__(self, *, is_deny: bool) -> None:
        self.is_deny = is_deny
        self._alone: defaultdict[str, list[_Rule]] = defaultdict(list)
        self._by_beginning: list[tuple[str, _Rule]] = []
        self._by_pattern: list[tuple[str, _Rule]] = []
        self._beginnings: tuple[str, ...] = ()

    def add(self, pattern: str, rule: _Rule) -> None:
        stars = pattern.count("*")
        if not stars:
            self._alone[pattern].append(rule)
        elif stars == 1 and pattern.endswith("*"):
            self._by_beginning.append((pattern[:-1], rule))
        else:
            self._by_pattern.append((pattern, rule))

    def finish(self) -> None:
        self._beginnings = tuple({beginning for beginning, _ in self._by_beginning})

    def find(self, resources: Sequence[str], address: Address | None, now: int) -> _Rule | None:
        """Return the first rule that names one of `resources` and counts, or None."""
        for resource in resources:
            found = list(self._alone.get(resource, ()))
            if resource.startswith(self._beginnings):
                found += [rule for beginning, rule in self._by_beginning if resource.startswith(beginning)]
            found += [rule for pattern, rule in self._by_pattern if matches(pattern, resource)]
            for rule in found:
                if rule.gate is None or rule.gate.is_open(address, now, fallback=self.is_deny):
                    return rule
        return None


class Rights:
    """The policies in force for a principal."""

    _numbers = itertools.count()
    _known: ClassVar[dict[tuple[int, str, str, str, int], Verdict]] = {}  # of all rights, by their number

    def __init__(self, policies: Iterable[AccessPolicy], public: Sequence[tuple[str, str]] = ()) -> None:
        """Compile `policies`; whoever asks may pull from the `public` registries (appliance, name) besides.

        An effect that is no word of ours counts as deny: a policy written wrongly lets nobody in.
        """
        self._number = next(self._numbers)
        self._denies: dict[Action, _Rules] = {}
        self._allows: dict[Action, _Rules] = {}
        self._moments: set[int] = set()  # when a condition begins or ends to hold
        self._asks_address = False
        for policy in policies:
            for number, statement in enumerate(policy.statements, 1):
                self._add(policy.name, number, statement)
        for appliance, name in public:
            whole = srn(appliance, name)
            for action, resource in ((Action.LOGIN, whole), (Action.PULL, f"{whole}/repository/*")):
                rule = _Rule("", f"registry {name} is public and allows {action}", Conditions())
                self._rules(action, is_allow=True).add(resource, rule)
        for rules in (*self._denies.values(), *self._allows.values()):
            rules.finish()
        self._boundaries = sorted(self._moments)
        self.is_timed = bool(self._boundaries)  # the answer depends on the time

    def allows_somewhere(self, action: Action) -> bool:
        """Whether any statement allows `action` on anything, whatever its conditions: whether to offer a form."""
        return action in self._allows

    def _add(self, name: str, number: int, statement: Statement) -> None:
        is_allow = statement.effect == "allow"
        where = f" (statement {number})" if number > 1 else ""
        gate = None
        for action in _ACTIONS:
            if not any(matches(pattern, action) for pattern in statement.actions):
                continue
            reason = f"policy {name} {'allows' if is_allow else 'denies'} {action}{where}"
            rule = _Rule(name, reason, statement.conditions)
            gate = rule.gate
            for resource in statement.resources:
                self._rules(action, is_allow=is_allow).add(resource, rule)
        if gate is not None:
            self._asks_address = self._asks_address or bool(gate.applied or gate.excluded)
            self._moments |= {moment for moment in (gate.first, gate.last) if moment is not None}

    def _rules(self, action: Action, *, is_allow: bool) -> _Rules:
        place = self._allows if is_allow else self._denies
        if action not in place:
            place[action] = _Rules(is_deny=not is_allow)
        return place[action]

    def evaluate(self, action: Action, resources: Sequence[str], address: str, now: Timestamp) -> Verdict:
        """Decide `action` on what `resources` (SRNs, the narrowest first) name, asked from `address` at `now`."""
        since = bisect_right(self._boundaries, now) if self.is_timed else 0
        key = (self._number, action, resources[0], address if self._asks_address else "", since)
        verdict = self._known.get(key)
        if verdict is None:
            verdict = self._decide(action, resources, parse_address(address), now)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = verdict
        return verdict

    def _decide(self, action: Action, resources: Sequence[str], address: Address | None, now: int) -> Verdict:
        for rules in (self._denies.get(action), self._allows.get(action)):
            if rules is not None and (rule := rules.find(resources, address, now)) is not None:
                return Verdict(allowed=not rules.is_deny, reason=rule.reason, policy=rule.policy)
        return Verdict(allowed=False, reason=f"no policy allows {action}")


class FullRights(Rights):
    """Of who administers the appliance itself; no policy can say it, and none takes it away."""

    def evaluate(self, action: Action, resources: Sequence[str], address: str, now: Timestamp) -> Verdict:
        """Allow."""
        del resources, address, now
        return Verdict(allowed=True, reason=f"the administrator of the appliance may do {action}")


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Return the address, an IPv4 one where it is mapped into IPv6; None for what is none (the control socket)."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
