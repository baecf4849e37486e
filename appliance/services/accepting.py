"""Accepts findings: somebody's word, with a reason and perhaps an end, that a vulnerability does not count somewhere.

What the pull limit reads is made anew by a job, at once and when an acceptance ends.
"""

from collections.abc import Collection
from functools import partial

import msgspec

from appliance.db import acceptances, activity, jobs, scans
from appliance.db.activity import About
from appliance.db.database import Transaction
from appliance.db.side_file import SideFile
from appliance.domain.admission import Caller
from appliance.domain.exclusion import Acceptance
from appliance.domain.moment import LAST, Timestamp
from appliance.domain.registry import ImageId, RegistryId, RepositoryId
from appliance.errors import QueryInvalid
from appliance.services.course import Course
from appliance.services.scan_orders import KIND
from appliance.services.scan_results import summarise_in
from appliance.services.stock import Stock, new_public_id

ABOUT = "accepted:"  # begins the subject of a job that tells the pull limit what is accepted of an id
_ALL = "*"  # stands for every id in such a subject
_FEW = 20  # ids that get a job each: each of these reads only the scans that have its id
_LONGEST = 200  # characters of an id or a package's name
_REASON = 2000  # characters


class Scope(msgspec.Struct, frozen=True):
    """Where something is accepted: everywhere, or in a registry, a repository, an image."""

    registry: RegistryId | None = None
    repository: RepositoryId | None = None
    image: ImageId | None = None


class Wish(msgspec.Struct, frozen=True):
    """What is to be accepted."""

    vulnerability: str
    package: str
    reason: str
    expires_at: Timestamp | None


async def accept(stock: Stock, caller: Caller, scope: Scope, wish: Wish, now: Timestamp) -> Acceptance:
    """Let a vulnerability not count in `scope`. Raises QueryInvalid."""
    _check(wish, now)
    made = Acceptance(
        new_public_id(),
        wish.vulnerability.strip().upper(),
        wish.package,
        scope.registry,
        scope.repository,
        scope.image,
        wish.reason.strip(),
        now,
        str(caller.principal),
        wish.expires_at,
    )

    def record(tx: Transaction) -> None:
        acceptances.insert(tx, made)
        _note(tx, "finding.accepted", caller, made, now)
        if made.expires_at is not None:
            _tell(tx, f"{made.vulnerability}@{made.public_id}", now, made.expires_at)

    await stock.db.write(record)
    return made


async def reopen(stock: Stock, caller: Caller, one: Acceptance, now: Timestamp) -> None:
    """Let what was accepted count again."""

    def record(tx: Transaction) -> None:
        acceptances.delete(tx, one.public_id)
        _note(tx, "finding.reopened", caller, one, now)

    await stock.db.write(record)


def tell_many(tx: Transaction, vulnerabilities: Collection[str], now: Timestamp) -> None:
    """Let the pull limit be told soon what is accepted of these; of many at once by one job that looks at all scans."""
    for one in vulnerabilities if len(vulnerabilities) <= _FEW else (_ALL,):
        _tell(tx, one, now, now)


async def tell(stock: Stock, file: SideFile, subject: str, course: Course) -> int:
    """Tell the pull limit anew what scans came to that have the vulnerability of `subject`; return how many."""
    vulnerability = subject.removeprefix(ABOUT).partition("@")[0]
    wanted = None if vulnerability == _ALL else vulnerability
    rows = await file.read(lambda reader: scans.list_with(reader, wanted))
    for number, row in enumerate(rows):
        course.check()
        course.progress(number, len(rows))
        async with stock.telling:
            scan = await file.read(partial(scans.load, row=row))
            if scan is not None:
                await stock.db.write(partial(summarise_in, scan=scan, now=stock.clock()))
    return len(rows)


def _check(wish: Wish, now: Timestamp) -> None:
    if not 0 < len(wish.vulnerability.strip()) <= _LONGEST or len(wish.package) > _LONGEST:
        raise QueryInvalid("name the vulnerability by its id, as CVE-2026-1234, and perhaps one package")
    if not 0 < len(wish.reason.strip()) <= _REASON:
        raise QueryInvalid(f"say why it is accepted, in up to {_REASON} characters")
    if wish.expires_at is not None and wish.expires_at <= now:
        raise QueryInvalid("the time until which it is accepted is over already")
    if wish.expires_at is not None and wish.expires_at >= LAST:
        raise QueryInvalid("a time until which it is accepted lies before 2200; name none to accept it for good")


def _note(tx: Transaction, kind: str, caller: Caller, one: Acceptance, now: Timestamp) -> None:
    about = About(
        registry=one.registry or 0,
        repository=one.repository or 0,
        image=one.image or 0,
        subject=f"finding:{one.public_id}",
    )
    detail: activity.Detail = {
        "vulnerability": one.vulnerability,
        "package": one.package,
        "reason": one.reason,
        "expires_at": one.expires_at,
    }
    activity.record(tx, kind, caller, about, detail, now)
    _tell(tx, one.vulnerability, now, now)


def _tell(tx: Transaction, subject: str, now: Timestamp, at: Timestamp) -> None:
    jobs.enqueue(tx, KIND, f"{ABOUT}{subject}", {}, now, by="scheduler", not_before=at)
