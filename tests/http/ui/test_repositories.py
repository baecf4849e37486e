"""The pages of repositories: what is made, changed and deleted by their forms."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from tests import make
from tests.http.ui.asking import Answer, ask, send
from tests.make.client import Client
from tests.make.server import Server

NUMBERS = {
    "critical": "1",
    "high": "1",
    "untagged_days": "30",
    "old_days": "365",
    "keep_newest": "100",
    "keep_pulled_days": "30",
    "exclude_severity": "none",
}
IMAGE = make.image([{"etc/motd": b"hello"}])


def create(server: Server, name: str, **fields: str) -> Answer:
    """Return the answer to the form for a new repository."""
    return send(server, "/repositories", **{"registry": "local", "name": name, **NUMBERS, **fields})


def make_repository(server: Server, name: str, **fields: str) -> str:
    """Return the address of a repository that is made by the form."""
    made = create(server, name, **fields)
    assert made.status == 303, made.text
    return made.headers["location"]


def etag(server: Server, place: str) -> str:
    """Return the revision that the forms of a page carry."""
    found = re.search(r'name="etag" value="([^"]*)"', ask(server, place).text)
    assert found is not None
    return unescape(found[1])


def test_a_repository_is_made_with_its_whole_policy_and_shown(server: Server) -> None:
    rules = {"refuse_critical": "on", "critical": "3", "enabled": "on", "old": "on", "old_days": "90"}
    place = make_repository(server, "payments", description="of <b>us</b>", key="team", value="pay", **rules)

    shown, listed, tags = (ask(server, path).text for path in (place, "/repositories?registry=local", f"{place}/tags"))
    assert "<h1>payments" in shown
    assert "Refused at 3 or more Critical vulnerabilities." in shown
    assert "What is older than 90 days goes with all its tags." in shown
    assert place in listed
    assert "of &lt;b&gt;us&lt;/b&gt;" in listed
    assert re.search(r'name="key" value="team"', tags)


@pytest.mark.parametrize("name", ["", "Pay", "-x", "a/b", "payments "])
def test_a_name_that_cannot_be_is_said_in_the_form_which_keeps_what_was_typed(server: Server, name: str) -> None:
    create(server, "payments")

    answer = create(server, name, description="kept words", untagged="on", untagged_days="12")

    assert answer.status in (400, 409)
    assert 'role="alert"' in answer.text
    assert "kept words" in answer.text
    assert 'name="untagged_days" value="12"' in answer.text


def test_every_number_that_is_wrong_is_marked_at_once_and_stays_as_typed(server: Server) -> None:
    answer = create(server, "wrong", critical="0", high="many", old_days="99999", exclude_severity="worst")

    assert answer.status == 422
    assert answer.text.count('aria-invalid="true"') == 3
    assert 'name="old_days" value="99999"' in answer.text
    assert answer.text.count("is-invalid") == 4


def test_the_summary_says_what_the_policy_will_do_before_anything_is_made(server: Server) -> None:
    answer = create(server, "planned", preview="on", untagged="on", untagged_days="7", enabled="on")

    assert answer.status == 200
    assert "What has no tag is deleted 7 days after its first push." in answer.text
    assert 'role="alert"' not in answer.text
    assert "/planned/" in answer.text
    assert "planned</a>" not in ask(server, "/repositories").text


@pytest.mark.parametrize(
    ("section", "fields", "told"),
    [
        ("scan", {"exclude_severity": "low"}, "Vulnerabilities of the level Low and below are left out."),
        ("pull-limit", {**NUMBERS, "refuse_unscanned": "on"}, "What was not scanned is refused."),
        ("tag-deletion", {**NUMBERS, "count": "on", "keep_newest": "9"}, "The newest 9 digests stay"),
        ("description", {"description": "new words"}, "new words"),
        ("lock", {"locked": "on"}, "Unlock"),
    ],
)
def test_each_section_is_edited_in_its_place(server: Server, section: str, fields: dict[str, str], told: str) -> None:
    place = make_repository(server, f"edited-{section}")

    saved = send(server, f"{place}/edit/{section}", etag=etag(server, place), **fields)

    assert (saved.status, saved.headers["location"]) == (303, place)
    assert "successful" in saved.headers["set-cookie"]
    assert told in ask(server, place).text


def test_an_edit_of_what_was_changed_meanwhile_is_not_saved(server: Server) -> None:
    place = make_repository(server, "contested")
    revision = etag(server, place)

    first, second = (
        send(server, f"{place}/edit/description", etag=revision, description=text) for text in ("first", "second")
    )

    assert (first.status, second.status) == (303, 412)
    assert "second" in second.text
    assert '<p class="pre-line">first</p>' in ask(server, place).text


def test_a_wrong_number_in_an_edit_opens_that_form_with_what_was_typed(server: Server) -> None:
    place = make_repository(server, "mistaken")

    answer = send(server, f"{place}/edit/pull-limit", **{**NUMBERS, "critical": "none"})

    assert answer.status == 422
    assert 'name="critical" value="none"' in answer.text
    assert len(re.findall(r'<details class="edit" open>', answer.text)) == 1


def test_no_form_edits_a_section_that_is_not_there(server: Server) -> None:
    place = make_repository(server, "sectioned")

    assert send(server, f"{place}/edit/everything").status == 404


def test_a_repository_goes_only_by_its_name_and_comes_back(server: Server) -> None:
    place = make_repository(server, "shortlived")

    refused = send(server, f"{place}/delete", confirm="shortlives")
    gone = send(server, f"{place}/delete", confirm="shortlived")
    listed, removed = (ask(server, f"/repositories?registry=local{more}").text for more in ("", "&removed=true"))
    back = send(server, f"{place}/restore")

    assert (refused.status, gone.status, back.status) == (400, 303, 303)
    assert f'href="{place}"' not in listed
    assert f'href="{place}"' in removed
    assert f'href="{place}"' in ask(server, "/repositories").text


def test_a_locked_repository_is_not_deleted_and_the_page_says_why(server: Server) -> None:
    place = make_repository(server, "held", locked="on")

    asked, refused = ask(server, f"{place}/delete"), send(server, f"{place}/delete", confirm="held")

    assert "unlock it first" in asked.text
    assert refused.status == 409
    assert "locked" in refused.text


def test_the_picked_registry_is_in_the_address_and_remembered(server: Server) -> None:
    send(server, "/registries", name="elsewhere", visibility="private", endpoint="private")
    made = create(server, "faraway", registry="elsewhere")

    listed = ask(server, "/repositories?registry=elsewhere")
    cookie = listed.headers["set-cookie"].partition(";")[0]
    again = ask(server, "/repositories?size=50", Cookie=cookie)

    assert made.headers["location"] in listed.text
    assert "faraway" not in ask(server, "/repositories?registry=local").text
    assert (again.status, again.headers["location"]) == (303, "/repositories?registry=elsewhere&size=50")


def test_what_is_remembered_is_a_name_or_nothing(server: Server) -> None:
    assert ask(server, "/repositories", Cookie="scr-registry=%0d%0aX:1").status == 200


def test_making_one_comes_back_to_where_it_was_needed(server: Server) -> None:
    made = create(server, "needed", back="/images")
    outside = create(server, "needed2", back="https://evil.test/")

    assert made.headers["location"] == "/images?registry=local&repository=needed"
    assert outside.headers["location"].startswith("/?")


def test_a_list_is_ordered_filtered_and_paged_by_its_address(server: Server) -> None:
    for number in range(30):
        create(server, f"many-{number:02}")

    first = ask(server, "/repositories?registry=local&name=many-&sort=-name").text
    onward = re.search(r'rel="next" href="([^"]*)"', first)
    assert onward is not None
    second = ask(server, unescape(onward[1])).text

    shown = re.findall(r">(many-\d\d)</a>", first)
    assert shown == [f"many-{number:02}" for number in range(29, 4, -1)]
    assert re.findall(r">(many-\d\d)</a>", second) == [f"many-{number:02}" for number in range(4, -1, -1)]
    assert "name=many-" in unescape(re.findall(r'class="sorts" href="([^"]*)"', first)[0])
    assert ask(server, "/repositories?registry=local&name=many-&size=50").text.count(">many-") == 30


def test_an_empty_list_names_the_command_that_fills_it(server: Server) -> None:
    send(server, "/registries", name="hollow", visibility="private", endpoint="private")

    assert "scr repository create --registry hollow" in ask(server, "/repositories?registry=hollow").text
    assert "No repository matches" in ask(server, "/repositories?registry=hollow&name=x").text


def test_hostile_words_are_shown_as_text(server: Server) -> None:
    evil = '"><svg onload=alert(1)>\x1b[31m<a href="javascript:alert(1)">x</a>'
    place = make_repository(server, "hostile", description=evil, key="<script>", value="javascript:alert(1)")
    found = [ask(server, f"/repositories?registry=local&name={quote(evil)}&resourceTag={quote(evil)}")]

    found += [ask(server, path) for path in (place, f"{place}/tags", f"{place}/activity", "/repositories")]

    for page in found:
        assert "<svg onload" not in page.text
        assert "<script>" not in page.text
        assert 'href="javascript' not in page.text


def test_the_guide_names_the_repository_at_the_registrys_own_address(server: Server, client: Client) -> None:
    client.push("guided/app", IMAGE, "1")
    listed = ask(server, "/repositories?registry=local&name=guided").text
    place = re.search(r'href="(/repositories/[a-z0-9]+)">guided', listed)
    assert place is not None

    shown = ask(server, place[1]).text

    assert f"docker push {server.address}/guided/busybox:1" in shown
    assert "by a first push" in shown
    assert "repository.created" in ask(server, f"{place[1]}/activity").text
