"""Layers merged into an image: what is replaced, removed, owned, and where a thing came from."""

from collections.abc import Mapping

from appliance.domain.layer import ImageLayer
from appliance.domain.names import Digest
from appliance.domain.vulnerability import Inventory, Package
from appliance.scan import rules
from appliance.scan.detectors import INSTALLED
from appliance.scan.inventory import merge
from appliance.scan.layers import read_layer
from appliance.scan.limits import Limits
from appliance.scan.secrets import SecretSearch
from tests.make import layers as make
from tests.make.layers import Entry

SEARCH = SecretSearch(rules.MANUAL)


def digest(number: int) -> Digest:
    return Digest("sha256:" + f"{number:064x}")


def image(*layers: Mapping[str, bytes | Entry], claimed: Digest | None = None) -> Inventory:
    return merge(
        [
            ImageLayer(digest(index), read_layer([make.tar(files)], INSTALLED, SEARCH, Limits()), claimed)
            for index, files in enumerate(layers)
        ]
    )


def npm(name: str) -> bytes:
    return b'{"name":"%s","version":"1.0.0"}' % name.encode()


def status(*names: str, maintainer: str = "Debian <x@debian.org>") -> bytes:
    return b"\n\n".join(
        f"Package: {name}\nStatus: install ok installed\nMaintainer: {maintainer}\n".encode()
        + b"Version: 1-1\nArchitecture: amd64"
        for name in names
    )


def names(inventory: Inventory) -> list[str]:
    return sorted(package.name for package in inventory.packages)


def only(inventory: Inventory) -> Package:
    (package,) = inventory.packages
    return package


def test_the_uppermost_database_is_the_one_that_counts() -> None:
    found = image({"var/lib/dpkg/status": status("bash", "curl")}, {"var/lib/dpkg/status": status("bash", "jq")})

    assert names(found) == ["bash", "jq"]


def test_a_distribution_package_belongs_to_the_first_layer_that_has_it() -> None:
    found = image(
        {"etc/x": b""}, {"var/lib/dpkg/status": status("bash")}, {"var/lib/dpkg/status": status("bash", "jq")}
    )

    assert {package.name: package.layer for package in found.packages} == {"bash": digest(1), "jq": digest(2)}


def test_what_a_whiteout_removes_is_gone_and_what_comes_after_it_stays() -> None:
    found = image(
        {"app/a/package.json": npm("a"), "app/b/package.json": npm("b"), "lib/c/package.json": npm("c")},
        {"app/.wh.a": b"", "lib/c/.wh.package.json": b""},
        {"app/a/package.json": npm("new")},
    )

    assert names(found) == ["b", "new"]


def test_an_opaque_folder_hides_what_lies_below_it_and_not_its_own_layer() -> None:
    found = image(
        {"app/deep/a/package.json": npm("a"), "b/package.json": npm("b")},
        {"app/.wh..wh..opq": b"", "app/c/package.json": npm("c")},
    )

    assert names(found) == ["b", "c"]


def test_an_opaque_root_hides_everything() -> None:
    assert names(image({"b/package.json": npm("b")}, {".wh..wh..opq": b""})) == []


def test_a_folder_that_is_replaced_takes_its_files_along() -> None:
    found = image(
        {"app/a/package.json": npm("a"), "lib/b/package.json": npm("b"), "c/package.json": npm("c")},
        {"app": make.link("elsewhere"), "lib/b": b"a file now", "c": make.folder()},
    )

    assert names(found) == ["c"]


def test_a_file_that_is_no_package_any_more_hides_the_old_one() -> None:
    assert names(image({"a/package.json": npm("a")}, {"a/package.json": b"not json"})) == []
    assert names(image({"a/package.json": npm("a")}, {"a/package.json": make.folder()})) == []


def test_secrets_of_removed_files_stay_because_they_can_still_be_pulled() -> None:
    key = b"AKIA" + b"Z" * 16 + b"\n"

    found = image({"root/key": key, "root/other": key}, {"root/.wh.key": b"", "root/other": key})

    assert [(secret.found_in, secret.layer) for secret in found.secrets] == [
        ("root/other", digest(1)),
        ("root/key", digest(0)),
    ]


def test_language_files_of_distribution_packages_are_not_counted_twice() -> None:
    found = image(
        {
            "var/lib/dpkg/status": status("python3-six"),
            "var/lib/dpkg/info/python3-six.list": b"/usr\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info\n",
            "usr/lib/python3/dist-packages/six-1.16.0.egg-info": b"Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\n",
            "usr/local/lib/python3.11/site-packages/six-1.16.0.dist-info/METADATA": b"Name: six\nVersion: 1.16.0\n",
        }
    )

    assert sorted((package.name, package.found_in) for package in found.packages) == [
        ("python3-six", "var/lib/dpkg/status"),
        ("six", "usr/local/lib/python3.11/site-packages/six-1.16.0.dist-info/METADATA"),
    ]


def test_language_files_of_other_vendors_packages_are_counted() -> None:
    found = image(
        {
            "var/lib/dpkg/status": status("nodejs", maintainer="NSolid <x@nodesource.com>"),
            "var/lib/dpkg/info/nodejs.list": b"/usr/lib/node_modules/npm/package.json\n",
            "usr/lib/node_modules/npm/package.json": npm("npm"),
        }
    )

    assert names(found) == ["nodejs", "npm"]


def test_licences_come_from_the_copyright_file_of_the_package() -> None:
    found = image(
        {
            "var/lib/dpkg/status": status("bash"),
            "usr/share/doc/bash/copyright": b"Files: *\nLicense: GPL-3+ or MIT\n\nLicense: Expat\n",
        }
    )

    assert only(found).licences == ("GPL-3.0-or-later", "MIT")


def test_package_urls_name_the_distribution() -> None:
    found = image({"etc/debian_version": b"12.5\n", "var/lib/dpkg/status": status("bash")})

    assert only(found).purl == "pkg:deb/debian/bash@1-1?arch=amd64&distro=debian-12.5"


def test_red_hat_layers_know_their_content_sets_and_their_build() -> None:
    manifest = b'{"content_sets":["rhel-7-server-rpms"]}'
    dockerfile = b'FROM x\nLABEL com.redhat.component="ubi7-container" \\\n      architecture="x86_64"\n'
    database = {"lib/apk/db/installed": b"P:a\nV:1\n"}

    found = image(
        database,
        {
            "root/buildinfo/content_manifests/ubi7-container-7.7-140.json": manifest,
            "root/buildinfo/Dockerfile-ubi7-7.7-140": dockerfile,
        },
        {"lib/apk/db/installed": b"P:a\nV:1\n\nP:b\nV:1\n"},
    )

    assert {(package.name, package.content_sets, package.build, package.build_arch) for package in found.packages} == {
        ("a", ("rhel-7-server-rpms",), "ubi7-container-7.7-140", "x86_64"),
        ("b", ("rhel-7-server-rpms",), "ubi7-container-7.7-140", "x86_64"),
    }


def test_a_config_that_lies_about_a_layer_makes_the_result_partial() -> None:
    honest = image({"a": b"1"})
    lying = image({"a": b"1"}, claimed=digest(7))

    assert honest.limits == ()
    assert len(lying.limits) == 1
    assert "diff_id mismatch" in lying.limits[0]


def test_limits_name_their_layer() -> None:
    contents = read_layer([b"garbage that is no tar" * 40], INSTALLED, SEARCH, Limits())

    found = merge([ImageLayer(digest(5), contents)])

    assert [sentence.partition(":")[0] for sentence in found.limits] == [f"layer {'0' * 12}"]
