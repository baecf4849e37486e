"""The harness of the scanners' run: its images are images, and what it measures is what a command took."""

import sys
from pathlib import Path

from appliance.services import layout_source
from tests.bench.scan_image import make_top, write_layout
from tests.bench.scanning import spend


def test_an_image_of_the_harness_is_whole_and_no_other(tmp_path: Path) -> None:
    one, other = (make_top(tmp_path, number) for number in (1, 2))

    found = layout_source.read(layout_source.open_source(write_layout(tmp_path / "layout", (one, other))))

    assert {f"sha256:{layer.digest}" for layer in (one, other)} < set(found.sizes)
    assert one.digest != other.digest


def test_what_a_command_and_its_children_take_is_counted(tmp_path: Path) -> None:
    burn = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(3_000_000))'], check=True)"
    (tmp_path / "burn.py").write_text(burn)

    idle, busy = spend([sys.executable, "-c", "pass"], {}), spend([sys.executable, str(tmp_path / "burn.py")], {})

    assert busy.cpu > idle.cpu
    assert busy.wall > 0
