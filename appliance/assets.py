"""Files that ship inside the program (SQL, templates, texts, rules), read without a path of their own.

The shipped program has no folder, so nothing here may use `__file__`: the loader of a package hands out its files. Its
reader knows names only, a file below a folder as `folder/file`; what is listed is what lies in the package itself.
"""

from importlib import import_module
from importlib.resources.abc import ResourceReader


def read(package: str, name: str) -> bytes:
    """Return the bytes of the file `name` of `package` (dotted, e.g. `appliance.db.migrations`).

    Raises FileNotFoundError.
    """
    with _reader(package).open_resource(name) as file:
        return bytes(file.read())


def list_names(package: str, suffix: str) -> list[str]:
    """Return the sorted names of the files of `package` that end in `suffix`."""
    return sorted(name for name in _reader(package).contents() if name.endswith(suffix))


def _reader(package: str) -> ResourceReader:
    loader = import_module(package).__loader__
    reader: ResourceReader | None = loader.get_resource_reader(package)  # type: ignore[union-attr] # because typeshed lacks it
    if reader is None:
        raise FileNotFoundError(f"{package} is no package and holds no files")
    return reader
