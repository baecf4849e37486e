"""Files that ship inside the program (SQL, templates, texts, rules), read without a path of their own.

The shipped program has no folder, so nothing here may use `__file__`: the loader of a package hands out its files.
"""

from importlib import import_module
from importlib.resources import files


def read(package: str, name: str) -> bytes:
    """Return the bytes of the file `name` of `package` (dotted, e.g. `appliance.db.migrations`).

    Raises FileNotFoundError.
    """
    return files(import_module(package)).joinpath(name).read_bytes()


def list_names(package: str, suffix: str) -> list[str]:
    """Return the sorted names of the files of `package` that end in `suffix`."""
    return sorted(entry.name for entry in files(import_module(package)).iterdir() if entry.name.endswith(suffix))
