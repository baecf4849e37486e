"""Nothing a user can meet is missing from README and docs: settings, commands, errors, dependencies, log lines."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import errors, metrics
from appliance.errors import ScrError
from appliance.http.api import problem
from appliance.http.v2.problems import ANSWERS
from tests.docs import commands, settings
from tests.docs.pages import ROOT, find_pages, read_all

_EVENT = re.compile(r'(?:(?<!`)log\.(?:info|warn|error)\(|Turned\()\s*"([a-z_]+\.[a-z_]+)"')
_ROW = re.compile(r"(?m)^\| `([a-z-]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$")
_LINK = re.compile(r"\[[^\]]*\]\((?!https?://)([^)#\s]*)(#[^)\s]*)?\)")
_RECORDING = frozenset({"record", "_record", "append", "note"})
_TARGET = re.compile(r"`make ([a-z-]+)`|(?m:^    make ([a-z-]+)$)")


def list_kinds(family: type[ScrError] = ScrError) -> list[type[ScrError]]:
    """Return every kind of error."""
    return [family, *(kind for child in family.__subclasses__() for kind in list_kinds(child))]


@pytest.mark.parametrize(("name", "text"), [("configuration", settings.render()), ("commands", commands.render())])
def test_the_generated_part_is_current(name: str, text: str, request: pytest.FixtureRequest) -> None:
    path = ROOT / "docs" / f"{name}.md"
    head, mark, _ = path.read_text().partition("<!-- generated: make golden -->\n")
    whole = f"{head}{mark}\n{text}"
    if request.config.getoption("--golden"):
        path.write_text(whole)

    assert mark
    assert path.read_text() == whole


def test_every_error_is_explained_with_its_answers() -> None:
    rows = {row[1]: row for row in _ROW.finditer((ROOT / "docs" / "errors.md").read_text())}
    told = {name: (row[2].strip(), row[3].strip()) for name, row in rows.items()}

    expected = {}
    for kind in list_kinds():
        name = errors.kind_of(kind("", 0) if issubclass(kind, errors.OutOfRange) else kind(""))
        status, code = ANSWERS[kind]
        api = next(problem.STATUSES[one] for one in kind.__mro__ if one in problem.STATUSES)
        expected[name] = (f"{status} {code}", str(api))
    assert told == expected
    assert [name for name, row in rows.items() if len(row[4]) < 20 or len(row[5]) < 6] == []


def test_every_line_of_the_log_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    found = {name for path in (ROOT / "appliance").rglob("*.py") for name in _EVENT.findall(path.read_text())}

    assert found
    assert sorted(name for name in found if f"`{name}`" not in text) == []


def test_the_dependencies_are_those_of_the_project() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    text = (ROOT / "docs" / "decisions" / "0004-dependencies.md").read_text()

    explained = re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", text)

    assert sorted(explained) == sorted(re.split(r"[<>=~!]", one)[0] for one in listed)


def test_dependencies_are_imported_where_it_is_said() -> None:
    text = (ROOT / "docs" / "decisions" / "0004-dependencies.md").read_text()
    rows = re.findall(r"(?m)^\| `([a-z0-9-]+)` \|.*\| ([^|]*) \|$", text)
    modules = {"argon2-cffi": "argon2"}
    sources = {path: path.read_text() for path in (ROOT / "appliance").rglob("*.py")}

    for name, said in rows:
        importing = re.compile(rf"(?m)^\s*(?:from|import) {modules.get(name, name)}\b")
        parts = {str(path.relative_to(ROOT / "appliance")) for path, text in sources.items() if importing.search(text)}
        places = re.findall(r"`([^`]+)`", said)
        wrong = [part for part in parts if not any(part == place or part.startswith(place) for place in places)]
        assert wrong == [], f"{name} is imported there too"
        assert all(any(part.startswith(place) for part in parts) for place in places), f"{name} is not imported there"


def test_links_between_the_pages_lead_somewhere() -> None:
    broken = []
    for page in find_pages():
        for target, anchor in _LINK.findall(page.read_text()):
            path = (page.parent / target).resolve() if target else page
            if not path.exists() or (anchor and anchor[1:] not in _anchors(path.read_text())):
                broken.append(f"{page.relative_to(ROOT)}: {target}{anchor}")

    assert broken == []


def test_every_page_is_reached_from_the_first_one() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for target, _ in _LINK.findall(page.read_text()):
            path = (page.parent / target).resolve()
            waiting += [path] if path.suffix == ".md" else [*path.glob("*.md")] if path.is_dir() else []

    assert [page for page in find_pages() if page not in seen] == []


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))

    named = {one or other for one, other in _TARGET.findall(read_all())}

    assert named
    assert named <= targets


def test_decisions_have_their_four_parts() -> None:
    for page in (ROOT / "docs" / "decisions").glob("0*.md"):
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. "), page.name
        heads = re.findall(r"(?m)^## (.*)$", text)
        assert heads[:1] == ["Context"], page.name
        assert "Choice" in heads, page.name
        assert {"What we give up", "When to look again"} <= set(heads), page.name


def _anchors(text: str) -> set[str]:
    """Return the anchors of the headings, made as the usual viewers make them."""
    return {re.sub(r"[^a-z0-9 _-]", "", head.lower()).replace(" ", "-") for head in re.findall(r"(?m)^#+ (.*)$", text)}


def test_every_metric_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()

    rows = {
        row[0]: row[1:]
        for row in re.findall(r"(?m)^\| `((?:scr|process)_[a-z_]+)` \| (\w+) \| (.*?) \| (.*) \|$", text)
    }

    assert {name: (kind, labels) for name, (kind, labels, _) in rows.items()} == {
        one.name: (one.kind, ", ".join(f"`{label}`" for label in one.labels) or "-") for one in metrics.METRICS
    }
    assert all(len(meaning) > 5 for _, _, meaning in rows.values())
    assert re.findall(r"(?m)^\| `(container[a-z_.]+)` \| (.*) \|$", text) == [
        (one.name, one.title) for one in (metrics.ALIVE, *metrics.NAMED.values())
    ]


def test_every_kind_of_activity_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    found = {kind for path in (ROOT / "appliance").rglob("*.py") for kind in _recorded(path)}

    assert len(found) > 20
    assert sorted(kind for kind in found if f"`{kind}`" not in text) == []


def _recorded(path: Path) -> Iterator[str]:
    """Yield the kinds that a file records: constants among the arguments of a `record` that look like one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _RECORDING:
            for part in (inner for argument in node.args for inner in ast.walk(argument)):
                if isinstance(part, ast.Constant) and re.fullmatch(r"[a-z]+\.[a-z_]+", str(part.value)):
                    yield str(part.value)
