"""Tag deletion: the policy test and the run, by one plan.

A run plans from one look at the image and lets go in slices, as large as nobody notices (pace.py). Each is one
transaction, which first asks whether anything changed since: a push, a moved tag, a lock, an edit, a pull. If so it
plans anew, so it never takes what a test at that moment would not list. Broken off anywhere it goes on at the next run,
and what went can be undone like any deletion.
"""

from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from appliance.db import activity, deletions, images, retention_facts
from appliance.db.activity import About
from appliance.db.database import Reader, Transaction
from appliance.db.deletions import DeletionId, Taken
from appliance.db.images import Seat
from appliance.db.retention_facts import Facts
from appliance.domain import retention
from appliance.domain.access import Principal, PrincipalKind
from appliance.domain.admission import Caller
from appliance.domain.image_policy import TagDeletion
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.registry import ImageId, ImageRef, ManifestId
from appliance.domain.retention import Plan, Reason, Verdict
from appliance.domain.rights import Rights
from appliance.errors import NameUnknown
from appliance.services import freeing, guard
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.pace import Pace
from appliance.services.stock import Stock, new_public_id

_TURNS = 100  # plans of one run: an image that changes all the time is left to the next one
APPLIANCE = Caller(Principal(PrincipalKind.APPLIANCE, "retention"), Rights(()), "")


class Preview(msgspec.Struct, frozen=True):
    """What a run now would do. Sizes are bytes; `freed` is what nothing else would need."""

    policy: TagDeletion
    plan: Plan
    sizes: dict[Digest, int]
    freed: int


class Ran(msgspec.Struct, frozen=True, rename="camel"):
    """What a run did."""

    manifests: int = 0
    tags: int = 0
    is_whole: bool = True  # False: the image changed faster than it could plan
    undo: str = ""  # the id by which it can be undone; "" where nothing went, or nothing can come back


class _Gone(msgspec.Struct, frozen=True):
    """What a run let go so far, in attempts that were interrupted too."""

    manifests: int = 0
    tags: int = 0
    deletion: DeletionId | None = None  # it all belongs to


class _Seen(msgspec.Struct, frozen=True):
    """An image at one moment, and what becomes of it."""

    policy: TagDeletion
    facts: Facts
    plan: Plan


async def preview(stock: Stock, image: ImageRef, policy: TagDeletion | None, now: Timestamp) -> Preview:
    """Return what a run now would do, by the image's own policy or by one that is not saved. Raises NameUnknown."""

    def look(reader: Reader) -> Preview:
        number = images.find_shown(reader, image)
        if number is None:
            raise NameUnknown(f"there is no image {image}")
        seen = _look(reader, number, policy, now)
        going = [seen.facts.rows[verdict.digest] for verdict in seen.plan.going]
        return Preview(seen.policy, seen.plan, dict(seen.facts.sizes), freeing.count_freed(reader, number, going))

    return await stock.db.read(look)


async def run_job(stock: Stock, public_id: str, now: Timestamp, course: Course) -> Ran:
    """Run for the image of a job; nothing is to be done for one that is gone."""
    image = images.find_by_public_id(stock.db.reader, public_id)
    return Ran() if image is None else await run(stock, image, now, course)


async def run(stock: Stock, image: ImageId, now: Timestamp, course: Course = UNFOLLOWED) -> Ran:
    """Let go what the image's policy says, if that is enabled. It does nothing for an image that is gone.

    Where `course` says that somebody asked for the end it raises Cancelled: what went is gone, the rest stays.
    """
    running = _Running(stock, image, now, course)
    is_whole = False
    for _ in range(_TURNS):
        seen = await stock.db.read(partial(_look_if_on, image=image, now=now))
        is_whole = seen is None or await running.follow(seen)
        if is_whole:
            break
    await stock.db.write(lambda tx: retention_facts.set_due(tx, image, Timestamp(now + stock.rules.retention_every)))
    return await running.report(is_whole=is_whole)


class _Running:
    """One run on its way."""

    def __init__(self, stock: Stock, image: ImageId, now: Timestamp, course: Course) -> None:
        self._stock = stock
        self._image = image
        self._now = now
        self._course = course
        self._pace = Pace()
        self._gone = course.checkpoint(_Gone) or _Gone()

    async def follow(self, seen: _Seen) -> bool:
        """Let go what the plan says; False where something changed: then plan anew."""
        seq, total = seen.facts.seq, self._gone.manifests + len(seen.plan.going)
        for part in _slices(seen.plan, self._pace):
            self._course.check()
            taken = await self._pace.write(self._stock.db, partial(self._take, seen=seen, part=part, seq=seq))
            if taken is None:
                return False
            seq, self._gone = taken.seq, taken.gone
            for verdict in part:
                self._course.say(f"{verdict.digest} ({', '.join(verdict.tags[:5]) or 'no tag'}): {verdict.text}")
            self._course.progress(self._gone.manifests, total)
        return True

    async def report(self, *, is_whole: bool) -> Ran:
        """Return what it did."""
        deletion, undo = self._gone.deletion, ""
        if deletion is not None:
            undo = await self._stock.db.read(lambda reader: deletions.public_id_of(reader, deletion))
        return Ran(self._gone.manifests, self._gone.tags, is_whole, undo)

    def _take(self, tx: Transaction, seen: _Seen, part: list[Verdict], seq: int) -> "_Taken | None":
        """Let one slice go; None where anything has changed that the plan was made of, and then nothing goes."""
        rows = [seen.facts.rows[verdict.digest] for verdict in part]
        if not _is_as_seen(tx, self._image, seen, rows, seq):
            return None
        by, seat = str(APPLIANCE.principal), images.find_seat(tx, self._image)
        deletion = self._record(tx, seat, by)
        about = About(registry=seat.registry, image=self._image)
        for verdict, row in zip(part, rows, strict=True):
            names = guard.drop_manifest(tx, self._image, row, by, self._now, "retention")
            if deletion is not None:
                deletions.add(tx, deletion, [(tag, verdict.digest) for tag in names], [row])
            detail = {"digest": verdict.digest, "tags": [*names], "reason": verdict.reason.value, "text": verdict.text}
            seq = activity.record(tx, "manifest.deleted", APPLIANCE, about, detail, self._now)
        gone = _Gone(
            self._gone.manifests + len(part), self._gone.tags + sum(len(verdict.tags) for verdict in part), deletion
        )
        self._course.keep_in(tx, gone)
        return _Taken(seq, gone)

    def _record(self, tx: Transaction, seat: Seat, by: str) -> DeletionId | None:
        """Return the deletion that the run is recorded as; None where nothing can come back."""
        if not self._stock.rules.recycle:
            return None
        begun = self._gone.deletion
        if begun is not None and deletions.renew(tx, begun, self._now):  # else it is undone already
            return begun
        what = Taken("retention", seat.registry, seat.repository, self._image, seat.path)
        return deletions.insert(tx, new_public_id(), what, by, self._now)


class _Taken(msgspec.Struct, frozen=True):
    """Where a slice left off: the newest record of the image, and what is gone so far."""

    seq: int
    gone: _Gone


def _is_as_seen(tx: Transaction, image: ImageId, seen: _Seen, rows: list[ManifestId], seq: int) -> bool:
    """Whether the image is as the plan saw it, but for what the run itself let go."""
    if not images.is_live(tx, image) or images.find_lock(tx, image) is not None:
        return False
    if retention_facts.newest_change(tx, image) != seq:
        return False
    pulls = retention_facts.last_pulls(tx, rows)
    if seen.policy.keep_pulled:
        return pulls == {row: seen.facts.pulls[row] for row in rows}
    return len(pulls) == len(rows)


def _look_if_on(reader: Reader, image: ImageId, now: Timestamp) -> _Seen | None:
    """Return the plan of the image's own policy; None where it is off, or the image gone."""
    if not images.is_live(reader, image):
        return None
    if not images.settings_of(reader, image).settings.policy.tag_deletion.is_on:
        return None
    return _look(reader, image, None, now)


def _look(reader: Reader, image: ImageId, policy: TagDeletion | None, now: Timestamp) -> _Seen:
    in_force = policy or images.settings_of(reader, image).settings.policy.tag_deletion
    facts = retention_facts.load(reader, image)
    held = images.find_lock(reader, image)
    return _Seen(in_force, facts, retention.plan(in_force, facts.candidates, now, held=held))


def _slices(plan: Plan, pace: Pace) -> Iterator[list[Verdict]]:
    """Yield what goes, whole units together, some digests at a time, as many as `pace` says then."""
    by_digest = {verdict.digest: verdict for verdict in plan.going}
    part: list[Verdict] = []
    for unit in plan.units:
        if part and len(part) + len(unit) > pace.size:
            yield part
            part = []
        part += [by_digest[digest] for digest in unit]
    if part:
        yield part


def count_reasons(verdicts: Iterable[Verdict]) -> dict[Reason, int]:
    """Return how many of `verdicts` have each reason."""
    counts: dict[Reason, int] = {}
    for verdict in verdicts:
        counts[verdict.reason] = counts.get(verdict.reason, 0) + 1
    return counts
