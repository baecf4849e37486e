"""The same screens on a telephone, 390 pixels wide: nothing is cut off, and no page moves sideways."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.screens import Screen, furnish, furnish_scans
from tests.make.server import Server


@pytest.fixture(scope="module")
def screens(server: Server) -> Sequence[Screen]:
    """What there is to look at."""
    return [*furnish(server), *furnish_scans(server)]


@pytest.fixture
def width() -> int:
    """That of a telephone."""
    return 390


def test_no_page_is_wider_than_the_window(page: Page, screens: Sequence[Screen], pictures: Path) -> None:
    wide = {}

    for screen in screens:
        page.goto(screen.address)
        page.screenshot(path=pictures / f"{screen.name}-narrow.png", full_page=True)
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[screen.name] = width

    assert wide == {}


def test_the_menu_opens_and_leads_on(page: Page, screens: Sequence[Screen]) -> None:
    assert screens
    page.goto("/repositories")

    page.get_by_text("Show the menu").locator("..").click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Images").click()

    expect(page.get_by_role("heading", name="Images", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="pay/api")).to_be_visible()
