"""Every order is one: reflexive, antisymmetric, transitive; and no text raises anything but VersionInvalid."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.vulnerability import Ecosystem
from appliance.scan.versions import SCHEMES, VersionInvalid
from appliance.scan.versions.order import MAX_LENGTH

PIECES = {
    Ecosystem.APK: ["1", "0", "01", "10", ".", "a", "z", "_rc", "_p", "_git", "_alpha", "-r0", "-r1", "~ab", "2"],
    Ecosystem.DEB: ["1", "0", "01", "10", ".", "~", "+", "-", ":", "a", "B", "rc", "dfsg", "1:", "deb"],
    Ecosystem.RPM: ["1", "0", "01", "10", ".", "~", "^", "_", "-", "a", "B", "el8", "1:", "2:"],
    Ecosystem.PYPI: ["1", "0", "01", "10", ".", "a1", "b2", "rc1", ".post1", ".dev2", "+x.1", "1!", "c0"],
    Ecosystem.NPM: ["-1", "-0", ".1", ".0", "-rc", ".alpha", "+x", "-beta.11", "0", "-"],
    # Maven's own order is not transitive where a word stands behind a point: "1" < "1-jre" < "1.0.RC1" < "1".
    Ecosystem.MAVEN: ["", "-alpha-1", "-beta2", "-m1", "-cr2", "-rc1", "-SNAPSHOT", "-sp1", "-jre", "-1", "-final"],
    Ecosystem.GEM: ["1", "0", "01", "10", ".", "-", "a", "b1", "pre", "rc"],
    Ecosystem.NUGET: ["1", "0", "01", "10", ".", "-", "Beta", "beta", "rc.1", "+x"],
    Ecosystem.COMPOSER: ["1", "0", "01", "10", ".", "-", "RC1", "beta", "v", "+x"],
    Ecosystem.GOLANG: ["1", "0", "v1.2.3", ".", "-", "rc", "0.20210101000000-abcdefabcdef", "+incompatible"],
    Ecosystem.CARGO: ["1", "0", "01", "10", ".", "-", "rc.1", "alpha", "+x"],
}


HEADS = {Ecosystem.NPM: ["1.0.0", "0.1.2", "1.0.10"], Ecosystem.MAVEN: ["1", "1.0", "0.1", "1.0.1", "1.10", "01.2"]}


def _versions(ecosystem: Ecosystem) -> st.SearchStrategy[str]:
    """Texts of this ecosystem that its scheme can read."""
    heads = st.sampled_from(HEADS.get(ecosystem, ["1", "0", "10"]))
    tails = st.lists(st.sampled_from(PIECES[ecosystem]), max_size=1 if ecosystem is Ecosystem.MAVEN else 6).map("".join)
    return st.builds(str.__add__, heads, tails).filter(lambda text: _is_readable(ecosystem, text))


def _is_readable(ecosystem: Ecosystem, text: str) -> bool:
    try:
        SCHEMES[ecosystem].key(text)
    except VersionInvalid:
        return False
    return True


@pytest.mark.parametrize("ecosystem", SCHEMES)
@settings(deadline=None)
@given(data=st.data())
def test_an_order_is_total_antisymmetric_and_transitive(ecosystem: Ecosystem, data: st.DataObject) -> None:
    compare = SCHEMES[ecosystem].compare
    one, two, three = data.draw(st.tuples(*[_versions(ecosystem)] * 3))

    assert compare(one, one) == 0
    assert compare(one, two) == -compare(two, one)
    if compare(one, two) <= 0 and compare(two, three) <= 0:
        assert compare(one, three) <= 0
        assert (compare(one, three) == 0) == (compare(one, two) == 0 and compare(two, three) == 0)


@pytest.mark.parametrize("ecosystem", SCHEMES)
@settings(deadline=None)
@given(version=st.text(max_size=40), constraint=st.text(alphabet="<>=!~^|*,.-+[]() x019abv", max_size=30))
def test_any_text_is_judged_or_refused(ecosystem: Ecosystem, version: str, constraint: str) -> None:
    for text in (version, "1.0"):
        try:
            answer = SCHEMES[ecosystem].satisfies(text, constraint)
        except VersionInvalid:
            continue

        assert answer in {True, False}


@pytest.mark.parametrize("ecosystem", SCHEMES)
@pytest.mark.parametrize("piece", ["9", "1.", "1-", "-", "a", "~", "0", "1a"])
def test_a_version_as_long_as_a_book_is_refused(ecosystem: Ecosystem, piece: str) -> None:
    with pytest.raises(VersionInvalid, match="characters"):
        SCHEMES[ecosystem].key(piece * (MAX_LENGTH + 1))
    with pytest.raises(VersionInvalid):
        SCHEMES[ecosystem].satisfies("1.0", f">={piece * 20_000}")


@pytest.mark.parametrize("ecosystem", SCHEMES)
@pytest.mark.parametrize("piece", ["9", "1.", "1-", "-", "1a"])
def test_the_longest_version_that_is_read_is_read_without_running_out_of_stack(
    ecosystem: Ecosystem, piece: str
) -> None:
    text = ("1" + piece * MAX_LENGTH)[:MAX_LENGTH]

    assert not _is_readable(ecosystem, text) or SCHEMES[ecosystem].compare(text, text) == 0
