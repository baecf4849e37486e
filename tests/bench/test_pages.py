"""The lists of the console are loaded and weighed."""

from pathlib import Path

from tests.bench.pages import measure, show, weigh_assets
from tests.bench.scale_data import Size


def test_every_list_is_weighed_and_told(tmp_path: Path) -> None:
    said: list[str] = []

    pages = measure(tmp_path, Size(30, manifests=2, tags=2, big_tags=130), 1, said.append)
    show(pages, weigh_assets(), said.append)

    assert len(pages) == 16
    assert all(0 < page.packed < 100_000 for page in pages)
    assert any("all assets" in line for line in said)
