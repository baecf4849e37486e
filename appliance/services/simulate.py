"""Tag deletion over the past of an image: what would be here now, had a policy been on since the first push.

The image is replayed day by day, or in longer steps where it is large: what was pushed when and which tag named what is
in the rows and in the history of tags. What was deleted since is left out. Of pulls only the last one is known, so a
digest that was pulled later counts as pulled at every moment before.
"""

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from appliance.db import images, retention_facts, tag_history
from appliance.db.database import Reader
from appliance.db.retention_facts import Facts
from appliance.db.tag_history import Span
from appliance.domain import retention
from appliance.domain.image_policy import TagDeletion
from appliance.domain.moment import DAY, Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import ImageRef
from appliance.domain.retention import Candidate, TagState
from appliance.errors import NameUnknown
from appliance.services import freeing
from appliance.services.stock import Stock

_STEPS = 120  # looks at the image, at most
_WORK = 300_000  # manifests looked at in all steps together: some seconds of a worker


class Point(msgspec.Struct, frozen=True):
    """How much the image held at a moment, with the policy and without it."""

    at: Timestamp
    manifests: int
    tags: int
    kept_manifests: int
    kept_tags: int


class Simulation(msgspec.Struct, frozen=True):
    """What the policy would have kept of what is here now. `freed` is bytes that nothing else would need."""

    policy: TagDeletion
    since: Timestamp | None  # the first push; None for an image that holds nothing
    step: int  # milliseconds between two looks
    manifests: int
    tags: int
    kept_manifests: int
    kept_tags: int
    freed: int
    course: tuple[Point, ...]


async def simulate(stock: Stock, image: ImageRef, policy: TagDeletion | None, now: Timestamp) -> Simulation:
    """Return what `policy` (None: the image's own) would have done. Raises NameUnknown."""

    def look(reader: Reader) -> Simulation:
        number = images.find_shown(reader, image)
        if number is None:
            raise NameUnknown(f"there is no image {image}")
        in_force = policy or images.settings_of(reader, number).settings.policy.tag_deletion
        facts = retention_facts.load(reader, number)
        gone, course, step = _replay(facts, tag_history.list_spans(reader, number), in_force, now)
        tags = sum(len(one.tags) for one in facts.candidates)
        kept_tags = sum(len(one.tags) for one in facts.candidates if one.digest not in gone)
        return Simulation(
            policy=in_force,
            since=min((one.pushed_at for one in facts.candidates), default=None),
            step=step,
            manifests=len(facts.candidates),
            tags=tags,
            kept_manifests=len(facts.candidates) - len(gone),
            kept_tags=kept_tags,
            freed=freeing.count_freed(reader, number, [facts.rows[digest] for digest in gone]),
            course=course,
        )

    return await stock.db.read(look)


def _replay(
    facts: Facts, spans: list[Span], policy: TagDeletion, now: Timestamp
) -> tuple[set[Digest], tuple[Point, ...], int]:
    """Return what would be gone by now, the course of it, and the milliseconds of a step."""
    gone: set[Digest] = set()
    course: list[Point] = []
    if not facts.candidates:
        return gone, (), DAY
    began = min(one.pushed_at for one in facts.candidates)
    steps = max(min(_STEPS, _WORK // len(facts.candidates)), 1)
    step = max(DAY, -(-(now - began) // steps))
    named: dict[Digest, list[Span]] = defaultdict(list)
    for span in spans:
        named[span.digest].append(span)
    moments = [*range(began + step, now, step), now]
    for moment in moments:
        at = Timestamp(moment)
        there = [_as_of(one, named, at) for one in facts.candidates if one.pushed_at <= at]
        left = [one for one in there if one.digest not in gone]
        gone |= {verdict.digest for verdict in retention.plan(policy, left, at).going}
        kept = [one for one in left if one.digest not in gone]
        course.append(Point(at, len(there), _count_tags(there), len(kept), _count_tags(kept)))
    return gone, tuple(course), step


def _as_of(one: Candidate, named: Mapping[Digest, list[Span]], at: Timestamp) -> Candidate:
    """Return the candidate as it was at a moment; locks are those of now."""
    locked = {tag.name for tag in one.tags if tag.locked}
    tags = {span.name for span in named.get(one.digest, ()) if span.since <= at < span.until}
    pulled = None if one.last_pulled_at is None else Timestamp(min(one.last_pulled_at, at))
    return Candidate(
        one.digest,
        one.pushed_at,
        pulled,
        tuple(TagState(name, name in locked) for name in sorted(tags)),
        one.children,
        one.subject,
    )


def _count_tags(candidates: list[Candidate]) -> int:
    return sum(len(one.tags) for one in candidates)
