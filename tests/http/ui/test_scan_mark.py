"""The red mark of a scan that newer data or rules have not reached yet: where it stands, and what takes it away."""

import re
from pathlib import Path

from tests import make
from tests.http.ui.asking import ask, send, until
from tests.http.ui.test_images import place_of
from tests.http.ui.test_scans import results_of
from tests.make.server import Server

IMAGE = make.image([{"srv/app.conf": b"key = house_0123456789abcdef\n"}])
RULE = """
[[secret_rule]]
id = "house-token"
pattern = "house_[a-z0-9]{16}"
literals = ["house_"]
"""
MARK = re.compile(r'<span class="text-danger" title="Newer data, detectors or rules wait">')


def test_the_mark_stands_by_the_time_and_the_button_until_a_scan_has_used_the_newer_rules(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        with server.client() as client:
            client.push("mark/app", IMAGE, "1")
        place = results_of(server, "mark/app", IMAGE)
        tags = f"{place_of(server, 'mark/app')}/tags"
        before = [ask(server, page).text for page in (place, tags, f"{place}/secrets")]

        server.config.write_text(RULE)
        marked = until(lambda: MARK.search(ask(server, tags).text) is not None)
        page = ask(server, place).text
        send(server, place)
        gone = until(lambda: MARK.search(ask(server, tags).text) is None)
        secrets = ask(server, f"{place}/secrets").text

        assert not any(MARK.search(text) for text in before)
        assert "key = ****" not in before[2]
        assert marked
        assert MARK.search(page.partition('<div class="page-tools">')[2].partition("Vulnerability scan")[0])
        assert "scan it again" in page
        assert gone
        assert "key = ****" in secrets
