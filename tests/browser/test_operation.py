"""The screens of access and operation, in both themes, wide and narrow, looked at with axe-core; and by keyboard."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import make
from tests.browser.looking import look
from tests.http.ui.asking import ask, send
from tests.make.server import Server


@pytest.fixture(scope="module")
def screens(server: Server) -> Sequence[tuple[str, str]]:
    """Every screen with something on it: its name and its path."""
    with server.client() as client:
        client.push("pay/api", make.image([{"a": b"1"}]), "1.9", "1.10")
        client.push("lib/api", make.image([{"a": b"1"}]), "1")
    job = send(server, "/jobs", kind="check", deep="on").headers["location"]
    ask(server, f"/api/v1{job}?wait=30", Accept="application/json")
    role = send(server, "/roles", name="pipeline", policy="ScrPullPushOnlyAccess").headers["location"]
    group = send(server, "/groups", name="crew", policy="ScrViewOnlyAccess").headers["location"]
    fields = {"by": "load", "name": "pull-only", "policy": "ScrPullOnlyAccess"}
    policy = send(server, "/policies", **fields).headers["location"]
    send(server, "/allowlists/local.private", text="127.0.0.1\n10.0.0.0/8 # office\n", act="save")
    return [
        ("home", "/"),
        ("users", "/users"),
        ("user-new", "/users/new"),
        ("groups", "/groups"),
        ("group", group),
        ("roles", "/roles"),
        ("role", role),
        ("keys", "/access-keys"),
        ("key-new", "/access-keys/new"),
        ("policies", "/policies"),
        ("policy", f"{policy}?by=form"),
        ("policy-text", f"{policy}?by=text"),
        ("policy-new", "/policies/new"),
        ("policy-load", "/policies/new?by=load"),
        ("policy-delete", f"{policy}/delete"),
        ("allowlists", "/allowlists"),
        ("allowlist", "/allowlists/local.private"),
        ("explain", "/explain?as=anonymous&name=pay/api"),
        ("jobs", "/jobs"),
        ("job", job),
        ("schedules", "/jobs/schedules"),
        ("activity", "/activity"),
        ("refusals", "/activity/refusals"),
        ("traffic", "/activity/traffic"),
        ("charts", "/charts?range=1h"),
        ("storage", "/storage"),
        ("leaving", "/storage/leaving"),
        ("snapshots", "/storage/snapshots"),
        ("settings", "/settings"),
        ("search", "/search?q=pay"),
        ("search-nothing", "/search?q=nothing-is-called-so"),
        ("self", "/self"),
    ]


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390)])
def test_each_screen_is_whole_in_each_theme_and_width(
    page: Page, screens: Sequence[tuple[str, str]], theme: str, width: int, pictures: Path
) -> None:
    faults = [one for name, path in screens for one in look(page, path, pictures / f"{name}-{width}-{theme}.png")]

    assert not faults, "\n".join(faults)


def test_a_job_is_run_and_followed_by_keyboard_alone(page: Page, screens: Sequence[tuple[str, str]]) -> None:
    assert screens
    page.goto("/")

    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    page.locator("summary", has_text="Run a job now").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#kind")).to_be_focused()
    page.keyboard.type("gc")
    page.locator("#kind").press("Tab")
    page.get_by_role("button", name="Run", exact=True).focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="gc done")).to_be_visible()


def test_something_is_found_and_opened_by_keyboard_alone(page: Page, screens: Sequence[tuple[str, str]]) -> None:
    assert screens
    page.goto("/activity")

    page.keyboard.press("/")
    page.keyboard.type("pay/api")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Search: pay/api")).to_be_visible()
    page.get_by_role("link", name="pay/api", exact=True).focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="pay/api").first).to_be_visible()


def test_charts_are_drawn(page: Page, screens: Sequence[tuple[str, str]]) -> None:
    assert screens

    page.goto("/charts?range=1h")

    expect(page.locator("canvas")).to_have_count(14)


def test_a_list_that_is_refreshed_by_itself_waits_while_somebody_types(page: Page) -> None:
    page.clock.install()
    page.goto("/jobs")
    page.locator("label", has_text="Auto").click()
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))

    page.locator("#by-subject").focus()
    page.clock.run_for(25_000)
    assert asked == []
    page.locator("#by-subject").blur()
    with page.expect_request("**/jobs"):
        page.clock.run_for(11_000)
