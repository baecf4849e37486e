"""Which images tag deletion is due for, and the jobs that run it: one for each image, never two of one at once."""

from appliance.db import activity, images, jobs, retention_facts
from appliance.db.activity import About
from appliance.db.database import Reader, Transaction
from appliance.domain.admission import Grant
from appliance.domain.job import Job
from appliance.domain.moment import HOUR, Timestamp
from appliance.errors import Conflict
from appliance.services.delete import find_image
from appliance.services.ordering import unknown
from appliance.services.stock import Rules, Stock

KIND = "retention"
_AT_ONCE = 1000  # images ordered in one transaction; the others are due still at the next look


def has_due(reader: Reader, rules: Rules, now: Timestamp) -> bool:
    """Whether there is an image to order for, or one whose time was reckoned by a clock that was ahead."""
    return bool(retention_facts.list_due(reader, now, 1)) or retention_facts.has_beyond(reader, _latest(rules, now))


async def order_due(stock: Stock, now: Timestamp) -> int:
    """Order a job for each image that is due; return how many that are."""

    def record(tx: Transaction) -> int:
        retention_facts.mend_beyond(tx, _latest(stock.rules, now), Timestamp(now + stock.rules.retention_every))
        due = retention_facts.list_due(tx, now, _AT_ONCE)
        for one in due:
            jobs.enqueue(tx, KIND, one.public_id, {}, now, by="scheduler")
            retention_facts.set_due(tx, one.image, Timestamp(now + stock.rules.retention_every))
        return len(due)

    return await stock.db.write(record)


async def order_run(stock: Stock, grant: Grant, now: Timestamp) -> Job:
    """Let tag deletion of one image run soon; return the job. Raises NameUnknown, Conflict where its policy is off."""

    def record(tx: Transaction) -> Job:
        image = find_image(tx, grant)
        if not images.settings_of(tx, image).settings.policy.tag_deletion.is_on:
            raise Conflict(f"tag deletion of {grant.path} is off; enable it in the image's policy, with a rule")
        seat = images.find_seat(tx, image)
        job = jobs.find_by_id(tx, jobs.enqueue(tx, KIND, seat.public_id, {}, now, by=str(grant.principal)))
        if job is None:
            raise unknown()
        about = About(registry=grant.image.registry, image=image, subject=f"job:{job.public_id}")
        activity.record(tx, "job.ordered", grant.caller, about, {"kind": KIND, "path": str(grant.path)}, now)
        return job

    return await stock.db.write(record)


def _latest(rules: Rules, now: Timestamp) -> Timestamp:
    """Return the latest time that an image can be due at by a clock that is right."""
    return Timestamp(now + max(rules.retention_first, rules.retention_every) + HOUR)
