"""Whether a packed program carries the whole console: pages, assets, translations."""

import re

from tests import make

_LINK = re.compile(r'(?:href|src)="(/[^"]*)"')
_HANGUL = re.compile("[\uac00-\ud7a3]")


def look_at_console(client: make.Client) -> None:
    """Open the first page in Korean, and every page, style, script and picture that it leads to."""
    home = client.request("GET", "/", headers={"Accept": "text/html", "Accept-Language": "ko"}).expect(200)
    assert _HANGUL.search(home.body.decode())

    links = {link.partition("#")[0] for link in _LINK.findall(home.body.decode())}
    assets = {link for link in links if link.startswith("/static/")}
    assert len(assets) > 3
    assert len(links - assets) > 3
    for link in sorted(links):
        client.request("GET", link, headers={"Accept": "text/html"}).expect(200)
