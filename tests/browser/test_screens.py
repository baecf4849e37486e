"""Every screen of registries, repositories, images and tags, in both themes: whole, quiet, and open to everybody."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.screens import Screen, furnish, furnish_scans
from tests.make.server import Server

AXE = Path(__file__).parent / "axe" / "axe.min.js"


@pytest.fixture(scope="module")
def screens(server: Server) -> Sequence[Screen]:
    """What there is to look at."""
    return [*furnish(server), *furnish_scans(server)]


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    """Both."""
    return str(request.param)


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    """A browser in whose pages the checker of accessibility lies ready; the pages themselves may load no such thing."""
    context.add_init_script(path=AXE)
    return context


def faults_of(page: Page) -> list[str]:
    """Return what axe-core finds on the page, a line each."""
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]


def unfold(page: Page) -> None:
    """Open what is folded on the page: it is looked at too."""
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")


def test_nobody_is_shut_out_of_any_screen(page: Page, screens: Sequence[Screen], theme: str, pictures: Path) -> None:
    found: dict[str, list[str]] = {}

    for screen in screens:
        page.goto(screen.address)
        page.screenshot(path=pictures / f"{screen.name}-{theme}.png", full_page=True)
        unfold(page)
        if faults := faults_of(page):
            found[screen.name] = faults

    assert "\n".join(f"{name}: {fault}" for name, faults in found.items() for fault in faults) == ""
