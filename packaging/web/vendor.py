"""Take from the npm packages what the console uses: `vendor.py <node_modules>` writes web/static and ORIGIN.md.

Style sheet, scripts and licences are copied as published, but for references to source maps, which are not shipped;
icons become one sprite of the names in icons.txt.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STATIC = HERE.parents[1] / "web" / "static"
TESTS = HERE.parents[1] / "tests" / "browser" / "axe"  # what looks at the pages in tests: it is never served or shipped
FILES = {  # in node_modules -> in web/static
    "@tabler/core/dist/css/tabler.min.css": "tabler.min.css",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "uplot/dist/uPlot.iife.min.js": "uplot.min.js",
    "uplot/dist/uPlot.min.css": "uplot.min.css",
}
LICENCES = ("@tabler/core", "@tabler/icons", "htmx.org", "uplot")
FILES_OF_TESTS = {"axe-core/axe.min.js": "axe.min.js"}
LICENCES_OF_TESTS = ("axe-core",)
_MAP = re.compile(rb"\n?(?://|/\*)# sourceMappingURL=[^\n*]*(?:\*/)?\n?")


def main(modules: Path) -> None:
    """Write web/static, and tests/browser/axe, from `modules`, a folder that npm made."""
    rows = _copy(modules, FILES, STATIC)
    sprite = make_sprite(modules / "@tabler/icons/icons/outline")
    (STATIC / "icons.svg").write_text(sprite)
    rows.append(
        _row(modules, "@tabler/icons", "@tabler/icons/icons/outline/*.svg (icons.txt)", "icons.svg", sprite.encode())
    )
    (STATIC / "ORIGIN.md").write_text(_origin(modules, rows, LICENCES))
    TESTS.mkdir(exist_ok=True)
    rows = _copy(modules, FILES_OF_TESTS, TESTS)
    (TESTS / "ORIGIN.md").write_text(_origin(modules, rows, LICENCES_OF_TESTS))


def _copy(modules: Path, files: dict[str, str], folder: Path) -> list[str]:
    """Copy `files` into `folder`; return a row of ORIGIN.md for each."""
    rows = []
    for source, name in files.items():
        content = _MAP.sub(b"", (modules / source).read_bytes())
        (folder / name).write_bytes(content)
        rows.append(_row(modules, _package(source), source, name, content))
    return rows


def make_sprite(folder: Path) -> str:
    """Return one SVG whose symbols are the icons of icons.txt."""
    symbols = []
    for name in (HERE / "icons.txt").read_text().split():
        text = (folder / f"{name}.svg").read_text()
        inner = re.sub(r"<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
        inner = inner[inner.index(">") + 1 : inner.rindex("</svg>")]
        inner = re.sub(r"\s+", " ", inner).strip().replace("> <", "><").replace(' stroke="none"', ' stroke="none"')
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>')
    attributes = 'xmlns="http://www.w3.org/2000/svg" fill="none" stroke="currentColor" stroke-width="2"'
    return f'<svg {attributes} stroke-linecap="round" stroke-linejoin="round">\n' + "\n".join(symbols) + "\n</svg>\n"


def _package(source: str) -> str:
    parts = source.split("/")
    return "/".join(parts[:2]) if source.startswith("@") else parts[0]


def _facts(modules: Path, package: str) -> dict[str, str]:
    facts: dict[str, str] = json.loads((modules / package / "package.json").read_text())
    return facts


def _row(modules: Path, package: str, source: str, name: str, content: bytes) -> str:
    facts = _facts(modules, package)
    digest = hashlib.sha256(content).hexdigest()
    return f"| `{name}` | {package} {facts['version']} | {facts['license']} | `{source}` | `{digest}` |"


def _origin(modules: Path, rows: list[str], packages: tuple[str, ...]) -> str:
    head = (
        "# Where the files of this folder come from\n\n"
        "Written by `make web` from the npm packages of `packaging/web`, as published but for references to source\n"
        "maps. What is not listed here, we wrote.\n\n"
        "| file | package | licence | there | sha256 |\n|---|---|---|---|---|\n"
    )
    notices = []
    for package in packages:
        found = sorted((modules / package).glob("LICENSE*"))
        text = (
            "\n\n".join(one.read_text().strip() for one in found) or f"Licence {_facts(modules, package)['license']}."
        )
        notices.append(f"## {package}\n\n```text\n{text}\n```\n")
    return head + "\n".join(rows) + "\n\n" + "\n".join(notices)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
