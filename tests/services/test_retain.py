"""Tag deletion at work: the test predicts the run, and nothing that happens meanwhile is run over."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.db import deletions, retention_facts
from appliance.db.database import Transaction
from appliance.domain.image_policy import TagDeletion
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.names import Digest, RepositoryName, Tag
from appliance.domain.policy_edit import PolicyEdit, TagDeletionEdit
from appliance.domain.registry import ImageId
from appliance.domain.retention import Reason
from appliance.domain.revision import ANY
from appliance.errors import Conflict, NameUnknown
from appliance.services import delete, pace, retain, retention_orders, simulate, tagging, undo
from appliance.services.amend import ImageEdit, edit_image
from appliance.services.course import UNFOLLOWED
from appliance.services.retain import Ran
from tests import make
from tests.services.conftest import House

pytestmark = pytest.mark.anyio
T = TypeVar("T")
NAME = "pay/api"


def image(number: int) -> make.Manifest:
    return make.image([{"shared": b"s"}, {"n": str(number).encode()}])


def signature(subject: make.Manifest) -> make.Manifest:
    return make.artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"sig", subject=subject)


async def switch_on(house: House, **rules: object) -> None:
    order = TagDeletionEdit(enabled=True, **rules)  # type: ignore[arg-type]  # the test's own fields
    grant, now = house.grant(NAME), Timestamp(house.now)
    await edit_image(house.stock, grant, ImageEdit(policy=PolicyEdit(tag_deletion=order)), ANY, now)


async def run(house: House) -> Ran:
    return await retain.run(house.stock, house.image_id(NAME), Timestamp(house.now))


async def look(house: House, policy: TagDeletion | None = None) -> dict[str, Reason]:
    found = await retain.preview(house.stock, house.image(NAME), policy, Timestamp(house.now))
    return {verdict.digest: verdict.reason for verdict in found.plan.going}


def digests(house: House) -> set[str]:
    """Return the live digests of the image."""
    facts = retention_facts.load(house.stock.db.reader, house.image_id(NAME))
    return {one.digest for one in facts.candidates}


async def test_a_run_takes_what_the_test_listed_and_nothing_else(house: House) -> None:
    index = make.index([image(1), make.image([{"arm": b"1"}], platform="linux/arm64")])
    await house.push(NAME, index, "1", "also-1")
    await house.push(NAME, signature(index))
    await house.push(NAME, image(2), "2")
    house.now += 40 * DAY
    await house.push(NAME, image(3), "3")
    await switch_on(house, old=True, old_days=30, keep_patterns=("2",))
    before, listed = digests(house), await look(house)

    done = await run(house)

    assert set(listed) == {index.digest, signature(index).digest, *(child.digest for child in index.children)}
    assert digests(house) == before - set(listed)
    assert (done.manifests, done.tags, done.is_whole) == (4, 2, True)
    assert house.tags(NAME) == {"2": image(2).digest, "3": image(3).digest}
    assert await look(house) == {}


async def test_a_test_changes_nothing_and_needs_no_saved_policy(house: House) -> None:
    await house.push(NAME, image(1), "1")
    house.now += 40 * DAY
    before = house.count("activity")

    listed = await look(house, TagDeletion(old=True, old_days=30))

    assert listed == {image(1).digest: Reason.OLD}
    assert house.tags(NAME) == {"1": image(1).digest}
    assert house.count("activity") == before
    with pytest.raises(NameUnknown):
        await retain.preview(house.stock, house.image("none/none"), None, Timestamp(house.now))


async def test_a_test_tells_the_bytes_that_nothing_else_needs(house: House) -> None:
    await house.push(NAME, image(1), "1")
    house.now += 40 * DAY
    await house.push(NAME, image(2), "2")

    found = await retain.preview(
        house.stock, house.image(NAME), TagDeletion(old=True, old_days=30), Timestamp(house.now)
    )

    config, _, own = image(1).blobs
    assert found.freed == len(config.data) + len(own.data)


async def test_a_policy_that_is_off_lets_nothing_go(house: House) -> None:
    await house.push(NAME, image(1), "1")
    await switch_on(house, old=True, old_days=1)
    await edit_image(
        house.stock,
        house.grant(NAME),
        ImageEdit(policy=PolicyEdit(tag_deletion=TagDeletionEdit(enabled=False))),
        ANY,
        Timestamp(house.now),
    )
    house.now += 40 * DAY

    assert await run(house) == Ran()
    assert house.tags(NAME) == {"1": image(1).digest}


async def test_what_went_comes_back_by_one_undo(house: House) -> None:
    for number in range(150):
        await house.put(NAME, make.index([], annotations={"n": str(number)}), f"t{number}")
    house.now += 40 * DAY
    await switch_on(house, old=True, old_days=30)
    before = house.tags(NAME)

    done = await run(house)
    deletion = deletions.find(house.stock.db.reader, done.undo)
    assert deletion is not None
    assert (deletion.kind, deletion.manifests, deletion.tags) == ("retention", 150, 150)
    assert house.tags(NAME) == {}
    await bring_back(house, done.undo)

    assert house.tags(NAME) == before


async def test_the_bytes_go_after_the_recycle_time(house: House) -> None:
    await house.push(NAME, image(1), "1")
    house.now += 40 * DAY
    await switch_on(house, old=True, old_days=30)

    await run(house)
    await house.collect(after=2 * DAY)

    assert house.lying() == []


async def test_every_deletion_is_activity_with_its_reason(house: House) -> None:
    await house.push(NAME, image(1), "1")
    house.now += 40 * DAY
    await switch_on(house, old=True, old_days=30)

    await run(house)

    row = house.stock.db.reader.one("SELECT principal, detail FROM activity WHERE kind = 'manifest.deleted'")
    assert row is not None
    assert row[0] == "appliance:retention"
    assert '"reason":"old","text":"it was pushed 40 days ago, 30 are the most"' in row[1]
    history = house.stock.db.reader.one("SELECT reason, ended_by FROM tag_history")
    assert history == ("retention", "appliance:retention")


async def before_each_write(house: House, number: int, act: Callable[[], Awaitable[None]]) -> None:
    """Do `act` before the `number`th write from now on."""
    write, count = house.stock.db.write, 0

    async def interrupted(function: Callable[[Transaction], T]) -> T:
        nonlocal count
        count += 1
        if count == number:
            house.stock.db.write = write  # type: ignore[method-assign]  # `act` writes, too
            await act()
        return await write(function)

    house.stock.db.write = interrupted  # type: ignore[method-assign]  # a double


async def lock_tag(house: House) -> None:
    await tagging.lock_tag(house.stock, house.grant(NAME), Tag("1"), Timestamp(house.now), locked=True)


async def lock_image(house: House) -> None:
    await edit_image(house.stock, house.grant(NAME), ImageEdit(locked=True), ANY, Timestamp(house.now))


async def lock_repository(house: House) -> None:
    await house.stock.db.write(lambda tx: tx.execute("UPDATE repositories SET locked = 1"))


async def keep_it(house: House) -> None:
    await switch_on(house, keep_patterns=("1",))


async def name_it_in_an_index(house: House) -> None:
    await house.put(NAME, make.index([image(1)]), "index")


async def tag_it_to_keep(house: House) -> None:
    await house.put(NAME, image(1), "keep-me")


async def pull_it(house: House) -> None:
    await house.stock.db.write(lambda tx: tx.execute("UPDATE manifests SET last_pulled_at = ?", (house.now,)))


@pytest.mark.parametrize(
    "act",
    [lock_tag, lock_image, lock_repository, keep_it, name_it_in_an_index, tag_it_to_keep, pull_it],
    ids=lambda act: str(act.__name__),
)
async def test_what_happens_between_plan_and_deletion_counts(
    house: House, act: Callable[[House], Awaitable[None]]
) -> None:
    await house.push(NAME, image(1), "1")
    house.now += 40 * DAY
    await switch_on(house, old=True, old_days=30, keep_patterns=("keep-*",), keep_pulled=True, keep_pulled_days=7)
    assert await look(house) == {image(1).digest: Reason.OLD}
    await before_each_write(house, 1, lambda: act(house))

    done = await run(house)

    assert done.manifests == 0
    await house.assert_whole(NAME, image(1))
    assert house.tags(NAME)["1"] == image(1).digest


async def test_a_push_meanwhile_is_planned_with(house: House) -> None:
    await house.push(NAME, image(1), "1")
    await house.push(NAME, image(2), "2")
    house.now += 2 * DAY
    await switch_on(house, count=True, keep_newest=2)

    async def push() -> None:
        await house.push(NAME, image(3), "3")

    await before_each_write(house, 1, push)
    assert (await run(house)).manifests == 0  # nothing was to go when it looked
    done = await run(house)

    assert done.manifests == 1
    assert set(house.tags(NAME)) == {"2", "3"}


async def test_an_image_deleted_meanwhile_ends_the_run(house: House) -> None:
    await house.push(NAME, image(1), "1")
    house.now += 40 * DAY
    await switch_on(house, old=True, old_days=30)
    number = house.image_id(NAME)

    async def delete_all() -> None:
        await delete.delete_repository(house.stock, house.grant(NAME), RepositoryName("pay"), Timestamp(house.now))

    await before_each_write(house, 1, delete_all)

    assert (await retain.run(house.stock, number, Timestamp(house.now))).manifests == 0
    assert await retain.run(house.stock, ImageId(4711), Timestamp(house.now)) == Ran()


async def bring_back(house: House, public_id: str) -> int:
    """Undo a deletion; return how many tags came back."""
    deletion = deletions.find(house.stock.db.reader, public_id)
    assert deletion is not None
    return (await undo.undo(house.stock, house.grant(NAME).caller, deletion, Timestamp(house.now))).tags


class Asked(Exception):
    """Stands for the scheduler's Cancelled."""


class CutOff:
    """A course that is asked to end after some slices; the next attempt finds what it kept."""

    def __init__(self, slices: int) -> None:
        self.left = slices
        self.kept: object = None
        self.said: list[str] = []
        self.far = (0, 0)

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, done: int, total: int) -> None:
        self.far = (done, total)

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Asked

    def checkpoint(self, shape: type[T]) -> T | None:
        assert self.kept is None or isinstance(self.kept, shape)
        return self.kept

    def keep_in(self, tx: Transaction, checkpoint: object) -> None:
        del tx
        self.kept = checkpoint


async def test_an_attempt_after_an_interruption_counts_and_undoes_what_went_before(house: House) -> None:
    for number in range(250):
        await house.put(NAME, make.index([], annotations={"n": str(number)}), f"t{number}")
    house.now += 40 * DAY
    await switch_on(house, old=True, old_days=30)
    course = CutOff(2)
    with pytest.raises(Asked):
        await retain.run(house.stock, house.image_id(NAME), Timestamp(house.now), course)
    house.now += 2 * DAY
    course.left = 250

    done = await retain.run(house.stock, house.image_id(NAME), Timestamp(house.now), course)
    recorded = house.stock.db.reader.one("SELECT count(*), sum(tags), max(deleted_at) FROM deletions")
    undone = await bring_back(house, done.undo)

    assert (done.manifests, done.tags, course.far) == (250, 250, (250, 250))
    assert recorded == (1, 250, house.now)  # it can be undone as long as its last part
    assert undone == 250


async def test_a_run_that_is_undone_in_its_midst_ends_as_a_deletion_of_its_own(house: House) -> None:
    for number in range(150):
        await house.put(NAME, make.index([], annotations={"n": str(number)}), f"t{number:03}")
    house.now += 40 * DAY
    await switch_on(house, old=True, old_days=30)

    async def undo_it() -> None:
        begun = house.stock.db.reader.one("SELECT public_id FROM deletions")
        assert begun is not None
        assert await bring_back(house, begun[0]) == pace.FIRST

    await before_each_write(house, 2, undo_it)
    done = await run(house)

    assert digests(house) == set()
    assert await bring_back(house, done.undo) == 150


async def test_a_run_that_was_called_off_goes_on_where_it_was(house: House) -> None:
    for number in range(250):
        await house.put(NAME, make.index([], annotations={"n": str(number)}), f"t{number}")
    house.now += 40 * DAY
    await switch_on(house, old=True, old_days=30)
    course = CutOff(1)

    with pytest.raises(Asked):
        await retain.run(house.stock, house.image_id(NAME), Timestamp(house.now), course)
    left = len(digests(house))
    done = await run(house)

    assert (course.far, len(course.said), left) == ((pace.FIRST, 250), pace.FIRST, 250 - pace.FIRST)
    assert "it was pushed 40 days ago" in course.said[0]
    assert (done.manifests, done.is_whole) == (250 - pace.FIRST, True)
    assert digests(house) == set()


async def test_each_image_that_is_due_gets_a_job_once(house: House) -> None:
    await house.push(NAME, image(1), "1")
    await switch_on(house, old=True, old_days=1)
    assert await retention_orders.order_due(house.stock, Timestamp(house.now)) == 0
    house.now += 3 * DAY

    ordered = [await retention_orders.order_due(house.stock, Timestamp(house.now)) for _ in range(2)]
    job = house.stock.db.reader.one("SELECT kind, subject FROM jobs WHERE kind <> 'scan'")
    assert job is not None
    done = await retain.run_job(house.stock, job[1], Timestamp(house.now), UNFOLLOWED)

    assert ordered == [1, 0]
    assert (job[0], done.manifests) == ("retention", 1)
    assert await retain.run_job(house.stock, "gone", Timestamp(house.now), UNFOLLOWED) == Ran()


async def test_a_time_that_a_wrong_clock_has_set_is_mended(house: House) -> None:
    await house.push(NAME, image(1), "1")
    house.now += 365 * DAY
    await switch_on(house, old=True, old_days=30)
    house.now -= 365 * DAY
    reader, rules = house.stock.db.reader, house.stock.rules
    assert retention_orders.has_due(reader, rules, Timestamp(house.now))

    await retention_orders.order_due(house.stock, Timestamp(house.now))

    assert retention_facts.next_due(reader) == house.now + DAY
    assert not retention_orders.has_due(reader, rules, Timestamp(house.now))


async def test_a_run_is_ordered_by_hand_only_where_the_policy_is_on(house: House) -> None:
    await house.push(NAME, image(1), "1")
    grant, now = house.grant(NAME), Timestamp(house.now)
    with pytest.raises(Conflict, match="tag deletion of pay/api is off"):
        await retention_orders.order_run(house.stock, grant, now)
    await switch_on(house, old=True, old_days=1)

    job = await retention_orders.order_run(house.stock, grant, now)

    assert (job.kind, job.created_by) == ("retention", "local:local")


async def test_it_is_due_within_three_days_and_then_every_day(house: House) -> None:
    await house.push(NAME, image(1), "1")
    await house.push("pay/other", image(1), "1")
    await switch_on(house, old=True, old_days=30)
    reader = house.stock.db.reader

    assert retention_facts.list_due(reader, Timestamp(house.now), 10) == []
    house.now += 3 * DAY
    due = retention_facts.list_due(reader, Timestamp(house.now), 10)
    await run(house)
    later = retention_facts.next_due(reader)

    assert [one.image for one in due] == [house.image_id(NAME)]
    assert later == house.now + DAY
    assert retention_facts.list_due(reader, Timestamp(house.now), 10) == []


async def test_a_new_image_is_due_by_the_template_it_is_born_with(house: House) -> None:
    await house.push("pay/first", image(1), "1")
    template = '{"tagDeletion":{"enabled":true,"old":true}}'
    await house.stock.db.write(lambda tx: tx.execute("UPDATE repositories SET policy = ?", (template,)))

    await house.push(NAME, image(1), "1")

    due = retention_facts.list_due(house.stock.db.reader, Timestamp(house.now + 3 * DAY), 10)
    assert [one.image for one in due] == [house.image_id(NAME)]


async def test_a_simulation_over_the_past_says_what_would_be_here(house: House) -> None:
    for number in range(10):
        await house.push(NAME, image(number), f"v{number}", "latest")
        house.now += 10 * DAY

    found = await simulate.simulate(
        house.stock, house.image(NAME), TagDeletion(old=True, old_days=25), Timestamp(house.now)
    )

    assert (found.tags, found.kept_tags, found.manifests, found.kept_manifests) == (11, 3, 10, 2)
    assert found.freed > 0
    assert found.step == DAY
    assert (found.course[-1].tags, found.course[-1].kept_tags) == (11, 3)
    assert len(house.tags(NAME)) == 11


async def test_a_simulation_takes_what_was_without_a_tag_when_it_ran(house: House) -> None:
    await house.push(NAME, image(1), "latest")
    house.now += 10 * DAY
    await house.push(NAME, image(2), "latest")
    house.now += 30 * DAY
    await tagging.point_tag(house.stock, house.grant(NAME), Tag("back"), Digest(image(1).digest), Timestamp(house.now))
    house.now += HOUR
    policy = TagDeletion(untagged=True, untagged_days=20)

    found = await simulate.simulate(house.stock, house.image(NAME), policy, Timestamp(house.now))

    assert await look(house, policy) == {}
    assert (found.kept_manifests, found.kept_tags, found.tags) == (1, 1, 2)


_STEP = st.one_of(
    st.tuples(st.just("push"), st.integers(0, 4), st.sampled_from(["a", "b", "c", None])),
    st.tuples(st.just("sign"), st.integers(0, 4), st.none()),
    st.tuples(st.just("index"), st.integers(0, 4), st.sampled_from(["a", "i", None])),
    st.tuples(st.just("lock"), st.integers(0, 0), st.sampled_from(["a", "b", "c", "i"])),
    st.tuples(st.just("wait"), st.integers(0, 30), st.none()),
)


@given(
    st.lists(_STEP, max_size=12),
    st.builds(
        dict,
        untagged=st.booleans(),
        untagged_days=st.integers(1, 20),
        old=st.booleans(),
        old_days=st.integers(1, 20),
        count=st.booleans(),
        keep_newest=st.integers(1, 4),
        keep_patterns=st.sampled_from([(), ("a",)]),
    ),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_test_always_predicts_the_run(
    house: House, steps: list[tuple[str, int, str | None]], rules: dict[str, object]
) -> None:
    async def act(what: str, number: int, tag: str | None) -> None:
        names = [tag] if tag else []
        if what == "push":
            await house.push(NAME, image(number), *names)
        elif what == "sign":
            await house.push(NAME, signature(image(number)))
        elif what == "index":
            await house.push(NAME, make.index([image(number), image((number + 1) % 5)]), *names)
        elif what == "lock" and tag in house.tags(NAME):
            grant, now = house.grant(NAME), Timestamp(house.now)
            await tagging.lock_tag(house.stock, grant, Tag(tag or ""), now, locked=True)
        else:
            house.now += number * DAY

    await house.push(NAME, image(9), "first")
    for what, number, tag in steps:
        if what in ("push", "index") and tag is not None and is_locked(house, tag):
            continue
        await act(what, number, tag)
    await switch_on(house, **rules)
    before, listed = digests(house), await look(house)

    done = await run(house)

    assert digests(house) == before - set(listed)
    assert done.manifests == len(listed)
    await delete_everything(house)


def is_locked(house: House, tag: str) -> bool:
    row = house.stock.db.reader.one(
        "SELECT locked FROM tags WHERE image_id = ? AND name = ?", (house.image_id(NAME), tag)
    )
    return bool(row and row[0])


async def delete_everything(house: House) -> None:
    """Leave the house empty for the next example."""
    await house.stock.db.write(lambda tx: tx.execute("UPDATE tags SET locked = 0"))
    await delete.delete_image(house.stock, house.grant(NAME), Timestamp(house.now), purge=True)
    await house.collect(after=2 * DAY)
