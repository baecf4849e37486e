"""What the packed program tells of its parts: nothing that the console ships of others is left out."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path("packaging/program")
ORIGIN = Path("web/static/ORIGIN.md")


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module of the packing step, which runs by itself and is in no package."""
    monkeypatch.syspath_prepend(str(PROGRAM))
    spec = importlib.util.spec_from_file_location(f"packing_{name}", PROGRAM / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_file_of_others_in_the_console_is_a_part_with_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = load("facts", monkeypatch)

    parts = {part.name: part for part in facts.console(ORIGIN)}

    listed = set(re.findall(r"(?m)^\| `[^`]+` \| (\S+) ", ORIGIN.read_text()))
    assert set(parts) == listed
    assert listed >= {"@tabler/core", "htmx.org", "uplot"}
    for part in parts.values():
        assert "AS IS" in part.notices[0], part.name
        component = part.component()
        assert component["purl"].startswith("pkg:npm/")
        assert component["licenses"][0]["expression"] in ("MIT", "0BSD")


def test_a_bill_of_materials_depends_on_all_parts_and_has_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = load("facts", monkeypatch)
    parts = list(facts.console(ORIGIN))

    document = facts.sbom(parts, "1.2", "2026-01-01T00:00:00Z")

    assert document["bomFormat"] == "CycloneDX"
    assert document["dependencies"] == [{"ref": "scr", "dependsOn": [part.purl for part in parts]}]
    assert {one["bom-ref"] for one in document["components"]} == {part.purl for part in parts}


def test_all_of_the_program_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = tuple(pattern.removesuffix("*") for pattern in found)

    assert packages == load("tree", monkeypatch).PROGRAM
    assert f"-- {' '.join(packages)} LICENSE" in (PROGRAM / "package.sh").read_text()
    assert f"PROGRAM = {packages}".replace("'", '"') in (PROGRAM / "scr.spec").read_text()
