"""Java: archives and the archives in them, by pom.properties, then the manifest, then the file's name.

An archive that does not name its own Maven coordinates gets a guess and its SHA-1, by which the Java database knows it.
"""

import hashlib
import re
from collections.abc import Iterator

import msgspec

from appliance.domain.vulnerability import Ecosystem, Package
from appliance.scan import licences
from appliance.scan.archive import Archive, Budget
from appliance.scan.detector import Detector, Fact, Wants
from appliance.scan.limits import LimitReached, Unreadable

_ENDINGS = (".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".kar", ".lpkg")
_DEEPEST = 4  # archives in archives: an ear holds wars, a war holds jars, a jar may hold shaded ones
_DESCRIPTION = 1 << 20  # bytes of a manifest or a pom.properties
_INNER = 256 << 20  # bytes of a nested archive
_MANIFEST = "META-INF/MANIFEST.MF"
_POM = "pom.properties"
_PROPERTY = re.compile(r"^[ \t]*(groupId|artifactId|version)[ \t]*[=:][ \t]*(\S+)[ \t\r]*$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^([A-Za-z0-9_-]{1,70}): ?(.*)$", re.MULTILINE)
_FILE_NAME = re.compile(r"(?P<artifact>[A-Za-z0-9._-]{1,150}?)-(?P<version>[0-9][^\s/]{0,100})")
_LOCKED = re.compile(r"^([^\s:#=]{1,200}:[^\s:=]{1,200}):([^\s:=]{1,200})=", re.MULTILINE)
_GROUP = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")

# Families whose builds leave pom.properties out, by the start of the artifact's name; the longest start that fits wins.
_FAMILIES = {
    "checker-qual": "org.checkerframework",
    "groovy": "org.codehaus.groovy",
    "hibernate-core": "org.hibernate",
    "kotlin-reflect": "org.jetbrains.kotlin",
    "kotlin-stdlib": "org.jetbrains.kotlin",
    "kotlinx-coroutines": "org.jetbrains.kotlinx",
    "okhttp": "com.squareup.okhttp3",
    "okio": "com.squareup.okio",
    "reactor-core": "io.projectreactor",
    "spring-aop": "org.springframework",
    "spring-beans": "org.springframework",
    "spring-boot": "org.springframework.boot",
    "spring-cloud": "org.springframework.cloud",
    "spring-context": "org.springframework",
    "spring-core": "org.springframework",
    "spring-data": "org.springframework.data",
    "spring-expression": "org.springframework",
    "spring-jcl": "org.springframework",
    "spring-jdbc": "org.springframework",
    "spring-jms": "org.springframework",
    "spring-messaging": "org.springframework",
    "spring-orm": "org.springframework",
    "spring-security": "org.springframework.security",
    "spring-session": "org.springframework.session",
    "spring-tx": "org.springframework",
    "spring-web": "org.springframework",
    "spring-webflux": "org.springframework",
    "spring-webmvc": "org.springframework",
    "spring-websocket": "org.springframework",
    "tomcat-annotations-api": "org.apache.tomcat",
    "tomcat-embed": "org.apache.tomcat.embed",
    "tomcat-jdbc": "org.apache.tomcat",
    "tomcat-juli": "org.apache.tomcat",
}


class _Coordinates(msgspec.Struct, frozen=True):
    group: str
    artifact: str
    version: str


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of an archive, those nested in it included; their path goes on behind the archive's own."""
    yield from _read(path, content, Budget(len(content)), 1)


def _read(path: str, content: bytes, budget: Budget, depth: int) -> Iterator[Fact]:
    archive = Archive(content, budget)
    poms: dict[_Coordinates, None] = {}
    manifest: dict[str, str] = {}
    broken: Unreadable | LimitReached | None = None
    for entry in archive.entries():
        base = entry.name[entry.name.rfind("/") + 1 :]
        is_nested = base.lower().endswith(_ENDINGS)
        if base != _POM and entry.name != _MANIFEST and not is_nested:
            continue
        if is_nested and depth == _DEEPEST:
            broken = LimitReached(f"archives are nested deeper than {_DEEPEST}")
            continue
        try:
            if is_nested:
                yield from _read(f"{path}/{entry.name}", archive.read(entry, _INNER), budget, depth + 1)
            elif base == _POM:
                if found := _pom(archive.read(entry, _DESCRIPTION)):
                    poms[found] = None
            else:
                manifest = _attributes(archive.read(entry, _DESCRIPTION))
        except (Unreadable, LimitReached) as error:  # one bad entry does not hide its neighbours
            if not isinstance(broken, LimitReached):
                broken = error
    names = licences.gather([manifest.get("Bundle-License", "").split(";")[0].strip()])
    yield from _identify(path, content, poms, manifest, names)
    if broken is not None:
        raise broken


def _identify(
    path: str, content: bytes, poms: dict[_Coordinates, None], manifest: dict[str, str], names: tuple[str, ...]
) -> Iterator[Package]:
    """Yield a package for each pom.properties, and one for the archive itself if none of them is its own."""
    stem = path[path.rfind("/") + 1 : path.rfind(".")]
    by_name = _FILE_NAME.fullmatch(stem)
    artifact, version = (by_name["artifact"], by_name["version"]) if by_name else (stem, "")
    is_known = False
    for pom in poms:
        is_own = pom.artifact == artifact and (pom.version == version or not version)
        is_known = is_known or is_own
        yield Package(
            Ecosystem.MAVEN,
            f"{pom.group}:{pom.artifact}",
            pom.version,
            licences=names if is_own else (),
            found_in=path,
        )
    if is_known:
        return
    version = version or manifest.get("Implementation-Version") or manifest.get("Bundle-Version") or ""
    group = _group(artifact, manifest)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()  # the key that Maven repositories publish
    name = f"{group}:{artifact}" if group else artifact
    yield Package(Ecosystem.MAVEN, name, version.strip(), licences=names, found_in=path, sha1=sha1)


def _pom(content: bytes) -> _Coordinates | None:
    """Return the coordinates of a pom.properties, None where one of the three is missing or was never filled in."""
    found = dict(_PROPERTY.findall(content.decode(errors="replace")))
    if len(found) < 3 or any(value.startswith("${") for value in found.values()):
        return None
    return _Coordinates(found["groupId"], found["artifactId"], found["version"])


def _attributes(content: bytes) -> dict[str, str]:
    """Return the main section of a manifest, its folded lines joined (JAR File Specification, "Main Attributes")."""
    text = content.decode(errors="replace").replace("\r\n", "\n").replace("\n ", "")
    return dict(_ATTRIBUTE.findall(text.partition("\n\n")[0]))


def _group(artifact: str, manifest: dict[str, str]) -> str:
    for start in sorted(_FAMILIES, key=len, reverse=True):
        if artifact == start or artifact.startswith(f"{start}-"):
            return _FAMILIES[start]
    vendor = manifest.get("Implementation-Vendor-Id", "").strip()
    if _GROUP.fullmatch(vendor):
        return vendor
    symbolic = manifest.get("Bundle-SymbolicName", "").partition(";")[0].strip()
    if symbolic.endswith(f".{artifact}"):
        return symbolic.removesuffix(f".{artifact}")
    return symbolic if _GROUP.fullmatch(symbolic) else ""


def read_gradle_lock(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the packages of a gradle.lockfile: `group:artifact:version=configurations` a line."""
    for name, version in _LOCKED.findall(content.decode(errors="replace")):
        yield Package(Ecosystem.MAVEN, name, version, found_in=path)


DETECTOR = Detector("java", version=1, wants=Wants(endings=_ENDINGS), read=read, takes_large=True)
LOCKS = (Detector("gradle-lock", version=1, wants=Wants(names=frozenset({"gradle.lockfile"})), read=read_gradle_lock),)
