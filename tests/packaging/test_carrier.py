"""The carrier of compiled modules: what it loads, from where, and what it refuses to load.

It runs in a child of its own, with a real compiled module of the environment as what is carried.
"""

import hashlib
import os
import subprocess
import sys
import zlib
from pathlib import Path

import msgspec
import pytest

RECIPE = Path(__file__).resolve().parents[2] / "packaging" / "program"
_CORE = Path(msgspec._core.__file__)  # noqa: SLF001 - a compiled module that is here for certain

# a carrier as the packed program makes one, and then the words of the test
_START = """
import os, sys
from pathlib import Path
from scr_carrier import Carrier, Contents
from scr_carrier import contents
carrier = Carrier(Contents(contents.BUILD, contents.SUMS, contents.NEEDS, contents.VERSIONS), os.environ)
sys.meta_path.insert(0, carrier)
folder = Path(sys.argv[1])
"""


@pytest.fixture
def carrier(tmp_path: Path) -> Path:
    """A folder with the carrier, and `_core` as its one module, called `carried`."""
    package = tmp_path / "packed" / "scr_carrier"
    package.mkdir(parents=True)
    for source in (RECIPE / "scr_carrier").glob("*.py"):
        (package / source.name).write_bytes(source.read_bytes())
    content = _CORE.read_bytes()
    (package / "msgspec._core.z").write_bytes(zlib.compress(content))
    sums = {"msgspec._core": (len(content), hashlib.sha256(content).hexdigest())}
    text = f"BUILD = 'first'\nSUMS = {sums!r}\nNEEDS = {{}}\nVERSIONS = {{'some-library': '1.2'}}\n"
    (package / "contents.py").write_text(text)
    return tmp_path / "packed"


def run(carrier: Path, words: str, folder: Path, **environment: str) -> list[str]:
    """Return the lines that `words` print after the carrier has started."""
    ended = subprocess.run(
        [sys.executable, "-c", _START + words, str(folder)],
        env={**os.environ, "PYTHONPATH": str(carrier), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


PLACE = "import msgspec._core as core; print(core.__spec__.origin)\n"


def test_a_module_is_loaded_from_memory_before_the_data_folder_is_known(carrier: Path, tmp_path: Path) -> None:
    (origin,) = run(carrier, PLACE, tmp_path)

    assert origin.startswith("/proc/self/fd/")


def test_it_is_loaded_from_the_data_folder_once_that_is_known(carrier: Path, tmp_path: Path) -> None:
    lib = tmp_path / "data" / "lib"

    said, origin = run(carrier, "print(repr(carrier.settle(folder)))\n" + PLACE, lib)

    assert said == "''"
    assert origin == str(lib / "first" / "msgspec._core.so")
    assert Path(origin).read_bytes() == _CORE.read_bytes()
    assert [path.stat().st_mode & 0o777 for path in (lib, lib / "first", Path(origin))] == [0o700, 0o700, 0o500]


def test_a_child_loads_from_where_its_parent_settled(carrier: Path, tmp_path: Path) -> None:
    child = "import subprocess; carrier.settle(folder); subprocess.run([sys.executable, '-c', sys.argv[2], '-'])\n"
    words = child.replace("sys.argv[2]", repr(_START + PLACE))

    (origin,) = run(carrier, words, tmp_path / "lib")

    assert origin == str(tmp_path / "lib" / "first" / "msgspec._core.so")


def test_a_changed_file_is_not_loaded_and_is_written_anew_by_the_next_start(carrier: Path, tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    run(carrier, "carrier.settle(folder)\n", lib)
    path = lib / "first" / "msgspec._core.so"
    path.chmod(0o700)
    path.write_bytes(_CORE.read_bytes()[:-8] + b"changed!")

    (origin,) = run(carrier, "carrier.settle(folder)\n" + PLACE, lib)
    assert origin.startswith("/proc/self/fd/")
    assert not path.exists()

    (origin,) = run(carrier, "carrier.settle(folder)\n" + PLACE, lib)
    assert origin == str(path)


@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_others_may_write_is_not_loaded(carrier: Path, tmp_path: Path, which: str) -> None:
    lib = tmp_path / "lib"
    run(carrier, "carrier.settle(folder)\n", lib)
    place = lib / "first"
    (place / "msgspec._core.so" if which == "file" else place).chmod(0o777)

    (origin,) = run(carrier, PLACE, lib, SCR_CARRIED=str(place))

    assert origin.startswith("/proc/self/fd/")


def test_a_link_is_not_followed(carrier: Path, tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    run(carrier, "carrier.settle(folder)\n", lib)
    path = lib / "first" / "msgspec._core.so"
    path.rename(tmp_path / "elsewhere.so")
    path.symlink_to(tmp_path / "elsewhere.so")

    (origin,) = run(carrier, PLACE, lib, SCR_CARRIED=str(path.parent))

    assert origin.startswith("/proc/self/fd/")


def test_the_place_of_another_build_is_not_believed(carrier: Path, tmp_path: Path) -> None:
    (origin,) = run(carrier, PLACE, tmp_path, SCR_CARRIED=str(tmp_path / "second"))

    assert origin.startswith("/proc/self/fd/")


def test_what_earlier_builds_and_crashes_left_is_removed(carrier: Path, tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    for name in ("earlier", "first.0a1b2c3d"):
        (lib / name).mkdir(parents=True)
        (lib / name / "msgspec._core.so").write_bytes(b"old")

    run(carrier, "carrier.settle(folder)\n", lib)

    assert [path.name for path in lib.iterdir()] == ["first"]


@pytest.mark.parametrize("left", [None, b"", b"\x7fELF cut"])
def test_what_is_half_there_is_written_anew(carrier: Path, tmp_path: Path, left: bytes | None) -> None:
    (tmp_path / "lib" / "first").mkdir(parents=True, mode=0o700)
    if left is not None:
        (tmp_path / "lib" / "first" / "msgspec._core.so").write_bytes(left)

    (origin,) = run(carrier, "carrier.settle(folder)\n" + PLACE, tmp_path / "lib")

    assert origin == str(tmp_path / "lib" / "first" / "msgspec._core.so")


def test_where_nothing_can_be_written_it_says_so_and_stays_in_memory(carrier: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").write_text("a file is in the way")

    said, origin = run(carrier, "print(carrier.settle(folder))\n" + PLACE, tmp_path / "lib")

    assert said.startswith("nothing can be executed from ")
    assert origin.startswith("/proc/self/fd/")


def test_a_library_that_asks_for_its_own_version_hears_it(carrier: Path, tmp_path: Path) -> None:
    lines = run(carrier, "from importlib.metadata import version; print(version('Some_Library'))\n", tmp_path)

    assert lines == ["1.2"]
