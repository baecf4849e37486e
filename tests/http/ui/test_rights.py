"""Buttons stand only where the viewer has the right: the pages as somebody who may look at everything sees them."""

import re

import pytest

from tests.http.ui.asking import ask
from tests.http.ui.test_access import address, cookies, ids, members, routes
from tests.make.server import Server

__all__ = ["cookies", "ids", "members"]  # fixtures
OWN = {"/self/password", "/access-keys", "/first-administrator"}  # forms that are everybody's
FORMS = ("/new", "/delete", "/delete-tags", "/accept", "/manifests/{digest:str}/tags", "/by-hand")  # pages that are one
LEADS = re.compile(r'<a class="[^"]*btn[^"]*" href="([^"?]+/(?:new|delete)|[^"?]+/delete-tags)[?"]')
PAGES = [path for method, path in routes() if method == "GET" and not path.endswith(FORMS)]


def offered(text: str) -> set[str]:
    """Return where the forms that change something and the buttons of a page lead."""
    main = text.partition("<main")[2].partition("</main>")[0]
    forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', main)
    return {*forms, *re.findall(r'formaction="([^"]+)"', main), *LEADS.findall(main)}


@pytest.mark.parametrize("path", PAGES)
def test_who_may_only_look_is_offered_nothing_else(
    server: Server, cookies: dict[str, str], ids: dict[str, str], path: str
) -> None:
    found = offered(ask(server, address(path, ids), Cookie=cookies["viewer"]).text)

    assert {one for one in found if one not in OWN and one.partition("?")[0] != "/access-keys/new"} == set()


@pytest.mark.parametrize(
    ("path", "button"),
    [
        ("/registries", "/registries/new"),
        ("/registries/{registry_id:str}", "/registries/{registry_id:str}"),
        ("/registries/{registry_id:str}", "/registries/{registry_id:str}/delete"),
        ("/registries/{registry_id:str}/tags", "/registries/{registry_id:str}/tags"),
        ("/repositories/{repository_id:str}", "/repositories/{repository_id:str}/delete"),
        ("/repositories/{repository_id:str}/tags", "/repositories/{repository_id:str}/tags"),
        ("/users", "/users/new"),
        ("/users/{user_id:str}", "/users/{user_id:str}/delete"),
        ("/groups/{group_id:str}", "/groups/{group_id:str}/members"),
        ("/roles/{role_id:str}", "/roles/{role_id:str}"),
        ("/policies/{policy_id:str}", "/policies/{policy_id:str}"),
        ("/access-keys/{access_key:str}", "/access-keys/{access_key:str}/rotate"),
        ("/allowlists/local.private", "/allowlists/local.private"),
    ],
)
def test_who_may_do_everything_is_offered_it(
    server: Server, cookies: dict[str, str], ids: dict[str, str], path: str, button: str
) -> None:
    found = offered(ask(server, address(path, ids), Cookie=cookies["ann"]).text)

    assert address(button, ids) in found


def test_what_a_viewer_sees_of_a_registry_is_all_but_the_forms(
    server: Server, cookies: dict[str, str], ids: dict[str, str]
) -> None:
    text = ask(server, f"/registries/{ids['registry_id']}", Cookie=cookies["viewer"]).text

    for name in ("Private endpoint access control", "Visibility", "Quota", "Traffic log"):
        assert name in text
    assert "readonly" in ask(server, "/allowlists/local.private", Cookie=cookies["viewer"]).text
