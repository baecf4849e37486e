"""Images for scanners, built on the spot of what is here: a Debian base, and Python, Node, Java, Go on top."""

import gzip
import hashlib
import io
import json
import shutil
import sysconfig
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tests.bench.generator import ROOT
from tests.scan.expected import FIXTURES

_DEBIAN = ROOT / ".cache/debian.tar"  # of `make setup`, where debootstrap is
_PYTHON = 120 << 20  # bytes of site-packages that are taken
_GO = ("crane", "oras", "regctl")
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Layer(msgspec.Struct, frozen=True):
    """A layer as a file; `raw` is bytes of the tar."""

    path: Path
    digest: str
    diff_id: str
    raw: int


def make_bases(folder: Path) -> tuple[Layer, Layer, Layer, Layer]:
    """Write the four large layers: Debian, Python, Node with Java, Go."""
    lang = folder / "lang"
    _unpack_fixture(lang)
    go = [program.resolve() for name in _GO if (program := ROOT / ".cache/bin" / name).exists()]
    return (
        _layer(folder, "debian", _debian(lang)),
        _layer(folder, "python", _tar(_python(), Path("usr/lib/python3/dist-packages"))),
        _layer(folder, "node", _tar(_files(lang), Path())),
        _layer(folder, "go", _tar([(path, Path(path.name)) for path in go], Path("usr/local/bin"))),
    )


def make_top(folder: Path, number: int) -> Layer:
    """Write a small layer that no other image has: one package and a file."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        for name, text in (
            (f"opt/app{number}/app-{number}.dist-info/METADATA", f"Name: app-{number}\nVersion: 1.{number}\n"),
            (f"opt/app{number}/main.py", f"print({number})\n"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return _layer(folder, f"top-{number}", body.getvalue())


def write_layout(folder: Path, layers: Sequence[Layer]) -> Path:
    """Write an image of `layers` as an OCI layout; the layers' files are links."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        (blobs / layer.digest).hardlink_to(layer.path)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]}
    config = _put(blobs, {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs})
    described = [
        {"mediaType": _LAYER, "digest": f"sha256:{layer.digest}", "size": layer.path.stat().st_size} for layer in layers
    ]
    content = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": {"mediaType": _CONFIG, **config}}
    manifest = _put(blobs, {**content, "layers": described})
    index = {"schemaVersion": 2, "manifests": [{"mediaType": _MANIFEST, **manifest}]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def _put(blobs: Path, content: dict[str, object]) -> dict[str, object]:
    body = json.dumps(content).encode()
    digest = hashlib.sha256(body).hexdigest()
    (blobs / digest).write_bytes(body)
    return {"digest": f"sha256:{digest}", "size": len(body)}


def _layer(folder: Path, name: str, tar: bytes) -> Layer:
    packed = gzip.compress(tar, 6, mtime=0)
    path = folder / f"{name}.tar.gz"
    path.write_bytes(packed)
    return Layer(path, hashlib.sha256(packed).hexdigest(), hashlib.sha256(tar).hexdigest(), len(tar))


def _debian(lang: Path) -> bytes:
    """Return a Debian root: debootstrap's where it is here, else only the package database of the fixtures."""
    return _DEBIAN.read_bytes() if _DEBIAN.exists() else _tar(_files(lang / "var"), Path("var"))


def _python() -> Iterator[tuple[Path, Path]]:
    root, left = Path(sysconfig.get_path("purelib")), _PYTHON
    for path, name in _files(root):
        left -= path.stat().st_size
        if left < 0:
            return
        yield path, name


def _files(root: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path, path.relative_to(root)


def _tar(files: Iterator[tuple[Path, Path]] | list[tuple[Path, Path]], place: Path) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        for path, name in files:
            archive.add(path, str(place / name), recursive=False)
    return body.getvalue()


def _unpack_fixture(folder: Path) -> None:
    """Unpack the Node packages, jars and more of the fixtures' image."""
    layout = folder.with_name("lang-layout")
    _unpack(FIXTURES / "lang/lang-image.tar.gz", layout)
    _unpack(max((layout / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size), folder)
    shutil.rmtree(layout)


def _unpack(source: Path, folder: Path) -> None:
    """Write the files of an archive of our own; Python 3.11 has no filter for that yet."""
    with tarfile.open(source) as archive:
        for member in archive:
            if member.isreg() and ".." not in member.name and (body := archive.extractfile(member)) is not None:
                target = folder / member.name.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(body.read())
