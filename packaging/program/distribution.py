"""Inside the old Debian: craft the archive that PyOxidizer takes for a Python distribution.

`distribution.py ARCHIVE`, run by the interpreter that `interpreter.sh` built, packs that one. Of the standard library,
what the program cannot use stays out (NOT_PACKED). PyOxidizer knows the layout as python-build-standalone's "full"
archive, PYTHON.json version 7.
"""

import importlib.machinery
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

BUILT = Path(sys.executable).resolve().parents[2]  # where interpreter.sh left what it built
HERE = Path(__file__).resolve().parent
TREE = Path("/build/distribution/python")
OWN = ("frozen", "link")  # what is added to CPython, a file of C each
VERSION = "3.11"
GLIBC = "2.31"
NOT_PACKED = (
    "config-3.11*", "ctypes", "curses", "dbm", "distutils", "ensurepip", "idlelib", "lib-dynload", "lib2to3",
    "pydoc_data", "site-packages", "sqlite3", "test", "tkinter", "turtledemo", "unittest", "venv", "xmlrpc",
    "__pycache__", "*.whl", "antigravity.py", "cProfile.py", "cgi.py", "cgitb.py", "doctest.py", "ftplib.py",
    "imaplib.py", "imghdr.py", "mailbox.py", "mailcap.py", "nntplib.py", "poplib.py", "pstats.py", "smtpd.py",
    "smtplib.py", "sndhdr.py", "telnetlib.py", "this.py", "turtle.py", "webbrowser.py", "_pydecimal.py", "pydoc.py",
    "aifc.py", "sunau.py", "wave.py", "chunk.py", "uu.py", "xdrlib.py", "pipes.py", "crypt.py", "msilib", "lib-old",
    "LICENSE.txt",
)  # fmt: skip


def lay_out() -> None:
    """Copy the interpreter, its trimmed library and its object into the places that the archive has."""
    install = TREE / "install"
    shutil.rmtree(TREE.parent, ignore_errors=True)
    (install / "bin").mkdir(parents=True)
    shutil.copy2(BUILT / "install/bin/python3.11", install / "bin/python3.11")
    (install / "bin/python3").symlink_to("python3.11")
    # PyOxidizer wants to see a pip, or tries to make one for ever; nothing is installed with it here
    (install / "bin/pip3").write_text("#!/bin/sh\necho 'nothing is installed here' >&2\nexit 1\n")
    (install / "bin/pip3").chmod(0o755)
    shutil.copytree(BUILT / "install/include", install / "include")
    library = install / "lib/python3.11"
    shutil.copytree(BUILT / "install/lib/python3.11", library, ignore=shutil.ignore_patterns(*NOT_PACKED))
    (library / "site-packages").mkdir()
    (TREE / "build").mkdir()
    shutil.copy2(BUILT / "libpython.o", TREE / "build/libpython.o")
    shutil.copy2(BUILT / "config.c", TREE / "build/config.c")
    for name, source in (("inittab", BUILT / "config.c"), *((own, HERE / f"{own}.c") for own in OWN)):
        words = [
            "gcc",
            "-O2",
            "-fPIE",
            "-fstack-protector-strong",
            "-I",
            install / "include/python3.11",
            "-DPy_BUILD_CORE",
        ]
        subprocess.run([*words, "-c", source, "-o", TREE / f"build/{name}.o"], check=True)
    # one object: of an archive a linker takes what is asked for, and for a constructor nobody asks
    parts = [TREE / f"build/{own}.o" for own in OWN]
    subprocess.run(["ld", "-r", "-o", TREE / "build/own.o", *parts], check=True)
    (TREE / "licenses").mkdir()
    shutil.copy2(BUILT / "licences/python", TREE / "licenses/LICENSE.cpython.txt")


def modules() -> dict[str, list[dict[str, object]]]:
    """Return the modules that are part of the interpreter, as CPython's own table of them says."""
    table = re.findall(r'\{"([\w.]+)",\s*(\w+)\}', (BUILT / "config.c").read_text())
    table.append(("_scr_link", "PyInit__scr_link"))
    entry = {"in_core": True, "links": [], "objs": [], "required": True, "static_lib": None, "shared_lib": None}
    return {name: [{**entry, "init_fn": function, "variant": "default"}] for name, function in table}


def describe() -> dict[str, object]:
    """Return PYTHON.json."""
    machinery = importlib.machinery
    library = "install/lib/python3.11"
    machine = sysconfig.get_platform().rpartition("-")[2]
    return {
        "version": "7",
        "target_triple": f"{machine}-unknown-linux-gnu",
        "optimizations": "pgo+lto",
        "python_tag": "cp311",
        "python_abi_tag": "cp311",
        "python_config_vars": {name: str(value) for name, value in sysconfig.get_config_vars().items()},
        "python_platform_tag": f"linux_{machine}",
        "python_implementation_cache_tag": sys.implementation.cache_tag,
        "python_implementation_hex_version": sys.hexversion,
        "python_implementation_name": "cpython",
        "python_implementation_version": [str(part) for part in sys.version_info],
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "python_major_minor_version": VERSION,
        "python_paths": {
            "data": "install",
            "include": "install/include/python3.11",
            "platinclude": "install/include/python3.11",
            "platlib": f"{library}/site-packages",
            "platstdlib": library,
            "purelib": f"{library}/site-packages",
            "scripts": "install/bin",
            "stdlib": library,
        },
        "python_paths_abstract": {},
        "python_exe": "install/bin/python3.11",
        "python_stdlib_test_packages": ["test"],
        "python_suffixes": {
            "source": machinery.SOURCE_SUFFIXES,
            "bytecode": machinery.BYTECODE_SUFFIXES,
            "debug_bytecode": machinery.DEBUG_BYTECODE_SUFFIXES,
            "optimized_bytecode": machinery.OPTIMIZED_BYTECODE_SUFFIXES,
            "extension": machinery.EXTENSION_SUFFIXES,
        },
        "python_bytecode_magic_number": importlib.util.MAGIC_NUMBER.hex(),
        "python_symbol_visibility": "global-default",
        "python_extension_module_loading": ["builtin", "shared-library"],
        "libpython_link_mode": "static",
        "crt_features": ["glibc-dynamic", f"glibc-max-symbol-version:{GLIBC}"],
        "run_tests": "",
        "build_info": {
            "core": {
                "objs": ["build/libpython.o", "build/own.o"],
                "links": [{"name": name, "system": True} for name in ("m", "dl", "pthread", "util")],
                "shared_lib": None,
                "static_lib": None,
            },
            "extensions": modules(),
            "inittab_object": "build/inittab.o",
            "inittab_source": "build/config.c",
            "inittab_cflags": ["-std=c99", "-DNDEBUG", "-DPy_BUILD_CORE"],
            "object_file_format": "elf",
        },
        "licenses": ["Python-2.0"],
        "license_path": "licenses/LICENSE.cpython.txt",
        "tcl_library_path": None,
        "tcl_library_paths": None,
    }


def main() -> None:
    """Write the archive."""
    archive = Path(sys.argv[1])
    lay_out()
    (TREE / "PYTHON.json").write_text(json.dumps(describe(), indent=1, sort_keys=True))
    packed = ["tar", "-C", TREE.parent, "-c", "--sort=name", "--owner=0", "--group=0", "--mtime=@0", "python"]
    with subprocess.Popen(packed, stdout=subprocess.PIPE) as tar:
        subprocess.run(["zstd", "-q", "-f", "-3", "-o", archive], stdin=tar.stdout, check=True)
    if tar.returncode:
        sys.exit(f"distribution.py: tar ended with {tar.returncode}")
    shutil.rmtree(TREE.parent)


if __name__ == "__main__":
    main()
