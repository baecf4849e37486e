"""Whether a packed program carries the whole console: pages, assets, translations."""

import re

from tests import make

_LINK = re.compile(r'(?:href|src|hx-get)="(/[^"]*)"')
_HANGUL = re.compile("[\uac00-\ud7a3]")
_KINDS = 60  # there are more of them once an image is pushed; far fewer were reached if a part led nowhere


def look_at_console(client: make.Client) -> None:
    """Open in Korean every page, style, script and picture that one gets to from the first page; an image is pushed.

    Each template is read when its page is first asked for: one that was left out is seen here only.
    """
    waiting, seen = ["/"], dict[str, str]()
    while waiting:
        link = waiting.pop().partition("#")[0].replace("&amp;", "&")
        path = link.partition("?")[0]
        if path in seen:
            continue
        page = client.request("GET", link, headers={"Accept": "text/html", "Accept-Language": "ko"}).expect(200)
        seen[path] = page.headers.get("content-type", "")
        if seen[path].startswith("text/html") and not path.startswith("/api/"):
            assert _HANGUL.search(page.body.decode()), path
            waiting += _LINK.findall(page.body.decode())

    assert len(seen) >= _KINDS, sorted(seen)
    assert len([path for path in seen if path.startswith("/static/")]) > 8
