"""The CVSS 3 base score: the specification's examples and every vector in the data at hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.vulnerability import Vulnerability
from appliance.scan.feeds import trivy
from appliance.scan.matching.cvss import base_score
from tests.scan.expected import FIXTURES


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),  # from here: FIRST, CVSS v3.1 Examples
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9),
        ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O", 9.8),  # temporal metrics do not touch it
    ],
)
def test_a_vector_has_its_score(vector: str, score: float) -> None:
    assert base_score(vector) == score


# In the database the vector of this one does not belong to its score: 7.5 is that of .../AV:N/.../C:N/I:N/A:H.
MISMATCHED = "CVE-2022-38177"


def test_every_vector_of_the_database_has_the_score_that_its_source_gives() -> None:
    records = trivy.read((FIXTURES / "trivy-db/trivy.db").read_bytes())
    scores = [
        (one.vector, one.score)
        for record in records
        if isinstance(record, Vulnerability) and record.id != MISMATCHED
        for one in record.cvss
        if one.version == "3" and one.score
    ]

    assert len(scores) > 40
    assert [base_score(vector) for vector, _score in scores] == [score for _vector, score in scores]


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "AV:N/AC:L/Au:N/C:P/I:P/A:P",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "CVSS:3.1",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:Q/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    ],
)
def test_what_is_no_whole_vector_has_no_score(vector: str) -> None:
    assert base_score(vector) is None


_METRICS = {"AV": "NALP", "AC": "LH", "PR": "NLH", "UI": "NR", "S": "UC", "C": "HLN", "I": "HLN", "A": "HLN"}


@settings(deadline=None)
@given(st.tuples(*[st.sampled_from([f"{metric}:{value}" for value in values]) for metric, values in _METRICS.items()]))
def test_a_score_is_between_0_and_10_and_has_one_decimal(metrics: tuple[str, ...]) -> None:
    score = base_score("/".join(["CVSS:3.1", *metrics]))

    assert score is not None
    assert 0 <= score <= 10
    assert round(score, 1) == score


@settings(deadline=None)
@given(st.text(alphabet="CVSS:31.0/AVNLHPRUI", max_size=80))
def test_any_text_has_a_score_or_none(text: str) -> None:
    score = base_score(text)

    assert score is None or 0 <= score <= 10
