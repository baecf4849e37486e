"""The text that Prometheus reads: names by the rules, values and labels as they were given."""

import re

import pytest

from appliance import metrics
from appliance.metrics import BOUNDS, Counter, Family, Histogram, Metric, Sample, render

THING = Metric("scr_things_total", "counter", "Things.", ("kind",))


def test_a_family_has_its_meaning_its_type_and_its_samples() -> None:
    text = render([Family(THING, [Sample(3, ("a",)), Sample(0.5, ("b",))])]).decode()

    assert text == (
        "# HELP scr_things_total Things.\n# TYPE scr_things_total counter\n"
        'scr_things_total{kind="a"} 3\nscr_things_total{kind="b"} 0.5\n'
    )


@pytest.mark.parametrize(
    ("value", "text"), [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nscr_forged 1", r"a\nscr_forged 1"), ("ä", "ä")]
)
def test_a_label_stays_on_its_line(value: str, text: str) -> None:
    lines = render([Family(THING, [Sample(1, (value,))])]).decode().splitlines()

    assert lines[2:] == [f'scr_things_total{{kind="{text}"}} 1']


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram()
    for seconds in (0.0001, BOUNDS[0], 0.02, 100.0):
        histogram.observe(seconds)

    lines = list(histogram.lines("scr_s", 'route="x"'))

    assert lines[0] == 'scr_s_bucket{route="x",le="0.0005"} 2'
    assert lines[4] == 'scr_s_bucket{route="x",le="0.01"} 2'
    assert lines[5] == 'scr_s_bucket{route="x",le="0.025"} 3'
    assert lines[-3] == 'scr_s_bucket{route="x",le="+Inf"} 4'
    assert lines[-2].startswith('scr_s_sum{route="x"} 100.02')
    assert lines[-1] == 'scr_s_count{route="x"} 4'
    assert len(lines) == len(BOUNDS) + 3


def test_every_name_follows_the_rules() -> None:
    names = [one.name for one in metrics.METRICS]

    assert len(set(names)) == len(names)
    for one in metrics.METRICS:
        assert re.fullmatch(r"(scr|process)_[a-z_]+", one.name), one.name
        assert one.name.endswith("_total") is (one.kind == "counter"), one.name
        assert re.fullmatch(r"[A-Z1].*\.", one.meaning), one.name
        assert not set(one.labels) & {"digest", "path", "address", "principal", "image", "repository", "tag"}


def test_every_counter_of_the_manual_has_its_two_names() -> None:
    counted = [counter for _, columns in metrics.COUNTED for counter, _ in columns]

    assert sorted(counted) == sorted(Counter)
    assert set(metrics.NAMED) == set(Counter)
    assert len({one.name for one in metrics.NAMED.values()}) == len(Counter) == 13
