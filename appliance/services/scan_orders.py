"""Who is scanned, and when: by hand, at a push where the image's policy says so, and again when a scan has grown old.

An order is a job of the kind `scan` for one manifest's digest, made in the transaction of what asks for it. An index
has nothing to scan itself: each of its platforms that is here is. One that covers a repository or a registry is a job
that orders the others, a slice at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

import msgspec

from appliance.db import activity, images, jobs, layers, manifests, scan_summaries, scan_targets, scans
from appliance.db.activity import About
from appliance.db.database import Reader, Transaction
from appliance.db.scan_targets import Target
from appliance.db.scans import ScanId, Standing
from appliance.db.side_file import SideFile
from appliance.domain import image_policy
from appliance.domain.admission import Caller, Grant
from appliance.domain.image_policy import Scanned, ScanState
from appliance.domain.job import Job, JobId
from appliance.domain.manifest import shape_of
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, RepositoryName
from appliance.domain.registry import ImageId, RegistryId
from appliance.services.course import Course
from appliance.services.delete import find_image
from appliance.services.ordering import unknown
from appliance.services.stock import Stock

KIND = "scan"
EVERYWHERE = "registry:"  # begins the subject of a job that orders scans of a registry's images
_SLICE = 200  # manifests looked at in one transaction
_PLATFORMS = 2000  # of one index, with those of the indexes it lists
_DEPTH = 8  # indexes within indexes

_policy_of = lru_cache(maxsize=256)(image_policy.from_json)  # by its text: images share few policies


class Refused(msgspec.Struct, frozen=True):
    """A digest that is not scanned, and why."""

    digest: Digest
    reason: str


class Ordered(msgspec.Struct, frozen=True):
    """What became of an order: which manifests wait for their scan now, in which jobs, and which do not."""

    digests: tuple[Digest, ...]
    jobs: tuple[str, ...]  # public ids
    refused: tuple[Refused, ...]


async def order_manifests(stock: Stock, grant: Grant, digests: Sequence[Digest], now: Timestamp) -> Ordered:
    """Let manifests of an image be scanned soon, each platform of an index. Raises NameUnknown."""

    def record(tx: Transaction) -> Ordered:
        image = find_image(tx, grant)
        targets: dict[Digest, Target] = {}
        refused: list[Refused] = []
        for digest in digests:
            found = list(list_targets(tx, image, digest))
            targets.update({target.digest: target for target in found})
            if not found:
                refused.append(Refused(digest, _why_not(tx, image, digest)))
        ordered = [ask(tx, target, now, str(grant.principal)) for target in targets.values()]
        if targets:
            about = About(registry=grant.image.registry, image=image)
            detail: activity.Detail = {"digests": [*targets], "scans": len(targets)}
            activity.record(tx, "image.scan_ordered", grant.caller, about, detail, now)
        public = [job.public_id for number in ordered if (job := jobs.find_by_id(tx, number)) is not None]
        return Ordered(tuple(targets), tuple(public), tuple(refused))

    return await stock.db.write(record)


async def order_wide(
    stock: Stock, caller: Caller, registry: RegistryId, repository: RepositoryName | None, now: Timestamp
) -> Job:
    """Let every image of a repository be scanned, or of the registry; return the job that orders it."""
    subject = f"{EVERYWHERE}{registry}" + (f"/{repository}" if repository else "")

    def record(tx: Transaction) -> Job:
        job = jobs.find_by_id(tx, jobs.enqueue(tx, KIND, subject, {}, now, by=str(caller.principal)))
        if job is None:
            raise unknown()
        about = About(registry=registry, subject=f"job:{job.public_id}")
        activity.record(tx, "job.ordered", caller, about, {"kind": KIND, "repository": repository or ""}, now)
        return job

    return await stock.db.write(record)


def note_push(tx: Transaction, image: ImageId, target: Target, body: bytes, now: Timestamp, by: str) -> bool:
    """Order the scan of a manifest that was just pushed, if its image wants that; return whether it does."""
    if not _policy_of(images.policy_of(tx, image)).scan.on_push or not shape_of(body).has_files:
        return False
    ask(tx, target, now, by)
    return True


def ask(tx: Transaction, target: Target, now: Timestamp, by: str) -> JobId:
    """Let a job scan the manifest. A complete scan counts until the next one is there."""
    known = scan_summaries.find(tx, target.manifest)
    if known is None or known.state is not ScanState.COMPLETE:
        scan_summaries.put(tx, target.manifest, Scanned(ScanState.QUEUED))
    return jobs.enqueue(tx, KIND, target.digest, {}, now, by=by)


def list_targets(reader: Reader, image: ImageId, digest: Digest) -> Iterator[Target]:
    """Yield what there is to scan of a manifest of `image`: itself, or the platforms of an index."""
    waiting, seen = [(digest, 0)], {digest}
    while waiting and len(seen) <= _PLATFORMS:
        digest, depth = waiting.pop()
        found = manifests.find_content(reader, image, digest)
        if found is None:
            continue
        shape = shape_of(found[1])
        if shape.has_files:
            yield Target(found[0], digest)
        elif depth < _DEPTH:
            children = [child for child in shape.children if child not in seen]
            seen.update(children)
            waiting += [(child, depth + 1) for child in children]


def _why_not(reader: Reader, image: ImageId, digest: Digest) -> str:
    if manifests.find_content(reader, image, digest) is None:
        return "there is no such manifest"
    return "it has no file system layers: there is nothing to scan"


async def spread(stock: Stock, subject: str, by: str, course: Course) -> int:
    """Order a scan of each manifest that `subject` covers; return how many. Run again, it orders none twice."""
    registry, _, repository = subject.removeprefix(EVERYWHERE).partition("/")
    count, last = 0, ("", b"")
    while True:

        def record(tx: Transaction, last: tuple[str, bytes] = last) -> tuple[int, tuple[str, bytes] | None]:
            found, then = scan_targets.list_page(tx, int(registry), repository, last, _SLICE)
            wanted = [one.target for one in found if shape_of(one.body).has_files]
            for target in wanted:
                ask(tx, target, stock.clock(), by)
            return len(wanted), then

        some, then = await stock.db.write(record)
        count += some
        if then is None:
            return count
        last = then
        course.check()


async def order_stale(stock: Stock, file: SideFile, is_stale: Callable[[Standing], bool], course: Course) -> int:
    """Order the scan of everything whose scan has grown old or failed; forget what nobody has any more.

    Returns how many were ordered.
    """
    count, after = await stock.db.write(partial(_ask_failed, now=stock.clock())), ScanId(0)
    while page := await file.read(partial(scans.list_digests, after=after, limit=_SLICE)):
        digests = [digest for _, digest in page]
        standings = await file.read(partial(scans.standings_of, digests=digests))
        gone = set(await stock.db.read(partial(scan_targets.list_gone, digests=digests)))
        old = [one for one, standing in standings.items() if one not in gone and is_stale(standing)]
        count += await stock.db.write(partial(_ask_again, digests=old, now=stock.clock()))
        for row, digest in page:
            if digest in gone:
                await file.write(partial(scans.drop, row=row))
        after = page[-1][0]
        course.check()
    while await file.write(partial(layers.drop_unused, limit=10)):
        course.check()
    return count


def _ask_failed(tx: Transaction, *, now: Timestamp) -> int:
    failed = scan_targets.list_failed(tx)
    for target in failed:
        ask(tx, target, now, "scheduler")
    return len(failed)


def _ask_again(tx: Transaction, *, digests: Sequence[Digest], now: Timestamp) -> int:
    for digest in digests:
        jobs.enqueue(tx, KIND, digest, {}, now, by="scheduler")
    return len(digests)
