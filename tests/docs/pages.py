"""The pages a user reads, and the examples in them."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("sh", "toml", "json", "yaml", "nginx", "text")  # that an example may be tagged with
_FENCE = re.compile(r"(?ms)^```([^\n]*)\n(.*?)^```$")


class Example(msgspec.Struct, frozen=True):
    """A fenced block: the page it is on (from the project's root), its line there, its tag, its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Return where it is and how it begins, as a test is called."""
        return f"{self.page}:{self.line} {self.text.splitlines()[0][:50]}"


def find_pages() -> list[Path]:
    """Return README and every page below docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def list_examples(language: str = "") -> list[Example]:
    """Return the examples of all pages in their order, of one language or all."""
    return [one for page in find_pages() for one in _examples(page) if language in ("", one.language)]


def read_all() -> str:
    """Return the text of all pages."""
    return "\n".join(page.read_text() for page in find_pages())


def _examples(page: Path) -> Iterator[Example]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Example(str(page.relative_to(ROOT)), line, found[1].strip(), found[2])
