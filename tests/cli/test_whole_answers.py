"""What `--json` prints of resources is all that the management API tells of them."""

import json

import pytest

from tests import make
from tests.cli.conftest import Scr
from tests.make.client import Client

INDEX = make.index([make.image([{"amd": b"1"}]), make.image([{"arm": b"1"}], platform="linux/arm64")])


@pytest.fixture(scope="module", autouse=True)
def pushed(server: make.Server) -> None:
    with server.client() as client:
        client.push("whole/api", INDEX, "1")
        client.push("whole/gone", INDEX, "1")
        client.delete(f"/v2/whole/gone/manifests/{INDEX.digest}").expect(202)


def fields(value: object) -> object:
    """Return the names of all fields in `value`, in all depths; of a list those of its first entry."""
    if isinstance(value, dict):
        return {name: fields(one) for name, one in value.items()}
    return [fields(value[0])] if isinstance(value, list) and value else None


def asked(client: Client, address: str) -> object:
    found = json.loads(client.get(address).expect(200).body)
    return found.get("items", found)


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("registry list", "/api/v1/registries"),
        ("repository list", "/api/v1/repositories"),
        ("image list", "/api/v1/images"),
        ("image show whole/api", "/api/v1/images/{image}"),
        ("tag list whole/api", "/api/v1/tags?path=whole/api"),
        ("tag history whole/api:1", "/api/v1/images/{image}/tags/1/history"),
        ("manifest list whole/api --tagged", "/api/v1/images/{image}/manifests?tagged=true"),
        ("manifest show whole/api:1", f"/api/v1/images/{{image}}/manifests/{INDEX.digest}"),
        ("manifest commands whole/api:1", f"/api/v1/images/{{image}}/manifests/{INDEX.digest}/commands?tag=1"),
        ("deletion list", "/api/v1/deletions"),
        ("job list --all", "/api/v1/jobs?limit=1000"),
    ],
)
def test_json_has_every_field_of_the_api(scr: Scr, client: Client, words: str, address: str) -> None:
    image = json.loads(scr("image", "list", "--name", "whole/api", "--json").expect(0).out)[0]["id"]

    printed = json.loads(scr(*words.split(), "--json").expect(0).out)

    assert fields(printed) == fields(asked(client, address.format(image=image)))


def test_the_size_of_a_tag_of_an_index_is_that_of_its_platforms(scr: Scr) -> None:
    tag = json.loads(scr("tag", "show", "whole/api:1", "--json").expect(0).out)
    manifest = json.loads(scr("manifest", "show", "whole/api:1", "--json").expect(0).out)

    assert tag["size"] == manifest["size"] == sum(one["size"] for one in manifest["platforms"]) > 0


def test_an_image_shows_all_that_is_told_of_it(scr: Scr) -> None:
    shown = scr("image", "show", "whole/api").expect(0).out.splitlines()
    policy = {line.split(" = ")[0].strip(): line.split(" = ")[1] for line in shown if line.startswith("  ")}

    assert [line.split()[0] for line in shown[:5]] == ["image", "id", "srn", "state", "description"]
    assert (policy["scan.on_push"], policy["pull_limit.high"], policy["tag_deletion.keep_patterns"]) == (
        "true",
        "1",
        "-",
    )
