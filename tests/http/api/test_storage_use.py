"""The bytes of repositories: in every order, of small registries and of large ones."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from tests.bench.scale_data import Size, fill
from tests.make.client import Client
from tests.make.server import Server

JSON = {"Content-Type": "application/json"}
IMAGES = 1001  # one more than are measured at each look
SORTS = ("live", "shared", "untagged", "unfinished", "leaving")


class Use(msgspec.Struct, rename="camel"):
    """A repository and its bytes."""

    name: str
    live: int
    shared: int
    untagged: int
    unclaimed: int
    leaving: int
    staged: int
    measured_at: datetime | None

    @property
    def unfinished(self) -> int:
        """The bytes that are in no manifest."""
        return self.unclaimed + self.staged


class Uses(msgspec.Struct):
    """A page of them."""

    items: list[Use]
    next: str | None


class Job(msgspec.Struct):
    """A job that runs."""

    id: str
    state: str


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a registry that was measured by the job."""
    folder: Path = tmp_path_factory.mktemp("large")
    server = Server(folder, '[schedule]\nmeasure = ""\n')
    with server:
        pass
    fill(server.data, Size(IMAGES, manifests=2, tags=1))
    with server:
        with server.client() as client:
            job = client.request("POST", "/api/v1/jobs", b'{"kind":"measure"}', JSON).expect(202).decode(Job)
            while job.state in ("waiting", "running"):
                job = client.get(f"/api/v1/jobs/{job.id}?wait=10").expect(200).decode(Job)
        assert job.state == "done"
        yield server


def ask(client: Client, query: str) -> Uses:
    return client.get(f"/api/v1/storage/repositories?{query}").expect(200).decode(Uses)


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_of_a_large_registry_goes_page_by_page_by_what_was_measured(large: Server, sort: str) -> None:
    with large.client() as client:
        named = ask(client, "sort=name&limit=1000").items
        paged: dict[str, list[Use]] = {}
        for order in (sort, f"-{sort}"):
            page = ask(client, f"sort={order}&limit=4")
            paged[order] = page.items
            while page.next:
                page = ask(client, f"sort={order}&limit=4&cursor={page.next}")
                paged[order] += page.items

    assert len(named) == 11
    assert paged[sort] == sorted(named, key=lambda one: (getattr(one, sort), one.name))
    assert paged[f"-{sort}"] == paged[sort][::-1]
    assert all(one.measured_at for one in named)


def test_a_cursor_of_another_order_is_refused(large: Server) -> None:
    with large.client() as client:
        named = ask(client, "sort=name&limit=4").next

        client.get(f"/api/v1/storage/repositories?sort=live&cursor={named}").expect(400)


def test_what_was_pushed_since_is_told_with_the_next_measurement(large: Server) -> None:
    with large.client() as client:
        before = ask(client, "sort=-live&limit=1000").items
        client.start_upload("r00000/new")

        after = ask(client, "sort=-live&limit=1000").items

    assert after == before
