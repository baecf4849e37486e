"""Looks at a screen as somebody would: takes a picture, and asks axe-core what it finds."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parent / "axe" / "axe.min.js"
_UNFOLD = "document.querySelectorAll('main details').forEach((one) => { one.open = true; })"
_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def look(page: Page, path: str, picture: Path) -> list[str]:
    """Open `path`, take a picture of it, unfold it, and return what is wrong with it, a line each."""
    answer = page.goto(path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=str(picture), full_page=True)
    page.evaluate(_UNFOLD)
    faults = [] if answer is not None and answer.status == 200 else ["it is no page"]
    if page.evaluate(_WIDE):
        faults.append("wider than the window")
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    faults += [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]
    return [f"{path}: {fault}" for fault in faults]
