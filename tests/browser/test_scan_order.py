"""A scan is ordered in two steps, as the manual has it: the button, and the confirmation; scripts or none."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests import make
from tests.make.server import Server

WILL_BE = "Vulnerability assessment will be performed."


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "none"])
def test_a_scan_is_ordered_after_a_confirmation(browser: Browser, server: Server, *, has_scripts: bool) -> None:
    name = "scripts" if has_scripts else "none"
    with server.client() as client:
        client.push(f"order/{name}", make.image([{"a": name.encode()}]), "1")
    context = browser.new_context(base_url=server.url, java_script_enabled=has_scripts)
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto("/images?registry=local&repository=order")
    page.get_by_role("link", name=f"order/{name}").click()
    page.get_by_role("link", name="Tags", exact=True).last.click()
    tags = page.url

    page.get_by_role("button", name="More").click()
    page.locator(".pop").get_by_role("button", name="Vulnerability scan").click()
    asked = page.get_by_role("dialog", name="Vulnerability scan")
    expect(asked).to_be_visible()
    asked.get_by_role("button", name="Cancel").click()
    expect(asked).to_be_hidden()
    expect(page.get_by_text(WILL_BE)).to_be_hidden()
    page.goto(tags)
    page.get_by_role("button", name="More").click()
    page.locator(".pop").get_by_role("button", name="Vulnerability scan").click()
    page.get_by_role("dialog", name="Vulnerability scan").get_by_role("button", name="Confirm").click()

    expect(page.get_by_role("status").filter(has_text=WILL_BE)).to_be_visible()
    for kind in ("repositories", "registries"):
        page.goto(f"/{kind}")
        page.locator(f"main a[href^='/{kind}/']").filter(has_text=re.compile("order|local")).first.click()
        page.get_by_role("button", name="Vulnerability scan").click()
        page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
        expect(page).to_have_url(re.compile("/jobs/"))
    context.close()
