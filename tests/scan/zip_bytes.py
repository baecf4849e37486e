"""Zip archives for tests: sound ones by the library, and changes that no library would make."""

import io
import zipfile
from collections.abc import Mapping


def archive(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of `files` in their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        for name, content in files.items():
            out.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content, method)
    return buffer.getvalue()


def pom(group: str, artifact: str, version: str) -> dict[str, bytes]:
    """Return the entry by which Maven tells what an archive is."""
    text = f"#Generated\ngroupId={group}\nartifactId={artifact}\nversion={version}\n"
    return {f"META-INF/maven/{group}/{artifact}/pom.properties": text.encode()}
