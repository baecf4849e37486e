"""Fields that are judged while they are typed: the message comes beside the field, and what is typed stays."""

import re

from playwright.sync_api import Page, expect


def test_the_fields_of_a_new_registry_are_judged_as_they_are_typed(page: Page) -> None:
    page.goto("/registries/new")
    name = page.get_by_label("Registry name")
    allowed = page.get_by_label("Allowed resources of the private endpoint")

    name.press_sequentially("local")
    expect(page.locator("#h-name")).to_contain_text("there is a registry local already")
    expect(name).to_have_attribute("aria-invalid", "true")
    name.press_sequentially("ly")
    expect(page.locator("#h-name")).to_contain_text("3 to 25")
    expect(name).to_have_attribute("aria-invalid", "false")
    expect(page.locator("#told")).to_contain_text("locally")

    allowed.press_sequentially("10.0.0.0/8\n32.0.0.0/33")
    expect(page.locator("#h-private_allowlist")).to_contain_text("line 2")
    expect(allowed).to_be_focused()
    allowed.press("Backspace")
    expect(page.locator("#h-private_allowlist")).not_to_contain_text("line 2")
    expect(allowed).to_have_value("10.0.0.0/8\n32.0.0.0/3")
    expect(page.locator("#private-caution")).to_contain_text("may be exposed")
    page.get_by_label("Private endpoint access control").check()
    expect(page.locator("#private-caution")).to_be_empty()
    expect(page).to_have_url(re.compile("/registries/new$"))


def test_the_lines_of_an_allowlist_are_judged_as_they_are_typed(page: Page) -> None:
    page.goto("/allowlists/local.private")
    lines = page.get_by_label("The list")

    lines.press_sequentially("127.0.0.1\nnonsense")
    expect(page.locator("#h-text")).to_contain_text("line 2")
    expect(lines).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#admits")).to_contain_text("would shut your own address out")
    for _ in "nonsense":
        lines.press("Backspace")

    expect(page.locator("#h-text")).to_contain_text("Every line is well")
    expect(page.locator("#admits")).to_contain_text("lets your own address in")
    expect(lines).to_be_focused()
    expect(lines).to_have_value("127.0.0.1\n")
