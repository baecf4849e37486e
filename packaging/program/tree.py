"""Inside the old Debian: lay out what goes into the one file, from the program's sources and the installed libraries.

`tree.py SITE SOURCE TREE TOOL`: SITE is pip's target, SOURCE holds the program's packages, TREE becomes a folder of
packages, TOOL is the packer's name. For pyoxidizer compiled modules are stripped, packed and put into `scr_carrier`
with their sums, and with the libraries they need that a bare host lacks; pyinstaller finds them where they lie.
"""

import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import facts

HERE = Path(__file__).resolve().parent
PROGRAM = ("appliance", "web")  # the program's own packages
_NOT_RUN = ("__pycache__", "*.pyi", "*.po", "*.pot", "*.md")
_SUFFIX = re.compile(r"\.(?:cpython-311-[a-z0-9_-]+|abi3)?\.?so$")
# what every host with this C library has
_GLIBC = re.compile(r"(?:libc|libm|libdl|libpthread|librt|libutil|ld-linux-.*)\.so\.\d+")
_AFTER = {"libstdc++.so.6": ("libgcc_s.so.1",)}  # library -> what it needs itself


def left_out(path: str, patterns: list[str]) -> bool:
    """Whether `path` or a folder above it matches a pattern; one without a slash is matched with each name in it."""
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(
        fnmatch.fnmatchcase(one, pattern) for pattern in patterns for one in (above if "/" in pattern else parts)
    )


def packed_files(site: Path) -> Iterator[Path]:
    """Yield the files of the libraries that go in."""
    patterns = [line for line in (HERE / "left-out.txt").read_text().split("\n") if line and not line.startswith("#")]
    for path in sorted(site.rglob("*")):
        if path.is_file() and not left_out(path.relative_to(site).as_posix(), patterns):
            yield path


def module_name(path: Path) -> str:
    """Return the dotted name of a compiled module from its place below the site folder; "" where it is none."""
    if not _SUFFIX.search(path.name):
        return ""
    return ".".join((*path.parent.parts, _SUFFIX.sub("", path.name)))


def needed(path: Path) -> list[str]:
    """Return the libraries that `path` needs and no host need have, in the order in which they must be loaded."""
    told = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    found: list[str] = []
    for name in re.findall(r"\(NEEDED\).*\[(.+)\]", told):
        if not _GLIBC.fullmatch(name):
            found += [one for one in (*_AFTER.get(name, ()), name) if one not in found]
    return found


def library_path(name: str) -> Path:
    """Return where the old Debian keeps the shared library `name`."""
    told = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(told).is_absolute():
        sys.exit(f"tree.py: {name} is needed by a library and is not in the old Debian")
    return Path(told).resolve()


class Carried:
    """The compiled modules and libraries, as scr_carrier hands them out."""

    def __init__(self, folder: Path) -> None:
        """Put them into `folder`."""
        shutil.copytree(HERE / "scr_carrier", folder, ignore=shutil.ignore_patterns("__pycache__"))
        self._folder = folder
        self.sums: dict[str, tuple[int, str]] = {}
        self.needs: dict[str, list[str]] = {}

    def add(self, name: str, path: Path) -> None:
        """Carry the file `path` as `name`, and what it needs."""
        stripped = self._folder / f"{name}.stripped"
        subprocess.run(["strip", "--strip-unneeded", "-o", stripped, path], check=True)
        content = stripped.read_bytes()
        stripped.unlink()
        self.sums[name] = len(content), hashlib.sha256(content).hexdigest()
        (self._folder / f"{name}.z").write_bytes(zlib.compress(content, 9))
        if needs := needed(path):
            self.needs[name] = needs
            for library in needs:
                if library not in self.sums:
                    self.add(library, library_path(library))

    def build(self) -> str:
        """Return the name of exactly these files."""
        return hashlib.sha256(json.dumps(self.sums, sort_keys=True).encode()).hexdigest()[:16]


def copy(source: Path, target: Path) -> None:
    """Copy a file, making its folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def write_carried(tree: Path, carried: Carried, libraries: dict[str, str]) -> None:
    """Write what scr_carrier knows of what it carries."""
    known = {"BUILD": carried.build(), "SUMS": carried.sums, "NEEDS": carried.needs, "VERSIONS": libraries}
    text = "".join(f"{name} = {value!r}\n" for name, value in known.items())
    (tree / "scr_carrier/contents.py").write_text(f'"""What is carried; written by the packing step."""\n\n{text}')


def write_facts(tree: Path, tool: str, build: str, parts: list[facts.Part], own: str) -> None:
    """Write what the program tells of itself."""
    version = re.search(r'__version__ = "(.+)"', (tree / "appliance/__init__.py").read_text())
    if version is None:
        sys.exit("tree.py: appliance/__init__.py has no __version__")
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    known = {
        "version": version[1],
        "commit": os.environ.get("SCR_COMMIT", ""),
        "tool": tool,
        "id": build,
        "libraries": {part.name: part.version for part in parts},
    }
    files = tree / "appliance/files"
    (files / "build.json").write_text(json.dumps(known, indent=1))
    (files / "sbom.json").write_text(json.dumps(facts.sbom(parts, version[1], moment), indent=1))
    (files / "notices.txt").write_text(facts.notices(parts, own))


def lay_out(site: Path, source: Path, tree: Path, tool: str) -> None:
    """Write the tree."""
    shutil.rmtree(tree, ignore_errors=True)
    for package in PROGRAM:
        shutil.copytree(source / package, tree / package, ignore=shutil.ignore_patterns(*_NOT_RUN))
    carried = Carried(tree / "scr_carrier") if tool == "pyoxidizer" else None
    packed = set()
    for path in packed_files(site):
        place = path.relative_to(site)
        packed.add(place.as_posix())
        name = module_name(place)
        if name and carried:
            carried.add(name, path)
        else:
            copy(path, tree / place)
    parts = [*facts.sources(), *facts.libraries(site, packed), *facts.console(source / "web/static/ORIGIN.md")]
    if not carried:  # PyInstaller's own recipes for libraries ask for their versions
        for path in site.glob("*.dist-info/METADATA"):
            copy(path, tree / path.relative_to(site))
    if carried:
        parts += facts.crates(Path("/build/crates/metadata.json"))
        write_carried(tree, carried, {part.name: part.version for part in parts if part.purl.startswith("pkg:pypi/")})
    write_facts(tree, tool, carried.build() if carried else "", parts, (source / "LICENSE").read_text())


if __name__ == "__main__":
    site, source, tree, tool = sys.argv[1:]
    lay_out(Path(site), Path(source), Path(tree), tool)
