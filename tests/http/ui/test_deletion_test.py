"""The page of the deletion policy test: sentences, what would go and why, simulation, saving, running."""

import re
from html import unescape
from urllib.parse import urlencode

from tests import make
from tests.http.ui.asking import ask, send
from tests.http.ui.test_images import place_of
from tests.http.ui.test_repositories import etag
from tests.http.ui.test_tags import image, shown_tags
from tests.make.client import Client
from tests.make.server import Server

DAYS = {"untagged_days": "30", "old_days": "365", "keep_newest": "100", "keep_pulled_days": "30"}


def test_what_would_go_is_told_with_its_reason_and_nothing_changes(server: Server, client: Client) -> None:
    for number in range(4):
        client.push("retain/api", image(number), f"v{number}")
    place = place_of(server, "retain/api")
    wanted = urlencode({**DAYS, "test": "on", "count": "on", "keep_newest": "2", "keep_patterns": "v0"})

    untouched = ask(server, f"{place}/deletion-test").text
    tested = ask(server, f"{place}/deletion-test?{wanted}").text

    assert "Nothing would be deleted" in untouched
    assert "execution request has been completed" not in untouched
    assert "Deletion policy test execution request has been completed." in tested
    assert "The newest 2 digests stay, all older ones go." in tested
    assert re.findall(r'<span class="tag">([^<]*)', tested) == ["v1"]
    assert "and the newest 2 are kept" in tested
    assert len(shown_tags(server, place)) == 4


def test_the_simulation_tells_what_would_still_be_here(server: Server, client: Client) -> None:
    for number in range(4):
        client.push("retain/past", image(number), f"v{number}")
    place = place_of(server, "retain/past")

    text = ask(
        server, f"{place}/deletion-test?{urlencode({**DAYS, 'test': 'on', 'count': 'on', 'simulate': 'on'})}"
    ).text

    assert "Over history" in text
    assert "4 / 4" in text


def test_every_field_that_is_wrong_is_marked_and_nothing_is_tested(server: Server, client: Client) -> None:
    client.push("retain/wrong", image(1), "1")
    place = place_of(server, "retain/wrong")
    numbers = {**DAYS, "old_days": "0", "keep_newest": "many"}

    wrong = ask(server, f"{place}/deletion-test?{urlencode({**numbers, 'test': 'on'})}")
    pattern = ask(server, f"{place}/deletion-test?{urlencode({**DAYS, 'test': 'on', 'keep_patterns': '<svg>'})}")

    assert wrong.status == 422
    assert wrong.text.count('aria-invalid="true"') == 2
    assert "Deletion target tags" not in wrong.text
    assert pattern.status == 400
    assert "&#39;&lt;svg&gt;&#39; is no pattern of tags" in pattern.text


def test_a_tested_policy_is_saved_and_then_run(server: Server, client: Client) -> None:
    for number in range(3):
        client.push("retain/run", image(number), f"v{number}")
    place = place_of(server, "retain/run")
    wanted = {**DAYS, "enabled": "on", "count": "on", "keep_newest": "1"}
    refused = send(server, f"{place}/deletion-test/run")

    tested = ask(server, f"{place}/deletion-test?{urlencode({**wanted, 'test': 'on'})}").text
    save = re.search(r'<form class="mt-3".*?</form>', tested, re.DOTALL)
    assert save is not None
    fields = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', save[0])}
    del fields["csrf"]
    saved = send(server, f"{place}/edit/tag-deletion", **{**fields, "etag": etag(server, place)})
    run = send(server, f"{place}/deletion-test/run")

    assert refused.status == 409
    assert fields["keep_newest"] == "1"
    assert saved.status == 303
    assert run.headers.get("location", "").startswith("/jobs/")


def test_a_long_list_of_what_would_go_comes_in_pages(server: Server, client: Client) -> None:
    for number in range(30):
        client.push("retain/many", make.image([{"n": b"%d" % number}]), f"v{number:02}")
    place = place_of(server, "retain/many")
    wanted = urlencode({**DAYS, "test": "on", "count": "on", "keep_newest": "1"})

    first = ask(server, f"{place}/deletion-test?{wanted}").text
    onward = re.search(r'rel="next" href="([^"]*)"', first)
    assert onward is not None
    second = ask(server, unescape(onward[1])).text

    tags = [re.findall(r'<span class="tag">(v\d\d)', text) for text in (first, second)]
    assert [len(found) for found in tags] == [25, 4]
    assert len({*tags[0], *tags[1]}) == 29
