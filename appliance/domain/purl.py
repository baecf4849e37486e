"""Package URLs as others write them: parsed, and whether one that somebody wrote covers one that was found."""

from functools import lru_cache
from urllib.parse import parse_qsl, unquote

import msgspec

_LOWER = frozenset({"golang", "composer", "pypi", "deb", "apk", "rpm", "oci", "docker", "github"})
_WHENCE = frozenset(  # qualifiers that say where something came from, not what it is
    {"repository_url", "download_url", "vcs_url", "file_name", "checksum", "upstream", "type"}
)


class PackageUrl(msgspec.Struct, frozen=True):
    """The parts of `pkg:type/path@version?qualifiers`, decoded; `path` is namespace and name."""

    type: str
    path: str
    version: str = ""
    qualifiers: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Return the name without its namespace."""
        return self.path.rpartition("/")[2]

    def qualifier(self, key: str) -> str:
        """Return a qualifier, "" where it has none of that key."""
        return dict(self.qualifiers).get(key, "")

    def covers(self, other: "PackageUrl") -> bool:
        """Whether `other` is what this one means: of any version where it names none.

        What this one says besides (architecture, distribution) has to be true of `other`; where it came from does not
        matter.
        """
        if (self.type, self.path) != (other.type, other.path) or self.version not in ("", other.version):
            return False
        known = dict(other.qualifiers)
        return all(known.get(key) == value for key, value in self.qualifiers if key not in _WHENCE)


@lru_cache(maxsize=1 << 16)
def parse_purl(text: str) -> PackageUrl | None:
    """Return the parts of a package URL, None for what is none (package-url/purl-spec, "How to parse")."""
    rest, _, asked = text.partition("#")[0].partition("?")
    scheme, colon, rest = rest.partition(":")
    kind, _, path = rest.strip("/").partition("/")
    begin = path.rfind("/") + 1
    at = path.find("@", begin + 1)  # one at the begin of a name belongs to it
    version = ""
    if at > 0:
        path, version = path[:at], unquote(path[at + 1 :])
    kind, path = kind.lower(), "/".join(unquote(part) for part in path.split("/") if part)
    if scheme.lower() != "pkg" or not (colon and kind and path):
        return None
    path = path.lower() if kind in _LOWER else path
    path = path.replace("_", "-") if kind == "pypi" else path
    pairs = parse_qsl(asked.replace("+", "%2B"))  # a plus is a plus here, not a space
    return PackageUrl(kind, path, version, tuple(sorted((key.lower(), value) for key, value in pairs)))
