"""The pages of Explain and Why: each decision, at an address that can be sent on."""

import json
from collections.abc import Sequence

import pytest

from tests import make
from tests.http.ui.asking import ask, sign_in, token
from tests.make.accounts import Key, Member
from tests.make.client import why
from tests.make.server import Server

PASSWORD = "correct horse"  # noqa: S105 - of users that the test makes


@pytest.fixture(scope="module")
def members() -> Sequence[Member]:
    return (
        Member("ann", ("ScrFullAccess",), password=PASSWORD),
        Member("bob", password=PASSWORD),
        Member("puller", ("ScrPullOnlyAccess",), password=PASSWORD),
    )


@pytest.fixture(scope="module")
def ann(server: Server) -> str:
    return sign_in(server, "ann", PASSWORD)


@pytest.fixture(scope="module")
def bob(server: Server) -> str:
    return sign_in(server, "bob", PASSWORD)


def test_the_address_is_the_question_and_the_page_has_each_decision(server: Server, ann: str) -> None:
    refused = ask(server, "/explain?as=user%3Abob&action=push&name=pay%2Fapi%3A1", Cookie=ann).text
    allowed = ask(server, "/explain?as=user%3Aann&action=PushRepositoryImages&name=pay%2Fapi", Cookie=ann).text

    assert "Refused" in refused
    assert "Access policy" in refused
    assert "Allowed" in allowed
    assert f'data-copies="{server.url}/explain?as=user%3Aann&amp;action' in allowed


@pytest.mark.parametrize(
    ("question", "status"), [("as=user:nobodyhere&name=pay", 404), ("as=user:bob&name=pay&from=moon", 400)]
)
def test_a_question_that_makes_no_sense_is_said_beside_the_form(
    server: Server, ann: str, question: str, status: int
) -> None:
    answer = ask(server, f"/explain?{question}", Cookie=ann)

    assert answer.status == status
    assert 'role="alert"' in answer.text
    assert 'name="as"' in answer.text


def test_every_refusal_leads_to_its_page(server: Server, ann: str, bob: str) -> None:
    refusal = why(ask(server, "/api/v1/registries", '{"name": "xyz"}', Cookie=bob, **as_program(server, bob)).content)

    to_admin, to_bob = (ask(server, f"/why/{refusal}", Cookie=cookie) for cookie in (ann, bob))
    as_text = ask(server, f"/why/{refusal}", Cookie=ann, Accept="text/plain")

    assert "The decisions, in their order" in to_admin.text
    assert "Who may view the registry sees every decision" in to_bob.text
    assert as_text.headers["content-type"].startswith("text/plain")
    assert f"/why/{refusal}" in ask(server, "/activity/refusals", Cookie=ann).text


def test_a_refused_pull_leads_to_the_findings_that_block_it(server: Server, keys: dict[str, Key], ann: str) -> None:
    policy = b'{"policy": {"pullLimit": {"refuseUnscanned": true}, "scan": {"onPush": false}}}'
    image = make.image([{"a": b"never scanned"}])
    with server.client(user=keys["ann"].access_key, password=keys["ann"].secret_key) as client:
        client.push("held/api", make.image([{"a": b"1"}]), "1")
        number = json.loads(client.get("/api/v1/images?path=held/api").expect(200).body)["items"][0]["id"]
        client.request("PATCH", f"/api/v1/images/{number}", policy, {"Content-Type": "application/json"}).expect(200)
        client.push("held/api", image, "2")
    with server.client(user=keys["puller"].access_key, password=keys["puller"].secret_key) as client:
        refusal = why(client.get_manifest("held/api", "2").expect(403).body)

    place = f"/images/{number}/manifests/{image.digest.replace(':', '%3A')}/scan?blocks=true"
    to_admin, to_puller = (
        ask(server, f"/why/{refusal}", Cookie=cookie).text for cookie in (ann, sign_in(server, "puller", PASSWORD))
    )
    explained = ask(server, "/explain?as=user%3Apuller&action=pull&name=held%2Fapi%3A2", Cookie=ann).text

    assert [f'href="{place}"' in page for page in (to_admin, explained)] == [True, True]
    assert 'href="/images/' not in to_puller  # who may pull only may not view the image
    assert "The decisions, in their order" not in to_puller
    assert place in ask(server, f"/why/{refusal}", Cookie=ann, Accept="text/plain").text
    assert ask(server, place, Cookie=ann).status == 200


def test_a_stranger_signs_in_first_and_comes_back_to_the_refusal(server: Server) -> None:
    answer = ask(server, f"/why/{'0' * 32}")

    assert (answer.status, answer.headers["location"]) == (303, f"/sign-in?next=%2Fwhy%2F{'0' * 32}")


def test_no_such_refusal_is_a_page_that_says_so(server: Server, ann: str) -> None:
    assert ask(server, f"/why/{'0' * 32}", Cookie=ann).status == 404


def as_program(server: Server, cookie: str) -> dict[str, str]:
    """Return the headers of a script of our own pages."""
    return {"Content_Type": "application/json", "Scr_Csrf": token(server, "/", Cookie=cookie), "Accept": "*/*"}
