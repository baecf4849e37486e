"""Which distribution an image is: from the release files that distributions put into /etc and /usr/lib."""

import re
from collections.abc import Callable, Iterator

from appliance.domain.layer import Release
from appliance.domain.vulnerability import Distribution
from appliance.scan.detector import Detector, Fact, Wants

# Ranks: the lower is believed. A file that only one distribution has beats the general ones; Oracle, for one, calls
# itself Red Hat in redhat-release, and Ubuntu carries the debian_version of the testing release it began from.
_OWN, _POINT_RELEASE, _GENERAL, _SHARED = 1, 2, 3, 4

_FAMILIES = {  # ID of os-release(5) -> family
    "almalinux": "alma",
    "amzn": "amazon",
    "archarm": "arch",
    "cbl-mariner": "cbl-mariner",
    "mariner": "cbl-mariner",
    "ol": "oracle",
    "opensuse": "opensuse-leap",
    "rhel": "redhat",
    "sled": "sles",
    "sles_sap": "sles",
    "sle_hpc": "sles",
    "sle-micro": "sle-micro",
}
_SETTING = re.compile(r"^([A-Z_]+)=(?:\"([^\"\n]*)\"|'([^'\n]*)'|(\S*))", re.MULTILINE)
_RELEASE = re.compile(r"^(.+?)(?: Linux)?(?: Server| Client| Workstation| ComputeNode)? release (\d[\w.]*)")
_RED_HATS = {
    "AlmaLinux": "alma",
    "CentOS": "centos",
    "CentOS Linux": "centos",
    "CentOS Stream": "centos",
    "Fedora": "fedora",
    "Oracle": "oracle",
    "Oracle Linux": "oracle",
    "Red Hat Enterprise": "redhat",
    "Red Hat Enterprise Linux": "redhat",
    "Rocky": "rocky",
    "Rocky Linux": "rocky",
}
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_LONGEST = 4096  # bytes of any of these files that are looked at


def read(path: str, content: bytes) -> Iterator[Fact]:
    """Yield the distribution that the release file at `path` tells of, nothing if it tells of none."""
    text = content[:_LONGEST].decode(errors="replace").strip()
    found = _READERS[path](text)
    if found is not None:
        yield found


def _os_release(text: str) -> Release | None:
    setting = {key: double or single or bare for key, double, single, bare in _SETTING.findall(text)}
    identity = setting.get("ID", "").lower()
    if not identity:
        return None
    version = setting.get("VERSION_ID", "")
    family = _FAMILIES.get(identity, identity)
    name = setting.get("PRETTY_NAME") or setting.get("NAME") or identity
    if identity == "opensuse" and "tumbleweed" in name.lower():
        family = "opensuse-tumbleweed"
    return Release(Distribution(family, version, name), _GENERAL)


def _alpine(text: str) -> Release | None:
    return Release(Distribution("alpine", text, f"Alpine Linux {text}"), _OWN) if _NUMBER.match(text) else None


def _debian(text: str) -> Release | None:
    # Not a number: a testing release, or a relative that says so only in os-release.
    if not _NUMBER.fullmatch(text):
        return None
    return Release(Distribution("debian", text, f"Debian GNU/Linux {text}"), _POINT_RELEASE)


def _ubuntu(text: str) -> Release | None:
    setting = {key: double or single or bare for key, double, single, bare in _SETTING.findall(text)}
    version = setting.get("DISTRIB_RELEASE", "")
    if setting.get("DISTRIB_ID", "").lower() != "ubuntu" or not version:
        return None
    return Release(Distribution("ubuntu", version, setting.get("DISTRIB_DESCRIPTION") or f"Ubuntu {version}"), _OWN)


def _red_hat(rank: int) -> Callable[[str], Release | None]:
    def find(text: str) -> Release | None:
        line = text.partition("\n")[0]
        found = _RELEASE.match(line)
        family = _RED_HATS.get(found[1]) if found else None
        return Release(Distribution(family, found[2], line), rank) if found and family else None

    return find


def _amazon(text: str) -> Release | None:
    line = text.partition("\n")[0]
    for start in (
        "Amazon Linux release ",
        "Amazon Linux ",
    ):  # the second is Amazon Linux 1: "Amazon Linux AMI release ..."
        if line.startswith(start):
            return Release(Distribution("amazon", line.removeprefix(start), line), _OWN)
    return None


_READERS: dict[str, Callable[[str], Release | None]] = {
    "etc/os-release": _os_release,
    "usr/lib/os-release": _os_release,
    "etc/alpine-release": _alpine,
    "etc/debian_version": _debian,
    "etc/lsb-release": _ubuntu,
    "etc/centos-release": _red_hat(_OWN),
    "etc/oracle-release": _red_hat(_OWN),
    "etc/rocky-release": _red_hat(_OWN),
    "etc/almalinux-release": _red_hat(_OWN),
    "etc/fedora-release": _red_hat(_OWN),
    "usr/lib/fedora-release": _red_hat(_OWN),
    "etc/redhat-release": _red_hat(_SHARED),
    "etc/system-release": _amazon,
    "usr/lib/system-release": _amazon,
}

DETECTOR = Detector("os-release", version=1, wants=Wants(paths=frozenset(_READERS)), read=read, is_essential=True)
