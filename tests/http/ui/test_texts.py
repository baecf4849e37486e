"""The texts of the console: every one has its Korean, with the same places to fill in."""

import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

TEXTS = Path("web/texts")
PAGES = Path("appliance/http/ui")
_PLACES = re.compile(r"%\(\w+\)s|\{\}")


def catalogue(name: str) -> Catalog:
    with (TEXTS / name).open("rb") as file:
        return read_mo(file) if name.endswith(".mo") else read_po(file)


def fields() -> set[str]:
    """Return the names of fields of forms: they are read by a function that is called as the one for texts."""
    sources = "\n".join(path.read_text() for path in PAGES.glob("*.py"))
    return set(re.findall(r'form\.text\("(\w+)"\)', sources))


def texts(name: str) -> dict[str, str]:
    return {str(one.id): str(one.string or "") for one in catalogue(name) if one.id}


def test_every_text_has_its_korean() -> None:
    collected, korean = texts("scr.pot"), texts("ko.po")

    assert len(collected) > 500
    assert {one for one in collected if not korean.get(one)} - fields() == set()


def test_a_translation_has_the_places_of_its_text() -> None:
    for text, korean in texts("ko.po").items():
        if korean:
            assert sorted(_PLACES.findall(korean)) == sorted(_PLACES.findall(text)), text


def test_what_is_compiled_is_what_is_written() -> None:
    written = {text: korean for text, korean in texts("ko.po").items() if korean}

    assert texts("ko.mo") == written
