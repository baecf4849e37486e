"""`scr` run as the single executable runs it: no module has a `__file__`, no package a folder.

`python -m tests.packaging.packed serve ...` is `scr serve ...`. Every module, the standard library's too, is loaded
from bytes in memory; packages hand out their files by a flat reader, as the packer's importer does: by name only.
Of a library's metadata there is what the packed program has: name and version.
"""

import builtins
import importlib.metadata
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import InspectLoader, Loader, ResourceReader
from importlib.machinery import (
    BuiltinImporter,
    ExtensionFileLoader,
    FrozenImporter,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import NoReturn

_ANY = importlib.metadata.DistributionFinder.Context()


class Flat(ResourceReader):
    """Hands out the files of a package by their names; nothing has a path."""

    def __init__(self, folder: Path) -> None:
        """Hand out the files of `folder`."""
        self._folder = folder

    def open_resource(self, resource: str) -> io.BytesIO:
        """Open the file called `resource`."""
        return io.BytesIO((self._folder / resource).read_bytes())

    def resource_path(self, resource: object) -> NoReturn:
        """Return no path: there is none."""
        raise FileNotFoundError(resource)

    def is_resource(self, path: str) -> bool:
        """Whether there is a file called `path`."""
        return (self._folder / path).is_file()

    def contents(self) -> Iterator[str]:
        """Return the names of the files."""
        return (path.name for path in self._folder.iterdir() if path.is_file())


class Memory(InspectLoader):
    """Loads one module from its code."""

    def __init__(self, code: CodeType, folder: Path | None) -> None:
        """Load `code`; a package's files are those of `folder`."""
        self._code = code
        self._folder = folder

    def is_package(self, fullname: str) -> bool:
        """Whether it is a package."""
        del fullname
        return self._folder is not None

    def get_code(self, fullname: str) -> CodeType:
        """Return the code."""
        del fullname
        return self._code

    def get_source(self, fullname: str) -> None:
        """Return no source: it stays at home."""

    def get_resource_reader(self, fullname: str) -> ResourceReader | None:
        """Return what hands out the package's files."""
        del fullname
        return Flat(self._folder) if self._folder else None


class Compiled(Loader):
    """Loads a compiled module and takes its `__file__` away."""

    def __init__(self, loader: ExtensionFileLoader) -> None:
        """Load by `loader`."""
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Create it from its file."""
        real = ModuleSpec(spec.name, self._loader, origin=self._loader.path)
        return self._loader.create_module(real)

    def exec_module(self, module: ModuleType) -> None:
        """Run its own start."""
        self._loader.exec_module(module)
        vars(module).pop("__file__", None)


class Named(importlib.metadata.Distribution):
    """A library of which nothing is known but name and version."""

    def __init__(self, name: str, version: str) -> None:
        """Remember them."""
        self._text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

    def read_text(self, filename: str) -> str | None:
        """Return the metadata; there is no other file."""
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: object) -> NoReturn:
        """Return no path: there is none."""
        raise FileNotFoundError(path)


class Packed(importlib.metadata.DistributionFinder):
    """Finds what Python's own finder finds, and hands it out without its place."""

    def __init__(self, places: Sequence[str]) -> None:
        """Find below `places`."""
        self._places = list(places)
        self._libraries = {one.name.lower(): one.version for one in importlib.metadata.distributions()}
        self._inside: dict[str, list[str]] = {}  # package -> where its modules lie

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load `fullname`."""
        del target  # `path` is empty for packages of ours, and tells of those that were loaded before
        places = self._inside.get(fullname.rpartition(".")[0], path or self._places)
        found = PathFinder.find_spec(fullname, list(places))
        if found is None or found.loader is None:
            return None
        folder = Path(found.submodule_search_locations[0]) if found.submodule_search_locations else None
        if found.submodule_search_locations:
            self._inside[fullname] = list(found.submodule_search_locations)
        if isinstance(found.loader, SourceFileLoader):
            code = found.loader.get_code(fullname)
            assert code is not None
            loader: Loader = Memory(code, folder)
        else:
            assert isinstance(found.loader, ExtensionFileLoader), f"{fullname} is loaded by {found.loader}"
            loader = Compiled(found.loader)
        return ModuleSpec(fullname, loader, is_package=folder is not None)

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context = _ANY
    ) -> Iterable[importlib.metadata.Distribution]:
        """Return the library that is asked for, if it is here."""
        version = self._libraries.get((context.name or "").lower())
        return [Named(context.name or "", version)] if version else []


def forget_places() -> None:
    """Take `__file__` from all that is loaded, and let everything else be found in memory."""
    places = [os.fspath(Path.cwd()) if place == "" else place for place in sys.path]
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Packed(places)]
    sys.path[:] = []
    for name, module in list(sys.modules.items()):
        if hasattr(module, "__spec__") and name.partition(".")[0] not in ("tests", "__main__"):
            vars(module).pop("__file__", None)
            vars(module).pop("__cached__", None)
    vars(builtins)["__file__"] = "/nonexistent/packed.py"  # as packed: Litestar's page for mistakes reads it bare


def main() -> int:
    """Run the command line, or `--import`: load every module that the words after it name."""
    forget_places()
    if sys.argv[1:2] == ["--import"]:
        for name in sys.argv[2:]:
            module = importlib.import_module(name)
            assert not hasattr(module, "__file__"), f"{name} knows its file"
        return 0
    from appliance.cli.main import main as run  # noqa: PLC0415 - only now it is loaded without a place

    return run()


if __name__ == "__main__":
    sys.exit(main())
