"""Pages while nobody can sign in yet: what they say of that, and what they do not offer in vain."""

import re

from tests.http.ui.asking import ask, send
from tests.make.server import Server

BANNER = 'class="banner"'


def test_open_mode_is_said_on_the_page_of_a_job_whether_it_goes_on_or_not(server: Server) -> None:
    place = send(server, "/jobs", kind="gc").headers["location"]
    assert ask(server, f"/api/v1{place}?wait=30", Accept="application/json").status == 200

    text = ask(server, place).text

    assert BANNER in text
    assert "data-follows" not in text


def test_a_group_offers_nobody_where_there_is_no_user(server: Server) -> None:
    place = send(server, "/groups", name="crew").headers["location"]

    text = ask(server, place).text

    assert "There is no other user to put in." in text
    assert f'action="{place}/members"' not in text


def test_ones_own_page_says_who_one_is_and_offers_no_keys_that_cannot_be(server: Server) -> None:
    text = ask(server, "/self").text

    assert "Nobody signs in yet" in text
    assert "Your access keys" not in text


def test_a_built_in_policy_tells_no_time_at_which_it_was_changed(server: Server) -> None:
    row = re.search(r"<tr><td><a[^>]*>ScrFullAccess</a>.*?</tr>", ask(server, "/policies").text, re.DOTALL)

    assert row is not None
    assert "<time" not in row[0]


def test_who_is_asked_about_is_named_as_it_was_asked(server: Server) -> None:
    text = ask(server, "/explain?as=anonymous&name=pay/api").text

    assert "<p>anonymous · pull · pay/api</p>" in text
