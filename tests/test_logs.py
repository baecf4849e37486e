"""Lines of the log: one a happening, for people or for programs; foreign text writes no lines of its own."""

import io
import json
import logging

import pytest

from appliance.logs import Log, Relay


def test_a_line_for_people_has_time_level_name_and_fields() -> None:
    out = io.StringIO()

    Log(out=out).info("blob.sealed", size=3, name="a b", whole=True)

    time, _, rest = out.getvalue().partition(" ")
    assert len(time) == 8
    assert rest == "info  blob.sealed size=3 name='a b' whole=True\n"


def test_a_line_for_programs_is_one_json_object() -> None:
    out = io.StringIO()

    Log(form="json", out=out).error("disk.full", free=0, path='a"\n')

    found = json.loads(out.getvalue())
    assert out.getvalue().count("\n") == 1
    assert found.pop("time").endswith("Z")
    assert found == {"level": "error", "event": "disk.full", "free": 0, "path": 'a"\n'}


@pytest.mark.parametrize("form", ["human", "json"])
def test_foreign_text_stays_on_its_line_and_is_cut(form: str) -> None:
    out = io.StringIO()

    Log(form=form, out=out).warn("request.odd", path="x\n12:00:00 error forged\x1b[31m" + "y" * 5000)

    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()
    assert len(out.getvalue()) < 2200


def test_what_is_below_the_level_is_not_written_until_the_level_changes() -> None:
    out = io.StringIO()
    log = Log(level="warn", out=out)

    log.info("hidden")
    log.configure(level="debug", form="human")
    log.debug("shown")

    assert "hidden" not in out.getvalue()
    assert "shown" in out.getvalue()


def test_a_library_that_complains_gets_one_line_without_its_traceback() -> None:
    out = io.StringIO()
    logger = logging.Logger("uvicorn.error")  # noqa: LOG001 - one of the test's own, so that no other is changed
    logger.addHandler(Relay(Log(out=out)))

    try:
        int("inner")
    except ValueError:
        logger.exception("it %s", "broke")

    assert "error library.said library=uvicorn.error text='it broke'" in out.getvalue()
    assert "ValueError" in out.getvalue()
    assert out.getvalue().count("\n") == 1


def test_a_closed_stderr_stops_nobody() -> None:
    out = io.StringIO()
    log = Log(out=out)
    out.close()

    log.error("nobody.hears")
