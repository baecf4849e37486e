"""The pages of images: found, shown, edited in place, deleted."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from tests import make
from tests.http.ui.asking import ask, send
from tests.http.ui.test_repositories import NUMBERS, create, etag
from tests.make.client import Client
from tests.make.server import Server

IMAGE, OTHER = make.image([{"etc/motd": b"hello"}]), make.image([{"etc/motd": b"other"}])


def place_of(server: Server, path: str, registry: str = "local") -> str:
    """Return the address of the page of the image at `path`."""
    listed = ask(server, f"/images?registry={registry}&repository={path.partition('/')[0]}&name={path}").text
    found = re.search(r'href="(/images/[a-z0-9]+)">' + re.escape(path) + "<", listed)
    assert found is not None, listed
    return found[1]


def test_an_image_is_listed_once_it_is_pushed_and_shown_with_its_policy(server: Server, client: Client) -> None:
    create(server, "shop", refuse_high="on", high="4")
    client.push("shop/api", IMAGE, "1", "2")
    client.get_manifest("shop/api", "1")

    place = place_of(server, "shop/api")
    shown = ask(server, place).text

    assert "Refused at 4 or more High vulnerabilities." in shown
    assert "The template of the repository says" not in shown
    assert f"docker pull {server.address}/shop/api:" in shown
    assert "image.pushed" in ask(server, f"{place}/activity").text


@pytest.mark.parametrize(
    ("section", "fields", "told"),
    [
        ("scan", {"exclude_severity": "low"}, "Vulnerabilities of the level Low and below are left out."),
        ("pull-limit", {**NUMBERS, "refuse_unscanned": "on"}, "What was not scanned is refused."),
        ("tag-deletion", {**NUMBERS, "count": "on", "keep_newest": "9"}, "The newest 9 digests stay"),
    ],
)
def test_each_section_is_edited_in_its_place_with_the_template_beside_it(
    server: Server, client: Client, section: str, fields: dict[str, str], told: str
) -> None:
    client.push(f"policy-{section}/api", IMAGE, "1")
    place = place_of(server, f"policy-{section}/api")

    saved = send(server, f"{place}/edit/{section}", etag=etag(server, place), **fields)

    shown = ask(server, place).text
    assert (saved.status, saved.headers["location"]) == (303, place)
    assert told in shown
    assert shown.count("The template of the repository says") == 1


def test_description_and_resource_tags_are_text(server: Server, client: Client) -> None:
    client.push("words/api", IMAGE, "1")
    place = place_of(server, "words/api")
    evil = '"><img src=x onerror=alert(1)>'

    send(server, f"{place}/edit/description", etag=etag(server, place), description=evil)
    send(server, f"{place}/edit/resource-tags", etag=etag(server, place), key="team", value=evil)

    for path in (place, "/images?registry=local&resourceTag=team", f"{place}/activity"):
        text = ask(server, path).text
        assert "<img" not in text.replace('<img src="/static/', "")
        assert "onerror=alert(1)&gt;" in text


def test_a_tag_that_is_none_is_said_and_kept_in_the_form(server: Server, client: Client) -> None:
    client.push("words/tagged", IMAGE, "1")
    place = place_of(server, "words/tagged")

    answer = send(server, f"{place}/edit/resource-tags", etag=etag(server, place), key="k" * 129, value="kept value")

    assert answer.status == 400
    assert 'role="alert"' in answer.text
    assert "kept value" in answer.text


def test_an_image_is_locked_unlocked_and_held_by_its_repository(server: Server, client: Client) -> None:
    client.push("held/api", IMAGE, "1")
    place = place_of(server, "held/api")

    send(server, f"{place}/edit/lock", locked="on", etag=etag(server, place))
    refused = send(server, f"{place}/delete", confirm="held/api")
    locked = ask(server, place).text
    send(server, f"{place}/edit/lock", etag=etag(server, place))
    unlocked = ask(server, place).text
    repository = re.search(r'href="(/repositories/[a-z0-9]+)">held<', unlocked)
    assert repository is not None
    send(server, f"{repository[1]}/edit/lock", locked="on", etag=etag(server, repository[1]))

    assert refused.status == 409
    assert "locked" in refused.text
    assert "</svg> Unlock</button>" in locked
    assert "</svg> Lock</button>" in unlocked
    assert "Locked by its repository" in ask(server, place).text
    assert send(server, f"{place}/edit/lock", locked="on").status == 409


def test_an_image_goes_only_by_its_path(server: Server, client: Client) -> None:
    client.push("going/api/v1", IMAGE, "1")
    place = place_of(server, "going/api/v1")

    refused, gone = (send(server, f"{place}/delete", confirm=text) for text in ("going/api", "going/api/v1"))

    assert (refused.status, gone.status) == (400, 303)
    assert gone.headers["location"] == "/images?registry=local&repository=going"
    assert ask(server, place).status == 404


def test_registry_and_repository_are_picked_in_the_address_and_remembered(server: Server, client: Client) -> None:
    client.push("one/api", IMAGE, "1")
    client.push("two/api", IMAGE, "1")

    of_one = ask(server, "/images?registry=local&repository=one").text
    again = ask(server, "/images?size=50", Cookie="scr-registry=local; scr-repository=one")
    moved = ask(server, "/images?of=local&registry=elsewhere&repository=one&name=a")

    assert ("one/api" in of_one, "two/api" in of_one) == (True, False)
    assert again.headers["location"] == "/images?registry=local&repository=one&size=50"
    assert moved.headers["location"] == "/images?registry=elsewhere&name=a"


def test_images_of_all_registries_are_listed_page_by_page(server: Server, client: Client) -> None:
    send(server, "/registries", name="apart", visibility="private", endpoint="private", port="")
    for number in range(30):
        client.push(f"paged/app-{number:02}", IMAGE, "1")

    seen: list[str] = []
    where = "/images?registry=*&name=paged"
    while where:
        text = ask(server, where).text
        seen += re.findall(r">(paged/app-\d\d)</a>", text)
        onward = re.search(r'rel="next" href="([^"]*)"', text)
        where = unescape(onward[1]) if onward else ""

    assert seen == [f"paged/app-{number:02}" for number in range(30)]
    assert ask(server, "/repositories", Cookie="scr-registry=*").status == 200


@pytest.mark.parametrize("sort", ["path", "-path", "pushed", "-pushed", "pulls", "-pulls", "created"])
def test_every_column_that_can_order_does(server: Server, client: Client, sort: str) -> None:
    client.push("order/a", IMAGE, "1")
    client.push("order/b", OTHER, "1")

    text = ask(server, f"/images?registry=local&repository=order&sort={sort}").text

    assert text.count('aria-sort="') == 1
    assert ("descending" if sort.startswith("-") else "ascending") in text
    assert {*re.findall(r">(order/.)</a>", text)} == {"order/a", "order/b"}


def test_an_empty_list_names_the_commands_that_fill_it(server: Server) -> None:
    create(server, "vacant")

    text = ask(server, "/images?registry=local&repository=vacant").text

    assert f"docker push {server.address}/vacant/busybox:1" in text
    assert "No image matches" in ask(server, f"/images?registry=local&name={quote('<svg>')}").text


def test_no_such_image_is_a_page_that_says_so(server: Server) -> None:
    assert ask(server, "/images/nothinghere").status == 404
    assert ask(server, "/images?registry=NO").status == 400
