"""Write the appliance as an OCI archive: `archive.py BASE PROGRAM VERSION TARGET`.

BASE holds what Debian's packages of glibc and of the authorities unpack to. Two layers, so that a new version of scr
leaves the first one where it is. Everything is written in one order, with one time ($SOURCE_DATE_EPOCH).
"""

import gzip
import hashlib
import io
import json
import os
import platform
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

NOBODY = 65532  # as other images without a shell call it
NOW = int(os.environ["SOURCE_DATE_EPOCH"])
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# of glibc: its libraries and loader; no programs, no locales but C.UTF-8, which is in it
LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "librt.so.1", "libresolv.so.2")
LIBRARIES += ("libnss_files.so.2", "libnss_dns.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")
FILES = {
    "etc/passwd": f"root:x:0:0:root:/:/nologin\nscr:x:{NOBODY}:{NOBODY}:scr:/var/lib/scr:/nologin\n",
    "etc/group": f"root:x:0:\nscr:x:{NOBODY}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


class Layer:
    """A layer that is being written."""

    def __init__(self) -> None:
        """Begin an empty one."""
        self._content = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._content, mode="w", format=tarfile.GNU_FORMAT)
        self._folders: set[str] = set()

    def folder(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """Add a folder and those above it, once."""
        for above in [*reversed(Path(name).parents), Path(name)]:
            path = above.as_posix()
            if path != "." and path not in self._folders:
                self._folders.add(path)
                is_last = path == name
                self._add(path, tarfile.DIRTYPE, mode if is_last else 0o755, owner=owner if is_last else 0)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self.folder(str(Path(name).parent))
        self._add(name, tarfile.REGTYPE, mode, content)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self.folder(str(Path(name).parent))
        self._add(name, tarfile.SYMTYPE, 0o777, target=target)

    def _add(
        self, name: str, kind: bytes, mode: int, content: bytes = b"", *, target: str = "", owner: int = 0
    ) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.size, entry.mtime, entry.linkname = kind, mode, len(content), NOW, target
        entry.uid = entry.gid = owner
        self._tar.addfile(entry, io.BytesIO(content))

    def content(self) -> bytes:
        """Return it whole; nothing is added afterwards."""
        self._tar.close()
        return self._content.getvalue()

    def finish(self) -> tuple[bytes, str]:
        """Return it compressed, and the digest of what it is uncompressed."""
        content = self.content()
        return gzip.compress(content, 9, mtime=0), digest_of(content)


def digest_of(content: bytes) -> str:
    """Return the digest of `content`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def base_layer(base: Path) -> Layer:
    """Return glibc, the authorities, the user, and the places that are written to."""
    layer = Layer()
    for name, text in FILES.items():
        layer.file(name, text.encode())
    for path in sorted((base / "usr").rglob("*.so.*")):
        if path.name in LIBRARIES and not path.is_symlink():
            layer.file(path.relative_to(base).as_posix(), path.read_bytes(), 0o755)
    for name, target in (("lib", "usr/lib"), ("lib64", "usr/lib64")):
        layer.link(name, target)
    for path in sorted((base / "usr/lib64").glob("*")):  # the loader's well-known name leads to where it lies
        if path.is_symlink():
            layer.link(path.relative_to(base).as_posix(), os.readlink(path))  # noqa: PTH115 - as it is written
    authorities = sorted((base / "usr/share/ca-certificates").rglob("*.crt"))
    layer.file("etc/ssl/certs/ca-certificates.crt", b"".join(path.read_bytes() for path in authorities))
    for package in ("libc6", "ca-certificates"):
        layer.file(f"usr/share/doc/{package}/copyright", (base / f"usr/share/doc/{package}/copyright").read_bytes())
    layer.folder("tmp", 0o1777)
    layer.folder("var/lib/scr", 0o700, NOBODY)
    return layer


def program_layer(program: Path) -> Layer:
    """Return the file, and settings that listen on every address, which scr refuses without users and TLS."""
    layer = Layer()
    layer.file("usr/bin/scr", program.read_bytes(), 0o755)
    layer.file("etc/scr/scr.toml", b'[server]\nlisten = [":5000"]\n\n[storage]\ndata_dir = "/var/lib/scr"\n')
    return layer


def config(version: str, diffs: list[str]) -> dict[str, Any]:
    """Return the image's configuration."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW))
    told = {
        "title": "scr",
        "version": version,
        "licenses": "Apache-2.0",
        "description": "container registry in one file",
    }
    settings = ["--config", "/etc/scr/scr.toml"]
    return {
        "created": moment,
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "User": f"{NOBODY}:{NOBODY}",
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/scr"],
            "Cmd": ["serve", *settings],
            "WorkingDir": "/var/lib/scr",
            "Volumes": {"/var/lib/scr": {}},
            "ExposedPorts": {"5000/tcp": {}},
            "StopSignal": "SIGTERM",
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/scr", "status", *settings],
                "Interval": 30 * 10**9,
                "Timeout": 10 * 10**9,
                "StartPeriod": 60 * 10**9,
            },
            "Labels": {f"org.opencontainers.image.{key}": value for key, value in told.items()},
        },
        "rootfs": {"type": "layers", "diff_ids": diffs},
        "history": [
            {"created": moment, "created_by": f"scr: {what}"} for what in ("glibc and authorities", "the file")
        ],
    }


def write(target: Path, version: str, layers: list[Layer]) -> None:
    """Write the archive."""
    blobs: dict[str, bytes] = {}

    def keep(content: bytes, kind: str) -> dict[str, Any]:
        digest = digest_of(content)
        blobs[digest] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": len(content)}

    finished = [layer.finish() for layer in layers]
    described = [keep(content, "layer.v1.tar+gzip") for content, _ in finished]
    settings = keep(_json(config(version, [diff for _, diff in finished])), "config.v1+json")
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = keep(
        _json({"schemaVersion": 2, "mediaType": kind, "config": settings, "layers": described}), "manifest.v1+json"
    )
    manifest["annotations"] = {"org.opencontainers.image.ref.name": version}
    archive = Layer()
    archive.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    archive.file("index.json", _json({"schemaVersion": 2, "manifests": [manifest]}))
    for digest, content in sorted(blobs.items()):
        archive.file(f"blobs/{digest.replace(':', '/')}", content)
    staged = target.with_name(f"{target.name}.part")
    staged.write_bytes(archive.content())
    staged.rename(target)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


if __name__ == "__main__":
    base, program, version, target = sys.argv[1:]
    write(Path(target), version, [base_layer(Path(base)), program_layer(Path(program))])
