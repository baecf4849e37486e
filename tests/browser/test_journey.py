"""The whole way with a real client: make, push, lock, fail to delete, test a policy, delete; by mouse and by keys."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import make
from tests.clients.programs import Program
from tests.make.layout import write_layout
from tests.make.server import Server

PLAIN = ("--dest-tls-verify=false",)


@pytest.fixture(scope="module")
def skopeo(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The client that pushes."""
    return Program("skopeo", tmp_path_factory.mktemp("home"))


def push(skopeo: Program, server: Server, folder: Path, name: str, tags: Sequence[str]) -> None:
    """Push an image of its own under each of `tags`."""
    for number, tag in enumerate(tags):
        image = make.image([{"etc/motd": f"{name} {number}".encode()}])
        source = write_layout(folder / f"{name.replace('/', '-')}-{tag}", image, tag)
        skopeo.run(
            "copy", "--preserve-digests", *PLAIN, f"oci:{source}:{tag}", f"docker://{server.address}/{name}:{tag}"
        )


def test_from_an_empty_console_to_a_deleted_repository(
    page: Page, server: Server, skopeo: Program, tmp_path: Path
) -> None:
    make_places(page)
    page.goto("/images?registry=local&repository=shop")
    expect(page.get_by_text("No image is here yet")).to_be_visible()
    push(skopeo, server, tmp_path, "shop/api", ["1.0", "1.1", "1.2"])
    page.get_by_role("link", name="Refresh").click()
    page.get_by_role("link", name="shop/api").click()
    expect(page.get_by_text("Refused at 1 or more High vulnerabilities.")).to_be_visible()

    lock_and_fail_to_delete(page)
    try_policy(page)
    delete_and_undo(page)
    delete_repository(page)


def make_places(page: Page) -> None:
    """Make a registry, and a repository whose summary says what its policy will do."""
    page.goto("/registries/new")
    page.get_by_label("Registry name").fill("journey")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("status")).to_contain_text("Registry journey was created.")
    page.goto("/repositories/new?registry=local")
    page.get_by_label("Repository name").fill("shop")
    page.get_by_label("Refuse at this many High vulnerabilities or more").check()
    expect(page.locator("#told")).to_contain_text("Refused at 1 or more High vulnerabilities.")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Repository shop was created.")


def open_tab(page: Page, name: str) -> None:
    """Go to a tab of the image."""
    page.get_by_role("navigation", name="shop/api").get_by_role("link", name=name).click()


def lock_and_fail_to_delete(page: Page) -> None:
    """Lock the image; what is selected then cannot be deleted, and the page says why."""
    page.get_by_role("button", name="Lock", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("lock status edit was successful")
    open_tab(page, "Tags")
    page.get_by_label("Select 1.0").check()
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="is locked")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    page.get_by_role("link", name="shop/api").click()
    open_tab(page, "Details")
    page.get_by_role("button", name="Unlock", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("lock status edit was successful")


def try_policy(page: Page) -> None:
    """Change a policy on the page of its test: what would go is there at once, and in the address."""
    open_tab(page, "Deletion policy test")
    page.get_by_label("Newest digests to keep").fill("1")
    page.get_by_label("Keep only this many of the newest digests").check()
    expect(page.get_by_text("Deletion policy test execution request has been completed.")).to_be_visible()
    expect(page.get_by_role("cell", name="1.0", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name="1.2", exact=True)).to_have_count(0)
    expect(page).to_have_url(re.compile("keep_newest=1"))


def delete_and_undo(page: Page) -> None:
    """Delete two tags at once after a look at what that takes, and bring them back."""
    open_tab(page, "Tags")
    page.get_by_label("Select 1.0").check()
    page.get_by_label("Select 1.1").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("tags go with them")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("link", name="1.2", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="1.0", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="1.0", exact=True)).to_be_visible()


def delete_repository(page: Page) -> None:
    """Delete the repository: the button waits for its whole name."""
    page.goto("/repositories?registry=local&name=shop")
    page.get_by_role("link", name="shop", exact=True).click()
    page.get_by_role("link", name="Delete repository").click()
    page.get_by_label("Type the name to confirm").fill("sho")
    expect(page.get_by_role("button", name="Delete repository")).to_be_disabled()
    page.get_by_label("Type the name to confirm").fill("shop")
    page.get_by_role("button", name="Delete repository").click()
    expect(page.get_by_role("status")).to_contain_text("Repository shop was deleted.")
    expect(page.get_by_role("link", name="shop", exact=True)).to_have_count(0)


def test_the_url_of_a_tag_is_copied_for_each_client(
    page: Page, server: Server, skopeo: Program, tmp_path: Path
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    push(skopeo, server, tmp_path, "copied/api", ["1.0"])
    page.goto("/images?registry=local&repository=copied")
    page.get_by_role("link", name="copied/api").click()
    page.get_by_role("navigation", name="copied/api").get_by_role("link", name="Tags").click()

    page.get_by_role("button", name="Copy URL").click()
    command = page.locator(".tool").filter(has_text="podman").first
    command.get_by_role("button").click()

    expect(command.locator(".copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"podman pull --tls-verify=false {server.address}/copied/api:1.0"


def test_a_repository_is_made_and_found_by_keys_alone(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", name="Repositories", level=1)).to_be_visible()
    press_until(page, "Create repository")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Create repository", level=1)).to_be_visible()

    press_until(page, "Repository name")
    page.keyboard.type("bykeys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Repository bykeys was created.")

    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("link", name="bykeys")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("bykeys")


def press_until(page: Page, name: str) -> None:
    """Press Tab until what is called `name` has the focus, and is seen to have it."""
    wanted = page.get_by_role("link", name=name).or_(page.get_by_label(name)).first
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("(one) => one === document.activeElement"):
            assert wanted.evaluate("(one) => getComputedStyle(one).outlineStyle") != "none" or wanted.evaluate(
                "(one) => getComputedStyle(one).boxShadow"
            )
            return
    raise AssertionError(f"Tab never comes to {name}")


def test_a_list_does_not_move_under_whoever_selects(
    page: Page, server: Server, skopeo: Program, tmp_path: Path
) -> None:
    push(skopeo, server, tmp_path, "calm/api", ["1.0"])
    page.goto("/images?registry=local&repository=calm")
    page.get_by_role("link", name="calm/api").click()
    page.get_by_role("navigation", name="calm/api").get_by_role("link", name="Tags").click()
    page.get_by_label("Select 1.0").check()

    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.clock.install()
    page.get_by_text("Auto").click()
    page.clock.run_for(40_000)
    before = len(asked)
    page.get_by_label("Select 1.0").uncheck()
    page.evaluate("document.activeElement.blur()")
    with page.expect_request("**/tags**"):
        page.clock.run_for(20_000)

    assert before == 0
