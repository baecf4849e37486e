"""The page of what was deleted: of a registry, a repository, an image; put back as a whole."""

import re
from collections.abc import Sequence

import pytest

from tests import make
from tests.http.ui.asking import Answer, ask, send, sign_in
from tests.make.accounts import Key, Member
from tests.make.images import Manifest
from tests.make.server import Server

PASSWORD = "correct horse"  # noqa: S105 - of users that live for these tests
ONE, OTHER = make.image([{"a": b"1"}]), make.image([{"b": b"2"}])


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return (
        Member("ann", ("ScrFullAccess",), password=PASSWORD),
        Member("eva", ("ScrViewOnlyAccess",), password=PASSWORD),
    )


@pytest.fixture(scope="module")
def ann(server: Server) -> str:
    return sign_in(server, "ann", PASSWORD)


def push(server: Server, keys: dict[str, Key], path: str, image: Manifest, tag: str = "1") -> None:
    with server.client(user=keys["ann"].access_key, password=keys["ann"].secret_key) as client:
        client.push(path, image, tag)


def id_of(server: Server, ann: str, kind: str, path: str) -> str:
    text = ask(server, f"/api/v1/{kind}?path={path}", Accept="application/json", Cookie=ann).text
    found = re.search(r'"id":"([a-z0-9]+)"', text)
    assert found is not None, text
    return found[1]


def delete_image(server: Server, ann: str, path: str) -> Answer:
    return send(server, f"/images/{id_of(server, ann, 'images', path)}/delete", Cookie=ann, confirm=path)


def button(text: str, path: str) -> str:
    """Return where the button leads that puts `path` back."""
    rows = re.findall(r"<tr><td>(.*?)</td>.*?</tr>", text, re.DOTALL)
    assert path in rows
    found = re.search(rf'<tr><td>{path}</td>(?:(?!</tr>).)*action="([^"]+)"', text, re.DOTALL)
    assert found is not None, text
    return found[1].replace("&amp;", "&")


def test_a_whole_image_is_put_back_from_the_phrase_of_its_deletion(
    server: Server, keys: dict[str, Key], ann: str
) -> None:
    push(server, keys, "back/api", ONE)
    gone = delete_image(server, ann, "back/api")
    flash = next(one for one in gone.headers["set-cookie"].split(";") if one.startswith("scr-said"))
    said = ask(server, gone.headers["location"], Cookie=f"{ann}; {flash}").text
    link = re.search(r'Image back/api was deleted\. <a href="([^"]+)">Put it back', said)
    assert link is not None, said

    listed = ask(server, link[1].replace("&amp;", "&"), Cookie=ann).text
    done = send(server, button(listed, "back/api"), Cookie=ann, registry="local")

    assert "whole image" in listed
    assert done.status == 303, done.text
    assert "1 digests and 1 tags are back" in done.headers["set-cookie"].replace("%20", " ")
    assert id_of(server, ann, "images", "back/api")
    assert "Nothing can be put back" in ask(server, "/deletions?path=back", Cookie=ann).text


def test_a_whole_repository_is_put_back(server: Server, keys: dict[str, Key], ann: str) -> None:
    push(server, keys, "whole/api", ONE)
    repository = id_of(server, ann, "repositories", "whole")
    assert send(server, f"/repositories/{repository}/delete", Cookie=ann, confirm="whole").status == 303

    listed = ask(server, "/deletions?path=whole", Cookie=ann).text
    done = send(server, button(listed, "whole"), Cookie=ann)

    assert "whole repository" in listed
    assert "It is back." in done.headers["set-cookie"].replace("%20", " ")
    assert id_of(server, ann, "repositories", "whole") == repository


def test_the_list_is_of_a_registry_a_repository_or_an_image(server: Server, keys: dict[str, Key], ann: str) -> None:
    for path in ("first/a", "first/b", "firstly/a"):
        push(server, keys, path, ONE)
        assert delete_image(server, ann, path).status == 303

    everything, repository, image = (
        set(re.findall(r"<tr><td>(first[^<]*)</td>", ask(server, f"/deletions{query}", Cookie=ann).text))
        for query in ("", "?path=first", "?path=first/b")
    )

    assert everything == {"first/a", "first/b", "firstly/a"}
    assert repository == {"first/a", "first/b"}
    assert image == {"first/b"}


def test_what_stands_in_the_way_is_said_above_the_list(server: Server, keys: dict[str, Key], ann: str) -> None:
    push(server, keys, "taken/api", ONE)
    assert delete_image(server, ann, "taken/api").status == 303
    push(server, keys, "taken/api", OTHER)

    answer = send(server, button(ask(server, "/deletions?path=taken", Cookie=ann).text, "taken/api"), Cookie=ann)

    assert answer.status == 409
    assert "there is a new one of that name; delete it first" in answer.text
    assert "<td>taken/api</td>" in answer.text


def test_a_tag_that_names_another_digest_by_now_stays_away_and_is_told(
    server: Server, keys: dict[str, Key], ann: str
) -> None:
    push(server, keys, "moved/api", ONE)
    with server.client(user=keys["ann"].access_key, password=keys["ann"].secret_key) as client:
        client.delete("/v2/moved/api/manifests/1").expect(202)
    push(server, keys, "moved/api", OTHER)

    done = send(server, button(ask(server, "/deletions?path=moved/api", Cookie=ann).text, "moved/api"), Cookie=ann)

    said = done.headers["set-cookie"].replace("%20", " ").replace("%3A", ":")
    assert "1 stayed away: 1: it names another manifest by now" in said


def test_who_may_only_look_sees_the_list_without_buttons(server: Server, keys: dict[str, Key], ann: str) -> None:
    push(server, keys, "seen/api", ONE)
    assert delete_image(server, ann, "seen/api").status == 303
    eva = sign_in(server, "eva", PASSWORD)

    text = ask(server, "/deletions?path=seen", Cookie=eva).text

    assert "<td>seen/api</td>" in text
    assert "/undo" not in text


@pytest.mark.parametrize("forged", ["said%1Fhttps%3A%2F%2Fevil.example%2F", "said%1F%2F%2Fevil.example"])
def test_a_forged_cookie_links_nowhere_else(server: Server, ann: str, forged: str) -> None:
    text = ask(server, "/deletions", Cookie=f"{ann}; scr-said={forged}").text

    assert "evil.example" not in text
    assert 'said <a href="/">' in text
