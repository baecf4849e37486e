"""The module map: imports point down, two libraries stay behind their package, and no file reads its own path."""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

APPLIANCE = Path("appliance")
LONGEST = 400  # lines; a longer file has two subjects

# part of appliance/ -> the parts it may import besides itself
ARROWS: dict[str, frozenset[str]] = {
    "__main__": frozenset({"cli"}),
    "cli": frozenset({"assemble", "config", "services", "domain", "program", "assets", "errors", "logs"}),
    "http": frozenset({"services", "domain", "db", "blobstore", "assets", "errors", "logs", "metrics"}),
    "scheduler": frozenset({"db", "domain", "errors", "logs", "metrics"}),
    "services": frozenset({"db", "blobstore", "scan", "domain", "program", "assets", "errors", "logs", "metrics"}),
    "scan": frozenset({"domain", "assets", "errors"}),
    "blobstore": frozenset({"domain", "errors", "logs", "metrics"}),
    "db": frozenset({"domain", "assets", "errors", "logs", "metrics"}),
    "domain": frozenset({"errors"}),
    "config": frozenset({"domain", "assets", "errors"}),
    "program": frozenset({"assets"}),
    "assets": frozenset({"errors"}),
    "metrics": frozenset(),
    "logs": frozenset(),
    "errors": frozenset(),
}
ASSEMBLE = "assemble"  # knows every part; only cli knows it
OWNERS = {"apsw": "db", "obstore": "blobstore"}  # library -> the one package that imports it
NOWHERE = {
    "importlib.metadata": "the shipped program has no package metadata; appliance.__version__ is the version",
    "multiprocessing": "the shipped program spawns itself by a command line of its own",
    "pkg_resources": "files are read through appliance.assets",
}
EMPTY_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"})


def part_of(path: PurePosixPath) -> str:
    """Return the part of appliance/ that a file belongs to, "" for the package itself."""
    first = path.parts[1].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of every import, wherever it stands; `from a import b` is `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def faults(path: PurePosixPath, source: str) -> list[str]:
    """Return what is wrong with the file `path` (from the project's root) of the text `source`, a line each."""
    tree = ast.parse(source)
    part = part_of(path)
    found = [f"{path}: the name says nothing about its subject"] if path.stem in EMPTY_NAMES else []
    if part and part != ASSEMBLE and part not in ARROWS:
        found.append(f"{path}: {part} has no room in the module map")
    if (lines := source.count("\n")) > LONGEST:
        found.append(f"{path}: {lines} lines; more than {LONGEST} are two subjects")
    for line, name in imports(tree):
        found += [f"{path}:{line}: {fault}" for fault in _import_faults(part, name)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "__file__":
            found.append(f"{path}:{node.lineno}: __file__; the shipped program has no folder, use appliance.assets")
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"asyncio.create_task", "asyncio.ensure_future"}:
            found.append(f"{path}:{node.lineno}: a task without an owner; use a task group")
    return found


def _import_faults(part: str, name: str) -> Iterator[str]:
    first, *rest = name.split(".")
    if not first:
        yield f"relative import of {name}; write the whole name"
    elif first in OWNERS and part != OWNERS[first]:
        yield f"only {OWNERS[first]}/ imports {first}"
    elif first == "appliance" and rest and not rest[0].startswith("__"):
        allowed = ARROWS.get(part, frozenset()) | {part}
        if part != ASSEMBLE and rest[0] not in allowed:
            yield f"{part or 'the package'} may not import {rest[0]}"
    for forbidden, reason in NOWHERE.items():
        if name == forbidden or name.startswith(f"{forbidden}."):
            yield f"{forbidden}: {reason}"


def test_the_code_follows_the_module_map() -> None:
    files = sorted(APPLIANCE.rglob("*.py"))

    found = [fault for file in files for fault in faults(PurePosixPath(file.as_posix()), file.read_text())]

    assert len(files) > 10, "run the tests from the project's root"
    assert found == []


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("appliance/db/tags.py", "from appliance.services import push", "db may not import services"),
        ("appliance/db/tags.py", "from appliance import http", "db may not import http"),
        ("appliance/domain/names.py", "def f():\n    import appliance.db.tags", "domain may not import db"),
        ("appliance/http/front.py", "from appliance.assemble import run", "http may not import assemble"),
        ("appliance/http/front.py", "from . import health", "relative import"),
        ("appliance/services/push.py", "import apsw", "only db/ imports apsw"),
        ("appliance/services/push.py", "from obstore.store import S3Store", "only blobstore/ imports obstore"),
        ("appliance/cli/main.py", "from importlib.metadata import version", "importlib.metadata"),
        ("appliance/cli/main.py", "from importlib import metadata", "importlib.metadata"),
        ("appliance/scan/worker.py", "import multiprocessing.pool", "multiprocessing"),
        ("appliance/db/migrate.py", "print(__file__)", "__file__"),
        ("appliance/http/front.py", "import asyncio\nasyncio.create_task(f())", "without an owner"),
        ("appliance/db/utils.py", "", "says nothing"),
        ("appliance/extra/thing.py", "", "no room"),
        ("appliance/db/tags.py", "\n" * 401, "two subjects"),
    ],
)
def test_a_break_of_the_map_is_found(path: str, source: str, fault: str) -> None:
    found = faults(PurePosixPath(path), source)

    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("appliance/assemble.py", "from appliance.http.front import Front\nfrom appliance.cli import main"),
        ("appliance/cli/serve.py", "from appliance.assemble import serve\nfrom appliance import __version__"),
        ("appliance/db/database.py", "import apsw\nfrom appliance.domain.names import Digest"),
        ("appliance/http/v2/app.py", "from appliance.db import manifests\nfrom appliance.http.v2.call import Call"),
    ],
)
def test_what_the_map_allows_is_not_found(path: str, source: str) -> None:
    assert faults(PurePosixPath(path), source) == []
