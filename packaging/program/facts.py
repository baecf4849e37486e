"""What is inside the packed program: `files/build.json`, `files/sbom.json` (CycloneDX) and `files/notices.txt`.

Called by `tree.py`. It reads what pip installed (names, versions, hashes, licences, the SBOMs that wheels bring), the
source packages of `inputs.txt`, the crates that PyOxidizer links, what the console ships of others (its ORIGIN.md), and
`bundled.json`: C libraries inside wheels.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
_LICENCE_FILE = re.compile(r"(?i)^(licen[cs]e|copying|notice|authors|unlicense|copyright)")
_UNKNOWN = "see the notice"
_SPDX = {"BSD-0-Clause": "0BSD"}  # how a package calls it -> its name


class Part(NamedTuple):
    """One thing inside: what CycloneDX calls a component, and the texts that its licence wants to be shown."""

    name: str
    version: str
    purl: str
    licence: str
    notices: tuple[str, ...]
    sha256: str = ""
    inside: tuple[dict[str, Any], ...] = ()  # components of it, as its own SBOM lists them

    def component(self) -> dict[str, Any]:
        """Return it as CycloneDX writes it."""
        found: dict[str, Any] = {"type": "library", "bom-ref": self.purl, "name": self.name, "purl": self.purl}
        if self.version:
            found["version"] = self.version
        if self.licence != _UNKNOWN:
            found["licenses"] = (
                [{"expression": self.licence}]
                if _is_expression(self.licence)
                else [{"license": {"name": self.licence}}]
            )
        if self.sha256:
            found["hashes"] = [{"alg": "SHA-256", "content": self.sha256}]
        if self.inside:
            found["components"] = [*self.inside]
        return found


def _texts(paths: Iterable[Path]) -> tuple[str, ...]:
    """Return the texts of the files among `paths` that are called like a licence."""
    found = sorted(path for path in paths if path.is_file() and _LICENCE_FILE.match(path.name))
    return tuple(path.read_text(errors="replace") for path in found)


def _is_expression(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9.+-]+( (OR|AND|WITH) [A-Za-z0-9.+-]+|[()])*", text)) and text[:4] != "any-"


def libraries(site: Path, packed: set[str]) -> Iterator[Part]:
    """Yield the Python libraries of which a file is packed (paths below `site`), and what their wheels bundle."""
    bundled = json.loads((HERE / "bundled.json").read_text())
    hashes = _hashes(site.with_name("site.json"))
    for folder in sorted(site.glob("*.dist-info")):
        metadata = Parser().parsestr((folder / "METADATA").read_text(errors="replace"), headersonly=True)
        name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
        own = {line.split(",")[0] for line in (folder / "RECORD").read_text().splitlines()}
        if not own & packed:
            continue
        texts = _texts(folder.rglob("*"))
        licence = metadata["License-Expression"] or _named(metadata) or _UNKNOWN
        inside = tuple(_listed(folder))
        version = metadata["Version"]
        yield Part(name, version, f"pkg:pypi/{name}@{version}", licence, texts, hashes.get(name, ""), inside)
        for part in bundled.get(name, []):
            held = version.rpartition(".")[0] if part.get("version_from") == name else ""
            text = ((HERE / "notices" / part["notice"]).read_text(),) if "notice" in part else ()
            yield Part(part["name"], held, part["purl"].format(version=held), part["licence"], text)


def _hashes(report: Path) -> dict[str, str]:
    """Return library -> sha256 of the archive that pip installed, from pip's report."""
    installed = json.loads(report.read_text())["install"]
    return {
        re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower(): one["download_info"]["archive_info"]["hashes"][
            "sha256"
        ]
        for one in installed
    }


def _named(metadata: Any) -> str:  # noqa: ANN401 - an email message
    short = metadata["License"] or ""
    if short and "\n" not in short:
        return str(short)
    kinds = [kind.rpartition(" :: ")[2] for kind in metadata.get_all("Classifier", []) if kind.startswith("License ::")]
    return ", ".join(kinds)


def _listed(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the components that a wheel's own SBOMs list."""
    for path in sorted(folder.glob("sboms/*.json")):
        for found in json.loads(path.read_text()).get("components", []):
            kept = {
                key: found[key] for key in ("type", "name", "version", "purl", "licenses", "hashes") if key in found
            }
            yield kept


def sources() -> Iterator[Part]:
    """Yield CPython and the C libraries that it is linked with, from inputs.txt, and GCC's own two."""
    names = {"python3.11": ("cpython", "Python-2.0"), "openssl": ("openssl", "Apache-2.0"), "zlib": ("zlib", "Zlib")}
    names |= {"bzip2": ("bzip2", "bzip2-1.0.6"), "xz-utils": ("liblzma", "0BSD"), "expat": ("libexpat", "MIT")}
    for line in (HERE / "inputs.txt").read_text().splitlines():
        if found := re.match(r"([0-9a-f]{64}) \S*/([a-z0-9.-]+)_(\S+)\.dsc$", line):
            sha256, package, version = found.groups()
            name, licence = names[package]
            built = Path(sys.executable).resolve().parents[2] / "licences/python"
            text = built if package == "python3.11" else Path("/build/libraries/licences", package)
            purl = f"pkg:deb/debian/{package}@{version}?arch=source"
            yield Part(name, version, purl, licence, (text.read_text(errors="replace"),), sha256)
    for package in ("libstdc++6", "libgcc-s1"):
        told = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=True
        )
        text = Path("/usr/share/doc", package, "copyright").read_text(errors="replace")
        purl = f"pkg:deb/debian/{package.replace('+', '%2B')}@{told.stdout}"
        yield Part(package, told.stdout, purl, "GPL-3.0-or-later WITH GCC-exception-3.1", (text,))


def crates(metadata: Path) -> Iterator[Part]:
    """Yield the Rust crates of the executable, as cargo lists them, and Rust's own library."""
    for package in json.loads(metadata.read_text())["packages"]:
        if package["source"] is None:  # the project that PyOxidizer makes
            continue
        folder = Path(package["manifest_path"]).parent
        texts = _texts(folder.iterdir())
        name, version = package["name"], package["version"]
        yield Part(name, version, f"pkg:cargo/{name}@{version}", package["license"].replace("/", " OR "), texts)
    told = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    yield Part("rust-std", told, f"pkg:generic/rust@{told}", "MIT OR Apache-2.0", ())


def console(origin: Path) -> Iterator[Part]:
    """Yield the npm packages of which the console ships files, from the page that tells where they come from."""
    text = origin.read_text()
    notices = dict(re.findall(r"(?ms)^## (\S+)\n\n```text\n(.*?)\n```$", text))
    for name, version, licence in dict.fromkeys(re.findall(r"(?m)^\| `[^`]+` \| (\S+) (\S+) \| (\S+) \|", text)):
        own = HERE / "notices" / name.removeprefix("@").replace("/", "-")  # of one that is published without its text
        notice = own.read_text() if own.is_file() else notices[name]
        yield Part(
            name, version, f"pkg:npm/{name.replace('@', '%40')}@{version}", _SPDX.get(licence, licence), (notice,)
        )


def sbom(parts: list[Part], version: str, moment: str) -> dict[str, Any]:
    """Return the CycloneDX document; `moment` is the time of the commit, so that equal sources give equal bytes."""
    program = {"type": "application", "bom-ref": "scr", "name": "scr", "version": version}
    program["licenses"] = [{"license": {"id": "Apache-2.0"}}]  # type: ignore[assignment] # JSON
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": moment, "component": program},
        "components": [part.component() for part in parts],
        "dependencies": [{"ref": "scr", "dependsOn": [part.purl for part in parts]}],
    }


def notices(parts: list[Part], own: str) -> str:
    """Return all texts, each once, below the names of what it is for."""
    users: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for part in parts:
        for text in part.notices:
            key = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
            texts.setdefault(key, text.strip())
            label = f"{part.name} {part.version}".strip()
            if label not in users.setdefault(key, []):
                users[key].append(label)
    rule = "=" * 100
    lines = ["scr is licensed under the Apache License 2.0, whose text follows the list.", ""]
    lines += [f"{part.name} {part.version}: {part.licence}" for part in parts]
    lines += ["", rule, "scr", rule, own.strip()]
    for key, text in texts.items():
        lines += ["", rule, ", ".join(users[key]), rule, text]
    return "\n".join(lines) + "\n"
