"""The figures of starts are those of programs that served; what is not here is said, and judged by nobody."""

import os
import sys
from pathlib import Path

import pytest

from appliance import __version__
from tests.bench import starts
from tests.bench.starts import Figures, Program, measure, programs, tell


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder with a file that stands for the packaged program: it runs the sources."""
    folder = tmp_path / "dist"
    folder.mkdir()
    packaged = folder / f"scr-{__version__}-linux-{os.uname().machine}"
    packaged.write_text(f'#!/bin/sh\nexec {sys.executable} -m appliance "$@"\n')
    packaged.chmod(0o755)
    return folder


def test_each_program_that_is_here_is_started_and_told(
    dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "_DROP", tmp_path / "nobody may empty the page cache")
    found = list(programs(tmp_path / "run", dist))
    said: list[str] = []

    figures = measure(found, 1, 1)
    tell(found, figures, said.append)

    assert [one.name for one in found] == ["sources", "packaged"]
    assert all(its.warm[0] > 0 and its.memory > 1 << 20 and not its.cold for its in figures.values())
    assert any("fallback: not measured" in line for line in said)
    assert any("only root can empty the page cache" in line for line in said)


def test_goals_are_judged_by_the_median_of_warm_and_the_best_of_cold(dist: Path, tmp_path: Path) -> None:
    found = list(programs(tmp_path / "run", dist))
    figures = {"sources": Figures([0.3], [0.9], 100), "packaged": Figures([0.5, 0.4, 9.0], [1.3, 1.25], 129)}
    said: list[str] = []

    tell(found, figures, said.append)

    verdicts = {line.strip()[:1] + line.partition(", ")[2].partition(" ≤")[0] for line in said if "packaged, " in line}
    assert verdicts == {"+warm", "-cold", "+memory", "+file"}


def test_a_program_serves_by_its_own_command(tmp_path: Path) -> None:
    one = Program("packaged", tmp_path, ("/bin/scr", "--option"))

    assert one._commands()[0][:4] == ["/bin/scr", "--option", "serve", "--config"]  # noqa: SLF001 - what it is for
