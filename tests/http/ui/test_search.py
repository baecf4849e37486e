"""The search box: names, tags and digests, as far as the viewer may see them."""

import msgspec
import pytest

from tests import make
from tests.http.ui.asking import ask
from tests.make.client import Client
from tests.make.server import Server

IMAGE = make.image([{"a": b"search"}])


class Found(msgspec.Struct):
    """Something found."""

    kind: str
    name: str
    reference: str


class Page(msgspec.Struct):
    """What was found."""

    items: list[Found]


@pytest.fixture(scope="module", autouse=True)
def pushed(server: Server) -> None:
    with server.client() as client:
        client.push("payments/gateway/api", IMAGE, "1.9-rc", "v2")


def search(client: Client, text: str) -> set[tuple[str, str, str]]:
    """Return kind, name and reference of what the API finds."""
    reply = client.get(f"/api/v1/search?q={text}").expect(200)
    return {(one.kind, one.name, one.reference) for one in reply.decode(Page).items}


IN_IMAGE = "payments/gateway/api"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("loc", ("registry", "local", "")),
        ("ymen", ("repository", "payments", "")),
        ("way/a", ("image", IN_IMAGE, "")),
        ("1.9", ("tag", IN_IMAGE, "1.9-rc")),
        ("gateway/api:v", ("tag", IN_IMAGE, "v2")),
        (IMAGE.digest, ("manifest", IN_IMAGE, IMAGE.digest)),
        (IMAGE.digest[7:14], ("manifest", IN_IMAGE, IMAGE.digest)),
        (IMAGE.digest[:20], ("manifest", IN_IMAGE, IMAGE.digest)),
        (IMAGE.blobs[0].digest[7:19], ("blob", IN_IMAGE, IMAGE.blobs[0].digest)),
    ],
)
def test_it_finds(client: Client, text: str, found: tuple[str, str, str]) -> None:
    assert found in search(client, text)


@pytest.mark.parametrize("text", ["", "%20", "zzz", "abcde", "md5:abcdef", "sha256:" + "f" * 65, "%25", "'%20OR%201=1"])
def test_what_is_nowhere_is_not_found(client: Client, text: str) -> None:
    assert search(client, text) == set()


def test_the_page_links_to_what_it_found(server: Server) -> None:
    text = ask(server, "/search?q=payments").text

    assert "payments/gateway/api" in text
    assert 'href="/images/' in text
    assert 'href="/repositories/' in text


def test_what_was_looked_for_is_shown_as_text(server: Server) -> None:
    answer = ask(server, "/search?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E")

    assert answer.status == 200
    assert "<script>alert" not in answer.text
    assert "Nothing is called so" in answer.text


def test_an_empty_box_says_what_can_be_found(server: Server) -> None:
    assert "What are you looking for?" in ask(server, "/search").text
