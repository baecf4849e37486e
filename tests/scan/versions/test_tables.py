"""The comparers against the table of answers that the modules of another scanner gave."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.scan.versions import Scheme, VersionInvalid, apk, deb, generic, maven, npm, pep440, rpm

TABLE = Path(__file__).parents[2] / "fixtures/scan/vercmp/trivy-comparers.tsv"

SCHEMES = {
    "apk": apk.SCHEME,
    "deb": deb.SCHEME,
    "rpm": rpm.SCHEME,
    "maven": maven.SCHEME,
    "npm": npm.SCHEME,
    "pep440": pep440.SCHEME,
    "generic": generic.SCHEME,
}

ROWS = {
    "apk": 474,
    "deb": 555,
    "rpm": 577,
    "maven": 333,
    "mavenrange": 345,
    "npm": 558,
    "npmrange": 391,
    "pep440": 312,
    "pep440range": 330,
    "generic": 230,
    "genericrange": 280,
}

# Rows in which the table is wrong by the definition of the ecosystem, and why.
# - An exact range loses its last character before it is read there: "[3.2.1]" is compared as "3.2".
#   Maven, VersionRange: "[x]" is exactly x.
# - A range open below starts there at a version that sorts above zero. Maven: "(,1]" is everything up to 1.
# - "~=1.0a1" demands there a version that begins with "1.0". PEP 440, "Compatible release": the suffix is ignored when
#   the prefix is taken, so it is ">=1.0a1, ==1.*".
OURS_IS_RIGHT = {
    ("mavenrange", "0", "[1]"): "false",
    ("mavenrange", "01", "[1]"): "true",
    ("mavenrange", "1", "[1]"): "true",
    ("mavenrange", "01.0-beta2", "[1.0-beta2]"): "true",
    ("mavenrange", "1.0-beta2.0", "[1.0-beta2]"): "true",
    ("mavenrange", "1.0-rc01", "[1.0-rc1]"): "true",
    ("mavenrange", "1.0-rc1", "[1.0-rc1]"): "true",
    ("mavenrange", "1.0.1.ga", "[1.0.1.ga]"): "true",
    ("mavenrange", "1.0.Final", "[1.0.Final]"): "true",
    ("mavenrange", "28.0-android", "[28.0-android]"): "true",
    ("mavenrange", "3.2.1", "[3.2.1]"): "true",
    ("mavenrange", "0", "(,1]"): "true",
    ("mavenrange", "0.0", "(,1.0]"): "true",
    ("pep440range", "1.10a1", "~=1.0a1"): "true",
}


def _rows(kind: str) -> Iterator[tuple[str, str, str]]:
    for line in TABLE.read_text().splitlines()[1:]:
        name, left, right, result = line.split("\t")
        if name == kind:
            yield left, right, result


def _answer(scheme: Scheme, kind: str, left: str, right: str) -> str:
    try:
        if kind.endswith("range"):
            return str(scheme.satisfies(left, right)).lower()
        return str(scheme.compare(left, right))
    except VersionInvalid:
        return "err"


@pytest.mark.parametrize("kind", ROWS)
def test_every_row_of_the_table_is_answered_alike(kind: str) -> None:
    scheme = SCHEMES[kind.removesuffix("range")]

    rows = list(_rows(kind))
    wrong = [
        (left, right, result)
        for left, right, result in rows
        if _answer(scheme, kind, left, right) != OURS_IS_RIGHT.get((kind, left, right), result)
    ]

    assert len(rows) == ROWS[kind]
    assert wrong == []


def test_every_named_deviation_is_a_row_of_the_table_that_says_otherwise() -> None:
    rows = {(kind, left, right): result for kind in ROWS for left, right, result in _rows(kind)}

    assert all(rows[row] != answer for row, answer in OURS_IS_RIGHT.items())


def test_a_comparison_turned_round_gives_the_opposite_answer() -> None:
    opposite = {"-1": "1", "0": "0", "1": "-1", "err": "err"}

    for kind, scheme in SCHEMES.items():
        for left, right, result in _rows(kind):
            assert _answer(scheme, kind, right, left) == opposite[result], (kind, right, left)
