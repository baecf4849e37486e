"""What every page has: headers, assets that are kept for ever, languages, forms that only our own pages can send."""

import gzip
import re
import urllib.request

import pytest

from appliance import assets
from appliance.http.ui import static
from tests.http.ui.asking import ask, token
from tests.make.server import Server


def test_a_page_may_load_only_what_the_program_serves(server: Server) -> None:
    answer = ask(server, "/")

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert re.findall(r'(?:src|href)="(?!/|#)([^"]*)"', answer.text) == []
    assert re.search(r"<(?:script|style)(?![^>]*src)[^>]*>", answer.text) is None
    assert " style=" not in answer.text
    assert not re.search(r'\son[a-z]+="', answer.text)


def test_an_asset_is_kept_for_ever_under_the_name_of_its_bytes(server: Server) -> None:
    url = static.url_of("app.css")

    plain, packed = ask(server, url), ask(server, url, Accept_Encoding="gzip")

    assert plain.content == gzip.decompress(packed.content) == assets.read("web.static", "app.css")
    assert "immutable" in plain.headers["cache-control"]
    assert packed.headers["content-encoding"] == "gzip"
    assert ask(server, "/static/app.000000000000.css").status == 404
    assert ask(server, "/static/ORIGIN.md").status == 404
    assert ask(server, "/static/%2e%2e%2fbase.html").status == 404


def test_all_assets_together_are_small() -> None:
    names = [name for suffix in (".css", ".js", ".svg") for name in assets.list_names("web.static", suffix)]

    assert len(names) > 5
    assert sum(len(gzip.compress(assets.read("web.static", name))) for name in names) < 300_000


def test_what_we_did_not_write_has_its_licence_beside_it() -> None:
    origin = assets.read("web.static", "ORIGIN.md").decode()
    own = {"app.css", "app.js", "charts.js", "theme.js", "mark.svg"}
    names = {name for suffix in (".css", ".js", ".svg") for name in assets.list_names("web.static", suffix)}

    assert {name for name in names - own if f"| `{name}` |" not in origin} == set()
    for package in ("@tabler/core", "@tabler/icons", "htmx.org", "uplot"):
        assert f"## {package}" in origin


def test_a_page_speaks_the_language_that_was_asked_for(server: Server) -> None:
    assert '<html lang="ko">' in ask(server, "/", Accept_Language="ko-KR,ko;q=0.9,en;q=0.8").text
    assert "첫 이미지 푸시하기" in ask(server, "/", Cookie="scr-language=ko").text
    assert '<html lang="en">' in ask(server, "/", Accept_Language="fr").text


def test_the_chosen_language_is_remembered_and_the_page_comes_back(server: Server) -> None:
    answer = ask(server, "/language", f"csrf={token(server)}&back=%2Fimages&language=ko")

    assert (answer.status, answer.headers["location"]) == (303, "/images")
    assert "scr-language=ko" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "back", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", "\r\nX: 1"]
)
def test_no_form_sends_anybody_elsewhere(server: Server, back: str) -> None:
    answer = ask(server, "/language", f"csrf={token(server)}&language=ko&back={urllib.request.quote(back)}")  # type: ignore[attr-defined] # it is there

    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("body", ["", "language=ko", "csrf=&language=ko", "csrf=0000&language=ko"])
def test_a_form_without_the_token_of_a_page_changes_nothing(server: Server, body: str) -> None:
    answer = ask(server, "/language", body)

    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_a_page_of_another_site_can_send_no_form(server: Server) -> None:
    body = f"csrf={token(server)}&language=ko"

    assert ask(server, "/language", body, Sec_Fetch_Site="cross-site").status == 403
    assert ask(server, "/language", body, Origin="https://evil.test").status == 403


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/json"])
def test_only_the_form_of_a_page_is_read(server: Server, kind: str) -> None:
    assert ask(server, "/language", f"csrf={token(server)}", Content_Type=kind).status == 400


def test_a_page_that_is_not_there_says_so_on_a_page(server: Server) -> None:
    answer = ask(server, "/nothing/%3Cscript%3Ealert(1)%3C/script%3E", Accept="text/html")

    assert answer.status == 404
    assert "<h1" in answer.text
    assert "<script>alert" not in answer.text
