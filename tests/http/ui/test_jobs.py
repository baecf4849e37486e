"""The pages of jobs: ordered, followed, called off, and the schedule."""

import re

from tests.http.ui.asking import ask, send
from tests.make.server import Server


def order(server: Server, kind: str, **fields: str) -> str:
    """Return the address of the page of a job that is ordered by the form."""
    made = send(server, "/jobs", kind=kind, **fields)
    assert made.status == 303, made.text
    return made.headers["location"]


def wait(server: Server, place: str) -> None:
    """Wait until the job of the page has ended, as the API waits."""
    assert ask(server, f"/api/v1{place}?wait=30", Accept="application/json").status == 200


def test_a_job_is_ordered_followed_and_listed_with_its_report(server: Server) -> None:
    place = order(server, "gc")
    wait(server, place)

    shown, listed = ask(server, place).text, ask(server, "/jobs?kind=gc").text
    assert "<h1>gc" in shown
    assert ">Report<" in shown
    assert "data-follows" not in shown
    assert place in listed


def test_a_filter_that_nothing_matches_says_how_to_fill_the_list(server: Server) -> None:
    answer = ask(server, "/jobs?kind=nothing")

    assert answer.status == 200
    assert "scr job run gc" in answer.text


def test_only_what_the_chosen_kind_knows_is_ordered(server: Server) -> None:
    place = order(server, "check", deep="on", full_speed="on")
    wait(server, place)

    assert re.search(r"&#34;deep&#34;: true", ask(server, place).text)


def test_what_cannot_be_ordered_is_said_on_a_page(server: Server) -> None:
    answer = send(server, "/jobs", kind="<b>everything</b>")

    assert answer.status == 400
    assert "<b>everything" not in answer.text


def test_a_job_that_has_ended_cannot_be_called_off(server: Server) -> None:
    place = order(server, "roll-up")
    wait(server, place)

    answer = send(server, f"{place}/cancel")

    assert answer.status == 409
    assert "ended already" in answer.text


def test_a_job_that_was_done_offers_no_retry(server: Server) -> None:
    place = order(server, "upload-expiry")
    wait(server, place)

    assert f"{place}/retry" not in ask(server, place).text
    assert send(server, f"{place}/retry").status == 409


def test_the_schedule_shows_each_kind_with_its_setting(server: Server) -> None:
    text = ask(server, "/jobs/schedules").text

    for kind in ("gc", "scrub", "backup", "retention"):
        assert f'href="/jobs?kind={kind}"' in text
    assert "schedule.gc" in text


def test_no_such_job_is_a_page_that_says_so(server: Server) -> None:
    assert ask(server, "/jobs/nothinghere").status == 404
