"""The page of metrics: a chart and a table of each of the manual's counters."""

import re

import pytest

from appliance.metrics import ALIVE, NAMED
from tests import make
from tests.http.ui.asking import ask
from tests.make.server import Server


def test_each_counter_of_the_manual_has_a_chart_and_a_table(server: Server) -> None:
    text = ask(server, "/charts").text

    for named in (ALIVE, *NAMED.values()):
        assert f'title="{named.name}"' in text
    assert len(re.findall(r"data-plot ", text)) == len(NAMED) + 1


@pytest.mark.parametrize(("span", "points"), [("1h", 61), ("7d", 169), ("1y", 366), ("ages", 1441)])
def test_a_range_has_so_many_values(server: Server, span: str, points: int) -> None:
    values = re.findall(r'data-values="([^"]*)"', ask(server, f"/charts?range={span}").text)

    assert {value.count(",") + 1 for value in values} <= {points, points - 1}


def test_what_was_just_counted_is_there_for_its_registry_and_in_total(server: Server) -> None:
    with server.client() as client:
        client.push("pay/api", make.image([{"a": b"1"}]), "1")

    for address in ("/charts?range=1h", "/charts?range=1h&registry=local"):
        found = re.search(
            r"Image Push Count \[Allowed\]\s*<span class=\"chart-total\">(\d+)<", ask(server, address).text
        )
        assert found is not None
        assert int(found[1]) == 1


def test_a_registry_that_is_not_there_is_said_on_a_page(server: Server) -> None:
    assert ask(server, "/charts?registry=nothing").status == 404
