"""Package URLs of others: parsed, and which packages they cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.purl import PackageUrl, parse_purl
from appliance.domain.vulnerability import Distribution, Ecosystem, Package
from appliance.scan import purl


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pkg:npm/%40angular/core@12.0.0", PackageUrl("npm", "@angular/core", "12.0.0")),
        ("pkg:npm/@angular/core", PackageUrl("npm", "@angular/core")),
        ("pkg:npm/@angular/core@12", PackageUrl("npm", "@angular/core", "12")),
        ("pkg://NPM/left-pad@1", PackageUrl("npm", "left-pad", "1")),
        ("pkg:pypi/Typing_Extensions@4", PackageUrl("pypi", "typing-extensions", "4")),
        ("pkg:golang/github.com/A/b@v1#sub/path", PackageUrl("golang", "github.com/a/b", "v1")),
        ("pkg:deb/debian/g++@4%3A12.2-3?arch=amd64", PackageUrl("deb", "debian/g++", "4:12.2-3", (("arch", "amd64"),))),
        ("pkg:rpm/a@1?upstream=a%20b&epoch=1", PackageUrl("rpm", "a", "1", (("epoch", "1"), ("upstream", "a b")))),
        ("pkg:deb/a@1+b?distro=x+y", PackageUrl("deb", "a", "1+b", (("distro", "x+y"),))),
    ],
)
def test_a_package_url_is_taken_apart(text: str, parts: PackageUrl) -> None:
    assert parse_purl(text) == parts


@pytest.mark.parametrize("text", ["", "pkg:", "pkg:npm", "pkg:npm/", "npm/a@1", "https://example.com/a", "pkg/npm/a"])
def test_what_is_no_package_url_is_none(text: str) -> None:
    assert parse_purl(text) is None


@given(st.text(max_size=30).map("pkg:npm/".__add__) | st.text(max_size=30))
def test_any_text_is_one_or_none(text: str) -> None:
    found = parse_purl(text)

    assert found is None or (found.type and found.path)


@pytest.mark.parametrize(
    ("said", "found", "covers"),
    [
        ("pkg:npm/a", "pkg:npm/a@1", True),
        ("pkg:npm/a@1", "pkg:npm/a@1", True),
        ("pkg:npm/a@1", "pkg:npm/a@1.0", False),
        ("pkg:npm/a@1", "pkg:npm/a", False),
        ("pkg:npm/a", "pkg:npm/%40b/a@1", False),
        ("pkg:npm/a", "pkg:gem/a@1", False),
        ("pkg:deb/debian/a?arch=arm64", "pkg:deb/debian/a@1?arch=amd64", False),
        ("pkg:deb/debian/a?distro=debian-12", "pkg:deb/debian/a@1?arch=amd64&distro=debian-12", True),
        ("pkg:deb/debian/a?unheard=of", "pkg:deb/debian/a@1", False),
        ("pkg:maven/g/a@1?type=jar&repository_url=example.com", "pkg:maven/g/a@1", True),
    ],
)
def test_what_is_said_covers_what_is_found(said: str, found: str, *, covers: bool) -> None:
    one, other = parse_purl(said), parse_purl(found)

    assert one is not None
    assert other is not None
    assert one.covers(other) is covers


@given(
    st.sampled_from(Ecosystem),
    st.text(min_size=1, max_size=9),
    st.text(min_size=1, max_size=9),
    st.sampled_from([None, Distribution("debian", "12"), Distribution("sles", "15.3")]),
)
def test_what_is_built_here_is_taken_apart_and_covers_itself(
    ecosystem: Ecosystem, name: str, version: str, distribution: Distribution | None
) -> None:
    built = purl.build(Package(ecosystem, name, version, arch="amd64", source="s"), distribution)

    found = parse_purl(built)
    assert found is None or found.covers(found)
    assert found is not None or not name.strip("/:")
