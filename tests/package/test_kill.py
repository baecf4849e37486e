"""kill -9 of the packaged file while a crowd pushes, moves and deletes."""

import random
from pathlib import Path

import pytest

from tests.crash.crowd import Crowd
from tests.crash.server import CONFIG, check_folder
from tests.package.hosts import bare, is_fallback

SEED = 6


@pytest.mark.skipif(is_fallback(), reason="killed, PyInstaller's parent leaves its child serving: docs/packaging.md")
def test_what_was_acknowledged_outlives_kills_at_any_moment(tmp_path: Path) -> None:
    server = bare("bookworm").server(tmp_path / "server", CONFIG.replace('grace = "1s"', 'grace = "1h"'))
    chance = random.Random(SEED)  # noqa: S311 - the same moments, as far as threads allow
    server.start()
    try:
        for number in range(6):
            crowd = Crowd(server, f"moment{number}")
            crowd.start()
            crowd.wait_for(chance.randrange(1, 40))
            server.kill()
            crowd.join()
            server.start()
            with server.client() as client:
                crowd.check(client)
        server.stop()
        check_folder(server.data)
    finally:
        server.kill()
