"""The first thing that runs in the single executable: it hands out the compiled modules that the file carries.

The system loads a compiled module from a file only. `scr serve` has a data folder: there they are written once, below
`lib/<build>/`, so that the server and its children share them in the page cache. Before it is known, for commands
without one, and where nothing may be executed from it, a module is written to memory (memfd) and loaded from there.

Each file is checked by its sum and its owner whenever it is loaded: only what this executable carries is executed.
`contents.py` beside this file is written by the packing step.
"""

import builtins
import hashlib
import io
import mmap
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, NoReturn

_VARIABLE = "SCR_CARRIED"  # where the modules lie already: told to children


class Contents(NamedTuple):
    """What is carried. Names are dotted names of modules (a package's own ends in `.__init__`), or of libraries."""

    build: str  # of these very files
    sums: Mapping[str, tuple[int, str]]  # name -> size and sha256 of the file
    needs: Mapping[str, Sequence[str]]  # module -> libraries that it finds by name, in the order of loading
    versions: Mapping[str, str]  # installed library -> version


class Carrier:
    """Finds the carried modules, on disk where they were settled, else in memory; one of Python's meta path."""

    def __init__(self, contents: Contents, environment: Mapping[str, str]) -> None:
        """Hand out `contents`; a parent may say in `environment` where they lie."""
        self._contents = contents
        self._held: dict[str, str] = {}  # library that is loaded -> its path
        self._place = Path(environment[_VARIABLE]) if _VARIABLE in environment else None
        if self._place is not None and self._place.name != contents.build:
            self._place = None  # a parent of another build

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load the module `fullname`, None where it is not carried."""
        del path, target
        name = fullname if fullname in self._contents.sums else f"{fullname}.__init__"
        if name not in self._contents.sums:
            return None
        for library in self._contents.needs.get(name, ()):
            self._hold(library)
        place = self._lay(name)
        spec = ModuleSpec(fullname, ExtensionFileLoader(fullname, place), origin=place, is_package=name != fullname)
        spec.has_location = False  # it has a file now, but none that anybody should look beside
        return spec

    def find_distributions(self, context: object = None) -> Iterator[object]:
        """Yield the library that is asked for, or all: some libraries ask for their own version."""
        from scr_carrier.named import Named  # noqa: PLC0415 - costs 20 ms that most commands do not need

        wanted = (getattr(context, "name", None) or "").lower().replace("_", "-")
        found = self._contents.versions.items()
        return (Named(name, version) for name, version in found if not wanted or name == wanted)

    def settle(self, folder: Path) -> str:
        """Load from files below `folder` from now on, writing what is missing; return "", or why that cannot be."""
        import shutil  # noqa: PLC0415 - not every command needs it

        place = folder / self._contents.build
        try:
            if not self._is_whole(place):
                self._write(folder, place)
            _probe(next(place.iterdir()))
        except OSError as error:
            return f"nothing can be executed from {place} ({error.strerror})"
        self._place = place
        os.environ[_VARIABLE] = os.fspath(place)
        for other in folder.iterdir():  # of builds that went before, and what a crash left
            if other.name != place.name:
                shutil.rmtree(other, ignore_errors=True)
        return ""

    def release(self) -> None:
        """Unmap what was read of the executable's constants: the modules are made, and the file still has them."""
        from _scr_link import release  # noqa: PLC0415 - only this interpreter has it

        release()

    def _is_whole(self, place: Path) -> bool:
        if not place.is_dir() or not _is_ours(place.stat()):
            return False
        wanted = {f"{name}.so": size for name, (size, _) in self._contents.sums.items()}
        return {path.name: path.stat().st_size for path in place.iterdir()} == wanted

    def _write(self, folder: Path, place: Path) -> None:
        """Write all files below a name of their own, then give them the final one. Raises OSError."""
        import shutil  # noqa: PLC0415

        staged = folder / f"{self._contents.build}.{os.urandom(4).hex()}"
        for one in (folder.parent, folder, staged):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            for name in self._contents.sums:
                (staged / f"{name}.so").write_bytes(_read(name))
                (staged / f"{name}.so").chmod(0o500)
            if place.exists():
                place.rename(staged.with_name(f"{staged.name}.old"))
            staged.rename(place)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _hold(self, library: str) -> None:
        """Load a shared library, so that a module that needs it by its name finds it loaded."""
        if library not in self._held:
            from _scr_link import load  # noqa: PLC0415 - only this interpreter has it

            place = self._lay(library)
            load(place)
            self._held[library] = place

    def _lay(self, name: str) -> str:
        """Return a path from which the system can load `name`."""
        if self._place is not None:
            path = self._place / f"{name}.so"
            if self._is_intact(path, name):
                return os.fspath(path)
            path.unlink(missing_ok=True)  # so that the next start writes them anew
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC)  # stays open: a closed one's path would be another's
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(_read(name))
        return f"/proc/self/fd/{descriptor}"

    def _is_intact(self, path: Path, name: str) -> bool:
        """Whether the file is ours alone to write and holds what this executable carries."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        with os.fdopen(descriptor, "rb") as file:
            if not (_is_ours(os.fstat(descriptor)) and _is_ours(path.parent.stat())):
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == self._contents.sums[name][1]


def _is_ours(facts: os.stat_result) -> bool:
    return facts.st_uid in (os.geteuid(), 0) and not stat.S_IMODE(facts.st_mode) & 0o022


def _probe(path: Path) -> None:
    """Raise OSError where the system does not map files of this folder for execution."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mmap.mmap(descriptor, mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()
    finally:
        os.close(descriptor)


def _read(name: str) -> bytes:
    """Return the carried file `name`."""
    reader = sys.modules[__name__].__loader__.get_resource_reader(__name__)  # type: ignore[union-attr] # typeshed lacks it
    with reader.open_resource(f"{name}.z") as file:
        packed: io.BytesIO = file
        return zlib.decompress(packed.read())


def start() -> NoReturn:
    """Run the command line."""
    from scr_carrier import contents  # noqa: PLC0415 - written by the packing step

    carrier = Carrier(Contents(contents.BUILD, contents.SUMS, contents.NEEDS, contents.VERSIONS), os.environ)
    sys.meta_path.insert(0, carrier)
    vars(builtins)["__file__"] = "/nonexistent/packed.py"  # Litestar's page for mistakes reads a bare one

    from appliance import program  # noqa: PLC0415 - now it can be found whole
    from appliance.cli.main import main  # noqa: PLC0415

    program.carry(carrier)
    sys.exit(main())
