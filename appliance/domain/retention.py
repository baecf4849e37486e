"""Tag deletion decided: which digests of an image go by its policy, and why each one goes or stays.

A digest is judged by itself when it has a tag of its own or when nothing else of the image holds it: no index lists it,
no subject is there that it refers to. The rules (untagged, old, count) choose among these; each can be switched alone,
and what any of them chooses goes with all its tags. All ages count from the digest's first push to the image.

Kept are, whatever the rules say: what a lock holds, what has a tag that matches a pattern, what was pulled lately. What
is kept keeps what it needs: the manifests that an index lists, and what refers to it (signatures, SBOMs). What is held
by others only goes when the last of them goes, and with it.
"""

import enum
from collections.abc import Callable, Iterable, Sequence

import msgspec

from appliance.domain.image_policy import TagDeletion
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest, Tag, parse_companion
from appliance.domain.patterns import matcher


class TagState(msgspec.Struct, frozen=True, gc=False):
    """A tag of a candidate."""

    name: Tag
    locked: bool = False


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A live manifest of the image."""

    digest: Digest
    pushed_at: Timestamp  # first push to this image
    last_pulled_at: Timestamp | None = None
    tags: tuple[TagState, ...] = ()
    children: tuple[Digest, ...] = ()  # of an index, whether they are here or not
    subject: Digest | None = None


class Reason(enum.StrEnum):
    """Why a digest goes or stays."""

    UNTAGGED = "untagged"
    OLD = "old"
    COUNT = "count"
    WITH_INDEX = "with index"
    WITH_SUBJECT = "with subject"
    LOCKED = "locked"
    PATTERN = "pattern"
    PULLED = "pulled"
    LISTED = "listed by a kept index"
    REFERS = "refers to a kept manifest"
    NO_RULE = "no rule"


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one digest, and why in a sentence's words."""

    digest: Digest
    tags: tuple[Tag, ...]
    goes: bool
    reason: Reason
    text: str


class Plan(msgspec.Struct, frozen=True):
    """What becomes of each digest of an image. `units` are those that go, each with what must go together with it."""

    verdicts: tuple[Verdict, ...]  # oldest push first
    units: tuple[tuple[Digest, ...], ...]

    @property
    def going(self) -> list[Verdict]:
        """The verdicts of what goes."""
        return [verdict for verdict in self.verdicts if verdict.goes]


def plan(policy: TagDeletion, candidates: Iterable[Candidate], now: Timestamp, *, held: str | None = None) -> Plan:
    """Return what `policy` does to `candidates`, all live manifests of one image, at `now`.

    `held` says which lock holds the whole image ("image pay/api"), if one does. Whether the policy is enabled is not
    asked: a test runs on one that is not.
    """
    ordered = sorted(candidates, key=lambda one: (one.pushed_at, one.digest))
    if held is not None:
        return Plan(tuple(_verdict(one, Reason.LOCKED, f"{held} is locked") for one in ordered), ())
    return _Planning(policy, ordered, now).plan()


class _Planning:
    """One image's plan on its way."""

    def __init__(self, policy: TagDeletion, ordered: Sequence[Candidate], now: Timestamp) -> None:
        self._policy = policy
        self._ordered = ordered
        self._now = now
        self._by_digest = {one.digest: one for one in ordered}
        self._subjects = {one.digest: subject for one in ordered if (subject := self._subject_of(one)) is not None}
        self._listed: dict[Digest, Digest] = {}  # a child that is here -> one of the indexes that list it
        self._below: dict[Digest, list[Digest]] = {}  # what a digest holds: its children and its referrers
        self._circular: dict[Digest, list[Digest]] = {}  # referrers that hold their subject: kept by it, never taken
        for one in ordered:
            for child in dict.fromkeys(one.children):
                if child in self._by_digest and child != one.digest:
                    self._listed[child] = one.digest
                    self._below.setdefault(one.digest, []).append(child)
        for digest, subject in list(self._subjects.items()):
            if digest in self._below and subject in self._reach([digest]):  # an index that refers to what it lists
                del self._subjects[digest]
                self._circular.setdefault(subject, []).append(digest)
            else:
                self._below.setdefault(subject, []).append(digest)
        self._kept: dict[Digest, tuple[Reason, str]] = {}
        self._chosen: dict[Digest, tuple[Reason, str]] = {}

    def plan(self) -> Plan:
        """Choose, keep, and let go what is not kept."""
        judged = [one for one in self._ordered if self._is_judged(one)]
        rank = {one.digest: number for number, one in enumerate(reversed(judged), 1)}
        keep = self._keeper()
        for one in self._ordered:
            if (kept := keep(one)) is not None:
                self._kept[one.digest] = kept
        for one in judged:
            if one.digest in self._kept:
                continue
            chosen = self._choose(one, rank[one.digest])
            if chosen is None:
                self._kept[one.digest] = (Reason.NO_RULE, "no rule chooses it")
            else:
                self._chosen[one.digest] = chosen
        self._spread()
        verdicts = tuple(self._judge(one) for one in self._ordered)
        return Plan(verdicts, tuple(self._units([verdict.digest for verdict in verdicts if verdict.goes])))

    def _subject_of(self, one: Candidate) -> Digest | None:
        """Return what `one` refers to, if that is here: by its subject, or by names that clients give to signatures."""
        if one.subject is not None and one.subject in self._by_digest and one.subject != one.digest:
            return one.subject
        named = [subject for tag in one.tags if (subject := parse_companion(tag.name)) is not None]
        if len(named) < len(one.tags):  # it has a name of its own, too
            return None
        return min((found for found in named if found in self._by_digest and found != one.digest), default=None)

    def _is_judged(self, one: Candidate) -> bool:
        """Whether `one` is judged by itself: it has a name of its own, or nothing here holds it."""
        if any(parse_companion(tag.name) is None for tag in one.tags):
            return True
        return one.digest not in self._listed and one.digest not in self._subjects

    def _reach(self, start: Iterable[Digest]) -> set[Digest]:
        """Return `start` and all that it holds, at any depth."""
        reached = set(start)
        waiting = list(reached)
        while waiting:
            found = [below for below in self._below.get(waiting.pop(), ()) if below not in reached]
            reached.update(found)
            waiting += found
        return reached

    def _keeper(self) -> Callable[[Candidate], tuple[Reason, str] | None]:
        """Return what tells why a candidate is kept whatever the rules say, or None."""
        policy = self._policy
        matches = matcher(policy.keep_patterns)
        recent = self._now - policy.keep_pulled_days * DAY

        def keep(one: Candidate) -> tuple[Reason, str] | None:
            for tag in one.tags:
                if tag.locked and parse_companion(tag.name) is None:
                    return Reason.LOCKED, f"tag {tag.name} is locked"
            for tag in one.tags:
                if matches(tag.name):
                    return Reason.PATTERN, f"tag {tag.name} matches a pattern to keep"
            if policy.keep_pulled and one.last_pulled_at is not None and one.last_pulled_at > recent:
                return Reason.PULLED, f"it was pulled in the last {policy.keep_pulled_days} days"
            return None

        return keep

    def _choose(self, one: Candidate, rank: int) -> tuple[Reason, str] | None:
        """Return which rule chooses `one`, the newest but `rank`, or None."""
        policy, age = self._policy, self._now - one.pushed_at
        days = age // DAY
        if policy.untagged and not one.tags and age >= policy.untagged_days * DAY:
            return Reason.UNTAGGED, f"it has no tag and was pushed {days} days ago, {policy.untagged_days} are the most"
        if policy.old and age >= policy.old_days * DAY:
            return Reason.OLD, f"it was pushed {days} days ago, {policy.old_days} are the most"
        if policy.count and rank > policy.keep_newest:
            return Reason.COUNT, f"it is number {rank} by push, and the newest {policy.keep_newest} are kept"
        return None

    def _spread(self) -> None:
        """Keep what the kept need."""
        waiting = list(self._kept)
        while waiting:
            holder = waiting.pop()
            for below in (*self._below.get(holder, ()), *self._circular.get(holder, ())):
                if below not in self._kept:
                    by_index = below in self._by_digest[holder].children
                    self._kept[below] = (
                        (Reason.LISTED, f"index {holder} lists it and is kept")
                        if by_index
                        else (Reason.REFERS, f"it refers to {holder}, which is kept")
                    )
                    waiting.append(below)

    def _judge(self, one: Candidate) -> Verdict:
        if (kept := self._kept.get(one.digest)) is not None:
            return _verdict(one, *kept)
        if (chosen := self._chosen.get(one.digest)) is not None:
            return _verdict(one, *chosen, goes=True)
        if one.digest in self._subjects:
            subject = self._subjects[one.digest]
            return _verdict(one, Reason.WITH_SUBJECT, f"it refers to {subject}, which goes", goes=True)
        return _verdict(one, Reason.WITH_INDEX, f"index {self._listed[one.digest]} lists it and goes", goes=True)

    def _units(self, going: Sequence[Digest]) -> list[tuple[Digest, ...]]:
        """Return `going` in units that must go together, in an order that leaves nothing behind when it is broken off.

        What others hold goes in the unit of the last of its holders, so it is never left without them.
        """
        holders = dict.fromkeys(going, 0)  # of what goes all holders go, or it would be kept
        for digest in going:
            for below in self._below.get(digest, ()):
                if below in holders:
                    holders[below] += 1
        units = []
        for first in [digest for digest in going if not holders[digest]]:
            unit = [first]
            for digest in unit:  # it grows meanwhile
                for below in self._below.get(digest, ()):
                    if below in holders:
                        holders[below] -= 1
                        if not holders[below]:
                            unit.append(below)
            units.append(tuple(unit))
        return units


def _verdict(one: Candidate, reason: Reason, text: str, *, goes: bool = False) -> Verdict:
    return Verdict(one.digest, tuple(tag.name for tag in one.tags), goes, reason, text)
