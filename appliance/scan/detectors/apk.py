"""Alpine and its relatives: the database that apk keeps of what it installed."""

from collections.abc import Iterator

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences, owned
from appliance.scan.detector import Detector, Fact, Owned, Wants


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of an apk database: entries split by a blank line, one `K:value` a line.

    Spec: Alpine wiki, "Apk spec".
    """
    for entry in content.split(b"\n\n"):
        field: dict[bytes, str] = {}
        folder = ""
        files: list[str] = []
        for line in entry.splitlines():
            if line[1:2] != b":":
                continue
            key, value = line[:1], line[2:].decode(errors="backslashreplace")
            if key == b"F":
                folder = value
            elif key == b"R":
                files.append(f"{folder}/{value}")
            else:
                field[key] = value
        name, version = field.get(b"P"), field.get(b"V")
        if not name or not version:
            continue
        source = field.get(b"o", name)
        yield Package(
            Ecosystem.APK,
            name,
            version,
            source="" if source == name else source,
            source_version="" if source == name else version,
            arch=field.get(b"A", ""),
            licences=licences.split(field.get(b"L", "")),
            found_in=path,
        )
        if chosen := tuple(owned.choose(files)):
            yield Owned(chosen)


DETECTOR = Detector(
    "apk",
    version=1,
    wants=Wants(paths=frozenset({"lib/apk/db/installed", "usr/lib/apk/db/installed"})),
    read=read,
    is_essential=True,
    takes_large=True,
)
