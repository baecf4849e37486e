"""Deletion jobs: due when the recycle time is over, called off by a restore; what gives up shows as a state."""

import pytest

from appliance.db import jobs, registries, repositories
from appliance.db.database import Transaction
from appliance.domain.job import Job, JobState
from appliance.domain.moment import DAY, HOUR, Timestamp
from appliance.domain.names import RepositoryName
from appliance.domain.registry import (
    Registry,
    RegistryState,
    Repository,
    RepositoryState,
    StoreState,
    repository_state,
    state_of,
)
from appliance.errors import Conflict
from appliance.services import collect, deletion, terminate
from appliance.services.course import UNFOLLOWED
from appliance.services.delete import delete_repository
from tests import make
from tests.services.conftest import House
from tests.services.test_registries import CALLER, create, fill
from tests.services.test_repositories import arrange_one, grant

pytestmark = pytest.mark.anyio
IMAGE = make.image([{"etc/motd": b"of the till"}])


def find_job(house: House, kind: str, subject: str) -> Job | None:
    return jobs.find_alive(house.stock.db.reader, kind, subject)


async def give_up(house: House, kind: str) -> None:
    """Let the job of that kind fail for good."""

    def fail(tx: Transaction) -> None:
        for job in jobs.claim(tx, kind, 10, Timestamp(house.now + 2 * DAY)):
            jobs.finish(tx, job.id, JobState.FAILED, Timestamp(house.now), reason="the disk failed")

    await house.stock.db.write(fail)


@pytest.mark.parametrize("purge", [False, True])
async def test_a_job_is_due_when_the_recycle_time_is_over(house: House, purge: bool) -> None:  # noqa: FBT001
    registry = await create(house, "till")
    await arrange_one(house, "pay")

    await terminate.delete_registry(house.stock, CALLER, registry.id, Timestamp(house.now), purge=purge)
    await delete_repository(house.stock, grant(house, "pay"), RepositoryName("pay"), Timestamp(house.now), purge=purge)

    rows = house.stock.db.reader.rows("SELECT kind, not_before, created_by FROM jobs ORDER BY kind")
    due = house.now if purge else house.now + DAY
    assert rows == [(kind, due, "local:local") for kind in sorted(deletion.KINDS)]


async def test_a_restore_calls_the_job_off(house: House) -> None:
    registry = await create(house, "till")
    await terminate.delete_registry(house.stock, CALLER, registry.id, Timestamp(house.now))

    await terminate.restore_registry(house.stock, CALLER, registry.id, Timestamp(house.now))

    assert find_job(house, deletion.REGISTRY, registry.public_id) is None


async def test_the_job_lets_go_and_orders_a_collection(house: House) -> None:
    registry = await create(house, "till")
    await fill(house, registry, IMAGE)
    await terminate.delete_registry(house.stock, CALLER, registry.id, Timestamp(house.now), force=True)
    assert await collect.let_go(house.stock, UNFOLLOWED) == 0

    house.now += DAY + HOUR
    assert await collect.let_go(house.stock, UNFOLLOWED) == 2  # the repository and its image
    assert await collect.let_go(house.stock, UNFOLLOWED) == 0

    assert find_job(house, "gc", "") is not None
    with pytest.raises(Conflict, match="its data is going"):
        await terminate.restore_registry(house.stock, CALLER, registry.id, Timestamp(house.now))
    await house.collect()
    assert registries.get(house.stock.db.reader, registry.id) is None


async def test_what_gives_up_is_told_and_may_be_asked_for_again(house: House) -> None:
    registry = await create(house, "till")
    await terminate.delete_registry(house.stock, CALLER, registry.id, Timestamp(house.now))
    with pytest.raises(Conflict, match="is deleted already"):
        await terminate.try_deletion_again(house.stock, deletion.REGISTRY, registry.public_id, "registry till")
    await give_up(house, deletion.REGISTRY)
    assert deletion.list_failed(house.stock.db.reader, deletion.REGISTRY) == {registry.public_id}

    await terminate.try_deletion_again(house.stock, deletion.REGISTRY, registry.public_id, "registry till")

    assert deletion.list_failed(house.stock.db.reader, deletion.REGISTRY) == frozenset()
    assert find_job(house, deletion.REGISTRY, registry.public_id) is not None


async def test_the_state_of_a_registry_is_told_from_facts(house: House) -> None:
    registry = await create(house, "till")

    def state(one: Registry, store: StoreState = StoreState.WELL, **facts: bool) -> RegistryState:
        return state_of(one, store, is_editing=facts.get("editing", False), has_failed=facts.get("failed", False))

    assert state(registry) is RegistryState.RUNNING
    assert state(registry, editing=True) is RegistryState.EDITING
    assert state(registry, StoreState.FAILED) is RegistryState.ERROR
    assert state(registry, StoreState.SILENT) is RegistryState.UNKNOWN
    await house.stock.db.write(lambda tx: tx.execute("UPDATE registries SET ready_at = NULL WHERE name = 'till'"))
    making = registries.get(house.stock.db.reader, registry.id)
    assert making is not None
    assert state(making, StoreState.FAILED) is RegistryState.CREATING
    await terminate.delete_registry(house.stock, CALLER, registry.id, Timestamp(house.now))
    removed = registries.get(house.stock.db.reader, registry.id)
    assert removed is not None
    assert state(removed) is RegistryState.TERMINATING
    assert state(removed, failed=True) is RegistryState.ERROR


async def test_the_state_of_a_repository_is_told_from_facts(house: House) -> None:
    repository = await arrange_one(house, "pay")

    def state(one: Repository, **facts: bool) -> RepositoryState:
        return repository_state(one, is_editing=facts.get("editing", False), has_failed=facts.get("failed", False))

    assert state(repository) is RepositoryState.ACTIVE
    assert state(repository, editing=True) is RepositoryState.EDITING
    await delete_repository(house.stock, grant(house, "pay"), repository.name, Timestamp(house.now))
    removed = repositories.get(house.stock.db.reader, repository.id)
    assert removed is not None
    assert state(removed) is RepositoryState.DELETING
    assert state(removed, failed=True) is RepositoryState.INACTIVE
