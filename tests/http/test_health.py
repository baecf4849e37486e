"""What /health/ready says of what was looked at."""

import asyncio

from appliance.http.health import Check, Checks, Health


async def _well() -> Check:
    return Check("disk", ok=True)


async def _ill() -> Check:
    return Check("disk", ok=False, detail="free the disk")


async def _broken() -> Check:
    raise OSError(5, "/secret/path")


def _report(checks: Checks) -> Health:
    return asyncio.run(checks.report())


def test_with_nothing_to_look_at_it_is_ready() -> None:
    assert _report(Checks()) == Health("ready", ())


def test_what_is_well_is_told() -> None:
    checks = Checks()
    checks.add("disk", _well, is_vital=True)

    assert _report(checks) == Health("ready", (Check("disk", ok=True),))


def test_without_a_vital_thing_it_is_down_and_without_another_it_serves() -> None:
    vital, other = Checks(), Checks()
    vital.add("disk", _ill, is_vital=True)
    other.add("disk", _ill)

    assert (_report(vital).status, _report(vital).code) == ("down", 503)
    assert (_report(other).status, _report(other).code) == ("degraded", 200)
    assert _report(other).checks[0].detail == "free the disk"


def test_a_check_that_fails_is_not_well_and_tells_no_secret() -> None:
    checks = Checks()
    checks.add("disk", _broken)
    checks.add("memory", _well)
    found = _report(checks)

    assert found.status == "degraded"
    assert found.checks[0].name == "disk"
    assert "secret" not in found.checks[0].detail


def test_a_check_that_is_dropped_is_not_asked() -> None:
    checks = Checks()
    checks.add("disk", _ill, is_vital=True)
    checks.drop("disk")

    assert _report(checks).status == "ready"
