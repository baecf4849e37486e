"""Repositories, images and tags: list, show, delete."""

import msgspec
import pytest

from tests.http.api.conftest import Item, List, find, problem
from tests.make import images
from tests.make.client import Client

IMAGE = images.image([{"etc/motd": b"hello"}])


class _Image(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    path: str
    manifests: int
    tags: int
    size: int
    pulls: int
    locked: bool
    pushed_at: str
    last_pulled_at: str | None


class _Tag(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    path: str
    digest: str
    media_type: str
    size: int
    pushed_by: str


def test_an_image_is_found_by_path_and_shown_by_id(admin: Client) -> None:
    admin.push("show/api", IMAGE, "1", "2")

    image_id = find(admin, "images", "show/api")
    shown = admin.get(f"/api/v1/images/{image_id}").expect(200).decode(_Image)

    assert (shown.path, shown.manifests, shown.tags, shown.locked) == ("show/api", 1, 2, False)
    assert shown.size == sum(len(blob.data) for blob in IMAGE.blobs)
    assert shown.pushed_at.endswith("Z")
    assert (
        admin.get(f"/api/v1/repositories/{find(admin, 'repositories', 'show')}").expect(200).decode(Item).name == "show"
    )


def test_a_name_of_one_component_is_found_in_the_default_repository(admin: Client) -> None:
    admin.push("alpine", IMAGE, "3")

    assert find(admin, "images", "alpine") == find(admin, "images", "library/alpine")


def test_a_tag_is_found_by_its_path_and_shown_with_what_it_names(admin: Client) -> None:
    admin.push("tagged/api", IMAGE, "1.0")
    image_id = find(admin, "images", "tagged/api")

    shown = admin.get(f"/api/v1/images/{image_id}/tags/1.0").expect(200).decode(_Tag)

    assert (shown.path, shown.digest, shown.media_type) == ("tagged/api:1.0", IMAGE.digest, IMAGE.media_type)
    assert shown.pushed_by == "user:admin"
    assert [item.name for item in admin.get("/api/v1/tags?path=tagged/api:1.0").decode(List).items] == ["1.0"]
    assert admin.get("/api/v1/tags?path=tagged/api:2.0").expect(200).decode(List).items == []


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_of_any_size_make_up_the_whole_list(admin: Client, limit: int) -> None:
    names = [f"t{number}" for number in range(7)]
    admin.push("paged/api", IMAGE, *names)
    image_id = find(admin, "images", "paged/api")
    found: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        page = admin.get(f"/api/v1/images/{image_id}/tags?limit={limit}&cursor={cursor}").expect(200).decode(List)
        assert len(page.items) <= limit
        found += [item.name for item in page.items]
        cursor = page.next

    assert found == names


def test_lists_filter_by_a_part_of_the_name_and_by_repository(admin: Client) -> None:
    admin.push("filter/front", IMAGE, "1", "1-rc")
    admin.push("filter/back", IMAGE, "1")

    of_repository = admin.get("/api/v1/images?repository=filter").decode(List)
    named = admin.get("/api/v1/images?name=filter/b").decode(List)
    tags = admin.get("/api/v1/tags?path=filter/front&name=rc").decode(List)
    repositories = admin.get("/api/v1/repositories?name=ilte").decode(List)

    assert [item.path for item in of_repository.items] == ["filter/back", "filter/front"]
    assert [item.path for item in named.items] == ["filter/back"]
    assert [item.name for item in tags.items] == ["1-rc"]
    assert [item.name for item in repositories.items] == ["filter"]


def test_deleting_a_tag_leaves_its_manifest(admin: Client) -> None:
    admin.push("untag/api", IMAGE, "1", "2")
    image_id = find(admin, "images", "untag/api")

    admin.delete(f"/api/v1/images/{image_id}/tags/1").expect(204)

    assert admin.list_tags("untag/api") == ["2"]
    admin.get_manifest("untag/api", IMAGE.digest).expect(200)
    admin.delete(f"/api/v1/images/{image_id}/tags/1").expect(404)


def test_deleting_an_image_takes_it_away_and_leaves_its_repository(admin: Client) -> None:
    admin.push("gone/api", IMAGE, "1")
    image_id = find(admin, "images", "gone/api")

    admin.delete(f"/api/v1/images/{image_id}").expect(204)

    admin.get_manifest("gone/api", "1").expect(404)
    admin.get(f"/api/v1/images/{image_id}").expect(404)
    find(admin, "repositories", "gone")


def test_a_repository_goes_only_when_its_name_is_repeated(admin: Client) -> None:
    admin.push("precious/api", IMAGE, "1")
    repository_id = find(admin, "repositories", "precious")

    for query in ("", "?confirm=", "?confirm=Precious", "?confirm=preciou"):
        refused = admin.delete(f"/api/v1/repositories/{repository_id}{query}").expect(400)
        assert "confirm=precious" in problem(refused.body).detail
    admin.get_manifest("precious/api", "1").expect(200)
    admin.delete(f"/api/v1/repositories/{repository_id}?confirm=precious").expect(204)

    admin.get_manifest("precious/api", "1").expect(404)
    assert admin.get("/api/v1/repositories?path=precious").expect(200).decode(List).items == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/images?limit=0",
        "/api/v1/images?limit=1001",
        "/api/v1/images?limit=x",
        "/api/v1/images?cursor=%25",
        "/api/v1/images?cursor=_-8",
        "/api/v1/images?offset=3",
        "/api/v1/images?stock=1",
        "/api/v1/images?path=UPPER/x",
        "/api/v1/images?repository=a/b",
        "/api/v1/tags",
        "/api/v1/tags?path=pay/api:",
        "/api/v1/repositories?path=a/b",
    ],
)
def test_a_wrong_question_is_a_400_with_a_problem_document(admin: Client, path: str) -> None:
    reply = admin.get(path).expect(400)

    assert reply.headers["content-type"] == "application/problem+json"
    assert problem(reply.body).status == 400
    assert problem(reply.body).detail


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/images/nothing",
        "/api/v1/repositories/nothing",
        "/api/v1/tags?path=none/none",
        "/api/v1",
        "/api/v2/x",
    ],
)
def test_what_is_not_there_is_a_404_with_a_problem_document(admin: Client, path: str) -> None:
    reply = admin.get(path).expect(404)

    assert reply.headers["content-type"] == "application/problem+json"
    assert problem(reply.body).title == "Not Found"


def test_another_method_is_a_405_that_says_which_are_possible(admin: Client) -> None:
    reply = admin.request("PUT", "/api/v1/status", b"{}").expect(405)

    assert "GET" in reply.headers["allow"]
    assert problem(reply.body).status == 405
