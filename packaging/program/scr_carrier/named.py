"""Libraries of which nothing is known but name and version."""

from importlib.metadata import Distribution
from typing import NoReturn


class Named(Distribution):
    """A library as one that asks for its own version knows it."""

    def __init__(self, name: str, version: str) -> None:
        """Remember them."""
        self._text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

    def read_text(self, filename: str) -> str | None:
        """Return the metadata; there is no other file."""
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: object) -> NoReturn:
        """Return no path: there is none."""
        raise FileNotFoundError(path)
