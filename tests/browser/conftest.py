"""A real browser, Debian's Chromium, driven by Playwright. A page must log no error and ask no other host."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.clients.programs import find
from tests.make.server import Server

_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of one module: Playwright runs an event loop in this thread, which no other module may meet."""
    program = find("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=[*_OPTIONS])
        yield started
        started.close()


class Watched:
    """A page, and everything it did that it must not."""

    def __init__(self, page: Page, host: str) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda line: self.faults.append(f"console: {line.text}") if line.type == "error" else None)
        page.on(
            "request",
            lambda one: self.faults.append(f"asked {one.url}") if urlsplit(one.url).netloc != host else None,
        )


@pytest.fixture(params=["light"])
def theme(request: pytest.FixtureRequest) -> str:
    """The theme that the system asks for; a module that looks at both names both."""
    return str(request.param)


@pytest.fixture
def width() -> int:
    """The width of the window in pixels; a module for narrow ones has a fixture of this name."""
    return 1280


@pytest.fixture
def context(browser: Browser, server: Server, theme: str, width: int) -> Iterator[BrowserContext]:
    """A browser that was never here before."""
    scheme = "dark" if theme == "dark" else "light"
    opened = browser.new_context(base_url=server.url, viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type] # one of its words
    opened.set_default_timeout(20_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Iterator[Page]:
    """A page that must end without a fault."""
    watched = Watched(context.new_page(), server.address)
    yield watched.page
    assert watched.faults == []


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder that screenshots go to: .cache/screens, or $SCR_TEST_SCREENS."""
    folder = Path(os.environ.get("SCR_TEST_SCREENS", Path(__file__).parents[2] / ".cache" / "screens"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
