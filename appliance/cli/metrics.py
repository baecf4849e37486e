"""`scr metrics`: the manual's counters over time."""

import argparse

import msgspec

from appliance.cli.asking import Page, add_asking
from appliance.cli.client import connect
from appliance.cli.happenings import time_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import show_json, show_table

EXAMPLES = ("scr metrics --since 24h", "scr metrics --registry local --since 30d --step day --json")
_BARS = " ▁▂▃▄▅▆▇█"
_WIDTH = 30  # of a line of bars


class _Point(msgspec.Struct):
    at: str
    value: float


class _Series(msgspec.Struct):
    name: str
    title: str
    unit: str
    registry: str | None
    step: str
    points: list[_Point]


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--registry", default="", metavar="NAME", help="of this registry; else the total")
    parser.add_argument("--name", default="", metavar="METRIC", help="this metric only, by the name that is listed")
    parser.add_argument("--since", default="1h", metavar="TIME", help="from then on: a time, or how long ago (else 1h)")
    parser.add_argument("--until", metavar="TIME", help="before then")
    parser.add_argument("--step", choices=("minute", "hour", "day"), help="how long each span is; else what fits")
    add_asking(parser)


def run(options: argparse.Namespace) -> int:
    """Print the sums and how they came about."""
    query = {
        "registry": options.registry,
        "name": options.name,
        "since": time_of(options.since),
        "until": time_of(options.until),
        "step": options.step or "",
    }
    with connect(options) as client:
        found = client.get("/api/v1/metrics", Page[_Series], **query).items
    if options.json:
        show_json(found)
    else:
        step = found[0].step.upper() if found else ""
        rows = [(one.name, one.title, _sum(one), bars([point.value for point in one.points])) for one in found]
        show_table(("METRIC", "MEANING", "SUM", f"BY THE {step}"), rows)
    return 0


def _sum(one: _Series) -> str:
    values = [point.value for point in one.points]
    if one.unit != "status":
        return f"{sum(values):.0f}"
    return f"{100 * sum(values) / max(len(values), 1):.1f} %"


def bars(values: list[float]) -> str:
    """Return values as a line of bars, as many together as it takes to fit."""
    if not values:
        return ""
    size = -(-len(values) // _WIDTH)
    sums = [sum(values[at : at + size]) for at in range(0, len(values), size)]
    most = max(sums)
    return "".join(_BARS[-(-int(value * 8 * 1000 / most) // 1000) if most else 0] for value in sums)
