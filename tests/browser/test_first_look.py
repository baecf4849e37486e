"""The page that somebody sees who has just started the registry."""

from playwright.sync_api import Page, expect

from tests.make.server import Server


def test_the_first_page_names_the_very_address_that_was_opened(page: Page, server: Server) -> None:
    page.goto("/")

    expect(page.get_by_role("heading", name="Push your first image")).to_be_visible()
    expect(page.get_by_text(f"docker push {server.address}/hello/busybox:1")).to_be_visible()


def test_the_theme_stays_as_it_was_chosen(page: Page) -> None:
    page.goto("/")
    page.get_by_title("Theme").first.click()

    page.get_by_role("button", name="Dark").click()
    page.reload()

    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"


def test_search_has_a_key(page: Page) -> None:
    page.goto("/")

    page.keyboard.press("/")

    expect(page.get_by_role("searchbox")).to_be_focused()
