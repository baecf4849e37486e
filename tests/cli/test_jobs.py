"""`scr job`: what runs in the background, from the command line."""

import json

from tests.cli.conftest import Scr


def run(scr: Scr, kind: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(scr("job", "run", kind, "--json").expect(0).out)
    return found


def test_a_job_is_run_followed_and_shown(scr: Scr) -> None:
    ran = scr("job", "run", "check").expect(0).out

    assert "state       done" in ran
    assert "faults    0" in ran


def test_jobs_are_listed_by_kind_and_shown_by_id(scr: Scr) -> None:
    job = run(scr, "scrub")

    listed = json.loads(scr("job", "list", "--kind", "scrub", "--json").expect(0).out)
    shown = scr("job", "show", str(job["id"])).expect(0).out

    assert listed[0]["id"] == job["id"]
    assert "ordered" in shown
    assert "operator:" in shown
    assert "scrub" in scr("job", "list", "--all").expect(0).out


def test_a_job_that_has_ended_is_followed_to_its_end_at_once(scr: Scr) -> None:
    job = run(scr, "gc")

    assert json.loads(scr("job", "show", str(job["id"]), "--follow", "--json").expect(0).out)["state"] == "done"


def test_the_schedules_name_their_settings(scr: Scr) -> None:
    shown = scr("job", "schedule").expect(0).out

    assert "schedule.scrub" in shown
    assert "30d" in shown


def test_what_cannot_be_called_off_says_why(scr: Scr) -> None:
    job = run(scr, "gc")

    assert "has ended already: done" in scr("job", "cancel", str(job["id"])).expect(1).talk
    assert "is done; only what" in scr("job", "retry", str(job["id"])).expect(1).talk
    assert "there is no such job" in scr("job", "show", "0123456789ab").expect(1).talk
    scr("job", "run", "nonsense").expect(2)
