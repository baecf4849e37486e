"""Which distribution an image is, from the files that the distributions really ship."""

import pytest

from appliance.domain.layer import ImageLayer
from appliance.domain.names import Digest
from appliance.scan import os_release
from appliance.scan.inventory import merge
from appliance.scan.layers import read_layer
from appliance.scan.limits import Limits
from tests.make import layers as make

RELEASES = {
    "alpine": (
        {"etc/alpine-release": "3.19.1\n", "etc/os-release": "ID=alpine\nVERSION_ID=3.19.1\n"},
        "alpine",
        "3.19.1",
    ),
    "alpine, os-release only": ({"etc/os-release": 'ID=alpine\nVERSION_ID="3.19.1"\n'}, "alpine", "3.19.1"),
    "debian": ({"etc/debian_version": "12.5\n", "etc/os-release": 'ID=debian\nVERSION_ID="12"\n'}, "debian", "12.5"),
    "debian testing": ({"etc/debian_version": "trixie/sid\n", "etc/os-release": "ID=debian\n"}, "debian", ""),
    "distroless": ({"usr/lib/os-release": 'PRETTY_NAME="Distroless"\nID="debian"\nVERSION_ID="12"\n'}, "debian", "12"),
    "ubuntu": (
        {
            "etc/debian_version": "bookworm/sid\n",
            "etc/lsb-release": 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\nDISTRIB_DESCRIPTION="Ubuntu 24.04 LTS"\n',
            "etc/os-release": 'ID=ubuntu\nVERSION_ID="24.04"\n',
        },
        "ubuntu",
        "24.04",
    ),
    "ubuntu without lsb-release": (
        {"etc/debian_version": "stretch/sid\n", "etc/os-release": 'ID=ubuntu\nVERSION_ID="18.04"\n'},
        "ubuntu",
        "18.04",
    ),
    "centos 6": ({"etc/redhat-release": "CentOS release 6.10 (Final)\n"}, "centos", "6.10"),
    "centos 7": (
        {
            "etc/centos-release": "CentOS Linux release 7.9.2009 (Core)\n",
            "etc/redhat-release": "CentOS Linux release 7.9.2009 (Core)\n",
            "etc/os-release": 'ID="centos"\nVERSION_ID="7"\n',
        },
        "centos",
        "7.9.2009",
    ),
    "centos stream": ({"etc/centos-release": "CentOS Stream release 9\n"}, "centos", "9"),
    "oracle": (
        {
            "etc/oracle-release": "Oracle Linux Server release 8.9\n",
            "etc/redhat-release": "Red Hat Enterprise Linux release 8.9 (Ootpa)\n",
            "etc/os-release": 'ID="ol"\nVERSION_ID="8.9"\n',
        },
        "oracle",
        "8.9",
    ),
    "rocky": ({"etc/rocky-release": "Rocky Linux release 9.3 (Blue Onyx)\n"}, "rocky", "9.3"),
    "alma": ({"etc/almalinux-release": "AlmaLinux release 9.3 (Shamrock Pampas Cat)\n"}, "alma", "9.3"),
    "alma, os-release only": ({"etc/os-release": 'ID="almalinux"\nVERSION_ID="8.6"\n'}, "alma", "8.6"),
    "fedora": ({"etc/fedora-release": "Fedora release 39 (Thirty Nine)\n"}, "fedora", "39"),
    "rhel": (
        {
            "etc/redhat-release": "Red Hat Enterprise Linux release 9.3 (Plow)\n",
            "etc/os-release": 'ID="rhel"\nVERSION_ID="9.3"\n',
        },
        "redhat",
        "9.3",
    ),
    "rhel 6": ({"etc/redhat-release": "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n"}, "redhat", "6.10"),
    "amazon 1": ({"etc/system-release": "Amazon Linux AMI release 2018.03\n"}, "amazon", "AMI release 2018.03"),
    "amazon 2": ({"etc/system-release": "Amazon Linux release 2 (Karoo)\n"}, "amazon", "2 (Karoo)"),
    "amazon 2023": (
        {"usr/lib/system-release": "Amazon Linux release 2023.3.20240108 (Amazon Linux)\n"},
        "amazon",
        "2023.3.20240108 (Amazon Linux)",
    ),
    "photon": ({"etc/os-release": 'NAME="VMware Photon OS"\nID=photon\nVERSION_ID=5.0\n'}, "photon", "5.0"),
    "sles": ({"etc/os-release": 'NAME="SLES"\nID="sles"\nVERSION_ID="15.5"\n'}, "sles", "15.5"),
    "sles for sap": ({"etc/os-release": 'ID="sles_sap"\nVERSION_ID="15.5"\n'}, "sles", "15.5"),
    "leap": ({"etc/os-release": 'ID="opensuse-leap"\nVERSION_ID="15.5"\n'}, "opensuse-leap", "15.5"),
    "leap 42": (
        {"etc/os-release": 'ID=opensuse\nVERSION_ID="42.3"\nPRETTY_NAME="openSUSE Leap 42.3"\n'},
        "opensuse-leap",
        "42.3",
    ),
    "tumbleweed": (
        {"usr/lib/os-release": 'ID="opensuse-tumbleweed"\nVERSION_ID="20240201"\n'},
        "opensuse-tumbleweed",
        "20240201",
    ),
    "one that nobody knows": ({"etc/os-release": "ID=hannah\nVERSION_ID=1\n"}, "hannah", "1"),
}


@pytest.mark.parametrize("name", RELEASES)
def test_the_distribution_is_told_from_its_release_files(name: str) -> None:
    files, family, version = RELEASES[name]
    data = make.tar({path: text.encode() for path, text in files.items()})

    contents = read_layer([data], (os_release.DETECTOR,), None, Limits())
    found = merge([ImageLayer(Digest("sha256:" + "0" * 64), contents)]).distribution

    assert found is not None
    assert (found.family, found.version) == (family, version)
    assert found.name


@pytest.mark.parametrize("path", sorted(os_release.DETECTOR.wants.paths))
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"release", b"ID=\n", b"=" * 5000, b"CentOS release x"])
def test_a_release_file_that_says_nothing_gives_nothing(path: str, content: bytes) -> None:
    assert list(os_release.DETECTOR.read(path, content)) == []


def test_an_image_without_release_files_has_no_distribution() -> None:
    assert merge([]).distribution is None
