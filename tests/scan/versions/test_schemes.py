"""Sentences of the ecosystems' own definitions that the table of comparisons does not hold."""

import pytest

from appliance.scan.versions import Scheme, VersionInvalid, apk, deb, gem, generic, maven, npm, pep440, rpm


@pytest.mark.parametrize(
    ("scheme", "older", "newer"),
    [
        (apk.SCHEME, "1.0_rc1", "1.0"),
        (apk.SCHEME, "1.0", "1.0_p1"),
        (apk.SCHEME, "1.0", "1.0~cafe"),
        (apk.SCHEME, "1.01", "1.1"),
        (apk.SCHEME, "9d", "9e"),
        (deb.SCHEME, "1.0~rc1", "1.0"),
        (deb.SCHEME, "1.0", "1.0+b1"),
        (deb.SCHEME, "2.0-1", "1:0.1-1"),
        (rpm.SCHEME, "1.0~rc1-1", "1.0-1"),
        (rpm.SCHEME, "1.0-1", "1.0^git1-1"),
        (rpm.SCHEME, "1.0^git1-1", "1.0.1-1"),
        (rpm.SCHEME, "1.0a-1", "1.0.1-1"),
        (maven.SCHEME, "1.0-alpha-1", "1.0-rc1"),
        (maven.SCHEME, "1.0-rc1", "1.0"),
        (maven.SCHEME, "1.0", "1.0-sp1"),
        (gem.SCHEME, "1.0.a", "1.0"),
        (gem.SCHEME, "1.0.pre.1", "1.0"),
        (gem.SCHEME, "1.9.3", "1.10"),
        (gem.SCHEME, "1.0-1", "1.0"),
        (generic.SCHEME, "v0.0.0-20210101000000-abcdefabcdef", "v0.0.0-20210102000000-abcdefabcdef"),
        (generic.SCHEME, "1.0.0-rc.2", "1.0.0-rc.10"),
        (npm.SCHEME, "1.0.0-alpha", "1.0.0-alpha.1"),
        (npm.SCHEME, "1.0.0-alpha.beta", "1.0.0-beta"),
        (pep440.SCHEME, "1.0.dev1", "1.0a1"),
        (pep440.SCHEME, "2023.1", "1!0.1"),
    ],
)
def test_one_version_is_older_than_the_other(scheme: Scheme, older: str, newer: str) -> None:
    assert scheme.compare(older, newer) == -1


@pytest.mark.parametrize(
    ("scheme", "one", "two"),
    [
        (maven.SCHEME, "1.0", "1-ga"),
        (maven.SCHEME, "1.0.RELEASE", "1"),
        (maven.SCHEME, "1.0-cr1", "1.0-rc1"),
        (maven.SCHEME, "1.0a1", "1.0-alpha-1"),
        (generic.SCHEME, "v1.2.0", "1.2"),
        (generic.NUGET, "1.0-BETA.1", "1.0.0-beta.1"),
        (gem.SCHEME, "1.0.0", "1"),
        (rpm.SCHEME, "0:1.0-1", "1.0-1"),
        (deb.SCHEME, "1.0", "1.0-0"),
    ],
)
def test_two_spellings_name_one_version(scheme: Scheme, one: str, two: str) -> None:
    assert scheme.compare(one, two) == 0


@pytest.mark.parametrize(
    ("scheme", "version", "constraint", "holds"),
    [
        (npm.SCHEME, "2.0.1", "2.0.x || 2.1.x", True),
        (npm.SCHEME, "1.0.5", "<=1.0", True),
        (npm.SCHEME, "1.1.0", "<=1.0", False),
        (npm.SCHEME, "1.0.5", ">1.0", False),
        (npm.SCHEME, "1.2.3", "*", True),
        (npm.SCHEME, "1.2.3-alpha", "*", False),
        (npm.SCHEME, "0.2.9", "^0.2.3", True),
        (npm.SCHEME, "0.3.0", "^0.2.3", False),
        (npm.SCHEME, "0.0.4", "^0.0.3", False),
        (npm.SCHEME, "1.9.0", "~1", True),
        (npm.SCHEME, "1.3.0", "~1.2", False),
        (npm.SCHEME, "3.0.0-beta.3", ">=3.0.0-beta.1 <3.0.0-beta.7", True),
        (npm.SCHEME, "3.0.1-beta.3", ">=3.0.0-beta.1", False),
        (npm.SCHEME, "2.1.0-M1", "2.1.0-M1 || 2.1.0-M2", True),
        (pep440.SCHEME, "2.1.0.post1", "2.1.0.post1 || 2.0.0", True),
        (pep440.SCHEME, "2.0.0", ">=1.7.0 <1.7.16 || >=2.0.0 <2.0.8", True),
        (pep440.SCHEME, "1.2.3a1", "<=1.2.2", False),
        (pep440.SCHEME, "1.2.3", "*", True),
        (pep440.SCHEME, "1.4.9", "==1.4.*", True),
        (maven.SCHEME, "2.0.0.RELEASE", "(,1.0.5.RELEASE],[2.0.0.RELEASE,2.0.16.RELEASE)", True),
        (maven.SCHEME, "2.0.16", "(,1.0.5.RELEASE],[2.0.0.RELEASE,2.0.16.RELEASE)", False),
        (maven.SCHEME, "1.2.3", "[1.2.3]", True),
        (maven.SCHEME, "99", "[1.0,)", True),
        (maven.SCHEME, "1.5", "> 1.0 < 1.2 || >3.0", False),
        (gem.SCHEME, "4.1.11", "~> 4.1.10", True),
        (gem.SCHEME, "4.2.0", "~> 4.1.10", False),
        (gem.SCHEME, "4.9", "~> 4.1", True),
        (gem.SCHEME, "1.8.6-java", "~> 1.5.5 || ~> 1.6.8 || >= 1.7.7", True),
        (gem.SCHEME, "4.1a", "< 4.2b1", True),
        (generic.SCHEME, "1.2.9", "~1.2.3", True),
        (generic.SCHEME, "1.9", "~>1.2", True),
        (generic.SCHEME, "2.0", "^1.2", False),
        (deb.SCHEME, "1.0-1", "< 1.0-2", True),
        (rpm.SCHEME, "0:1.0-1.el8", ">=1.0-1.el8", True),
    ],
)
def test_a_constraint_is_read_as_its_ecosystem_reads_it(
    scheme: Scheme, version: str, constraint: str, *, holds: bool
) -> None:
    assert scheme.satisfies(version, constraint) is holds


@pytest.mark.parametrize(
    ("scheme", "constraint"),
    [
        (npm.SCHEME, "!1.0.0"),
        (npm.SCHEME, ""),
        (pep440.SCHEME, "!1.0.0"),
        (pep440.SCHEME, " "),
        (maven.SCHEME, "<1.0\\.0"),
        (maven.SCHEME, "[1.0,1.1,1.2]"),
        (maven.SCHEME, "[]"),
        (gem.SCHEME, "!1.2.0"),
        (generic.SCHEME, "*"),
        (generic.SCHEME, ">= "),
        (deb.SCHEME, "~1.0"),
    ],
)
def test_a_constraint_that_cannot_be_read_is_refused_and_not_guessed(scheme: Scheme, constraint: str) -> None:
    with pytest.raises(VersionInvalid):
        scheme.satisfies("1.2.4", constraint)
