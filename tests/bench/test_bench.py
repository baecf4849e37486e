"""The harness itself: it asks what it says, takes turns, and tells what it found. No figure is judged here."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.__main__ import parser, plan_of
from tests.bench.certificate import make as make_certificate
from tests.bench.content import make as make_content
from tests.bench.generator import Generator, GeneratorFailed
from tests.bench.jobs import Ask, Push, Walk, Where, percentile
from tests.bench.machine import build_of
from tests.bench.measurements import Bench, Measurement, all_of
from tests.bench.processes import Peak, cpu_seconds, resident
from tests.bench.pushing import Content
from tests.bench.registries import Registry
from tests.bench.run import Plan, Results, run, take
from tests.bench.sample import Goal, Row, Sample, Series, Unit, growth
from tests.bench.table import foot, line
from tests.make import images
from tests.make.client import Client
from tests.make.server import Server

MIB = 1 << 20


class Named(Registry):
    """A registry that never starts: its name is all a turn needs."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(folder / name)
        self.name = name

    def _commands(self) -> list[list[str]]:
        return []


@pytest.fixture(scope="module")
def where(server: Server) -> Where:
    return Where(int(server.url.rpartition(":")[2]))


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    return Generator(tmp_path)


def row(name: str = "row", unit: Unit = Unit.REQUESTS, goal: Goal | None = None, *pairs: tuple[float, float]) -> Row:
    ours = Series([Sample(a, requests=100, bytes=MIB, seconds=1, p50=1, p99=2, cpu_s=0.01) for a, _ in pairs])
    theirs = Series([Sample(b, requests=100, bytes=MIB, seconds=1, p50=1, p99=2, cpu_s=0.02) for _, b in pairs])
    return Row(name, "Section", "label", unit, goal or Goal(), ours, theirs)


@given(st.integers(17, 20 * MIB), st.integers(0, MIB), st.integers(1, 3 * MIB))
def test_the_pieces_of_a_blob_are_its_bytes_however_it_is_cut(size: int, least: int, most: int) -> None:
    content = Content(size, "some name")
    hashed = hashlib.sha256()
    start = 0
    while start < size:
        end = min(size, start + least + 500_000)
        for piece in content.pieces(start, end, most):
            hashed.update(piece)
        start = end

    assert content.digest == f"sha256:{hashed.hexdigest()}"


def test_blobs_of_different_names_are_different() -> None:
    assert Content(1024, "a").digest != Content(1024, "b").digest


@pytest.mark.parametrize("way", ["monolithic", "chunked", "streamed"])
def test_a_pushed_blob_comes_back(way: str, where: Where, client: Client, generator: Generator) -> None:
    size = 2 * MIB + 7

    job = msgspec.convert(
        {
            "type": "Push",
            "where": where,
            "name": "a/b",
            "way": way,
            "size": size,
            "series": way,
            "count": 2,
            "connections": 2,
            "piece": 777_777,
        },
        Push,
        from_attributes=True,
    )
    with generator:
        outcome = generator.do(job)

    assert (outcome.requests, outcome.bytes) == (2, 2 * size)
    assert outcome.cpu_s > 0
    for digest in outcome.digests:
        body = client.get_blob("a/b", digest).expect(200).body
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == digest


@pytest.mark.parametrize(("method", "clients"), [("GET", 1), ("GET", 4), ("HEAD", 4)])
def test_the_generator_asks_until_time_is_over(
    method: str, clients: int, where: Where, client: Client, generator: Generator
) -> None:
    manifest = images.image()
    client.push("ask/it", manifest, "1")

    with generator:
        outcome = generator.do(Ask(where, ["/v2/ask/it/manifests/1"], method, clients, 0.9))  # a second would go to wrk

    assert outcome.requests > clients
    assert outcome.bytes == (outcome.requests * len(manifest.body) if method == "GET" else 0)
    assert 0 < outcome.first_p50 <= outcome.p50 <= outcome.p99


def test_a_job_of_a_second_goes_to_wrk_where_it_is(where: Where, client: Client, generator: Generator) -> None:
    client.push("ask/wrk", images.image(), "1")

    with generator:
        outcome = generator.do(Ask(where, ["/v2/ask/wrk/manifests/1"], connections=2, seconds=1))

    headers = 50 if generator.wrk else 0  # wrk counts those of an answer too
    assert outcome.requests > 10
    assert outcome.bytes / outcome.requests >= len(images.image().body) + headers


def test_a_list_is_walked_to_its_end(where: Where, client: Client, generator: Generator) -> None:
    manifest = images.image()
    client.push("walk/it", manifest, *[f"t{number}" for number in range(7)])

    with generator:
        outcome = generator.do(Walk(where, "/v2/walk/it/tags/list?n=2"))

    assert outcome.requests == 4


def test_refused_requests_are_no_figures(where: Where, generator: Generator) -> None:
    with generator, pytest.raises(GeneratorFailed, match=r"MANIFEST_UNKNOWN|NAME_UNKNOWN"):
        generator.do(Ask(where, ["/v2/no/such/manifests/1"]))


def test_a_server_that_is_not_there_is_said(generator: Generator) -> None:
    with generator, pytest.raises(GeneratorFailed, match="Connection refused"):
        generator.do(Ask(Where(1), ["/v2/"]))


def test_processes_are_measured(server: Server, client: Client) -> None:
    with Peak(server.pid) as peak:
        client.get("/v2/").expect(200)

    assert cpu_seconds(server.pid) > 0
    assert 10 * MIB < resident(server.pid) <= peak.size * 2


def test_turns_alternate(tmp_path: Path, generator: Generator) -> None:
    taken: list[str] = []

    def turn(bench: Bench, registry: Registry) -> Sample:
        del bench
        taken.append(registry.name)
        return Sample(len(taken))

    one = Measurement("x", "Section", "label", Unit.REQUESTS, turn)
    bench = Bench(generator, tmp_path, make_certificate(tmp_path), make_content(1, 1, 1024), 0.1, 0.1, MIB)
    found = take(one, bench, [Named("a", tmp_path), Named("b", tmp_path)], 3)

    assert taken == ["a", "b", "a", "b", "a", "b"]
    assert found.ratios == [1 / 2, 3 / 4, 5 / 6]


def test_a_ratio_is_the_median_of_pairs_and_above_one_where_scr_is_better() -> None:
    rate = row("r", Unit.REQUESTS, None, (100, 10), (30, 10), (50, 10))
    time = row("t", Unit.MILLISECONDS, None, (1, 4), (2, 4), (2, 2))

    assert (rate.ratio, time.ratio) == (5, 2)
    assert row("n").ratio is None


@pytest.mark.parametrize(
    ("goal", "ours", "theirs", "verdict"),
    [
        (Goal(ratio=4, aim=6), 70.0, 10.0, "aim reached"),
        (Goal(ratio=4, aim=6), 50.0, 10.0, "reached"),
        (Goal(ratio=4, aim=6), 30.0, 10.0, "missed"),
        (Goal(most=120), 119.0, 1.0, "reached"),
        (Goal(most=120), 121.0, 1.0, "missed"),
        (Goal(), 1.0, 1.0, ""),
    ],
)
def test_a_goal_is_judged(goal: Goal, ours: float, theirs: float, verdict: str) -> None:
    assert row("r", Unit.REQUESTS, goal, (ours, theirs)).verdict == verdict


def test_processor_time_is_told_by_request_and_by_size() -> None:
    series = Series(
        [Sample(1, requests=100, bytes=1 << 29, cpu_s=0.02), Sample(1, requests=300, bytes=1 << 29, cpu_s=0.06)]
    )

    assert series.cpu_per_request_us == pytest.approx(200)
    assert series.cpu_per_gib_s == pytest.approx(0.08)


def test_growth_compares_the_smallest_page_with_the_largest() -> None:
    rows = [
        row(f"tags-page-{size}", Unit.MILLISECONDS, None, (ours, theirs))
        for size, ours, theirs in ((1000, 5.0, 300.0), (10, 1.0, 2.0), (100, 2.0, 9.0))
    ]

    assert growth(rows, "tags-page") == [("scr", 100, 5.0), ("distribution", 100, 150.0)]
    assert growth(rows, "catalog-page") == []
    assert "WORSE THAN LINEAR" in "\n".join(foot(rows))


def test_a_line_tells_both_values_the_ratio_and_the_goal() -> None:
    told = line(row("r", Unit.REQUESTS, Goal(ratio=4, aim=6), (5000, 1000), (6000, 1000)))

    for part in ("label", "5 500", "1 000", "5.50x (5.00-6.00)", "+  ≥ 4x, aim 6x", "100 us", "200 us"):
        assert part in told


def test_a_line_without_a_peer_has_no_ratio() -> None:
    alone = msgspec.structs.replace(row("r", Unit.SECONDS, Goal(most=1), (0.5, 1)), theirs=Series([]))

    assert line(alone).split() == ["label", "0.50", "-", "s", "-", "+", "<", "1", "s"]


@pytest.mark.parametrize(
    ("arguments", "has_library", "expected"),
    [
        ("'--enable-optimizations' '--with-lto'", False, "PGO, LTO"),
        ("'--prefix=/usr'", False, "no PGO (with it and LTO up to twice as fast), no LTO"),
        (
            "'--enable-shared'",
            False,
            "build not recorded (the record is of the shared library, which does not run here)",
        ),
        ("'--enable-shared' '--enable-optimizations'", True, "PGO, no LTO"),
    ],
)
def test_the_build_of_the_interpreter_is_told(arguments: str, has_library: bool, expected: str) -> None:  # noqa: FBT001
    assert build_of(arguments, has_library=has_library) == expected


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0, 0.5, 0.99)] == [1, 2, 3]
    assert percentile([], 0.5) == 0


def test_names_of_measurements_are_unique_and_the_quick_run_is_a_part() -> None:
    every = all_of(make_content(1, 1, 1024), MIB)

    assert len({one.name for one in every}) == len(every)
    assert 0 < sum(Plan(is_quick=True).chooses(one) for one in every) < len(every)


def test_the_command_line_makes_a_plan() -> None:
    plan = plan_of(parser().parse_args(["--quick", "--only", "push", "--rounds", "3", "--memory", "full", "--alone"]))

    assert plan.is_quick
    assert (plan.only, plan.rounds, plan.memory_blob, plan.has_peer) == (("push",), 3, 1 << 30, False)


def test_a_whole_run_prints_and_cleans_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    chosen = ("http-manifest-get-tag-16", "tls-blob-1kib-1", "first-byte-layer", "push-chunked", "tags-page", "moving")
    plan = Plan(
        rounds=1,
        wrk_s=0.05,
        seconds=0.05,
        only=chosen,
        has_peer=False,
        tags=70,
        images=3,
        memory_blob=MIB,
        large_blob=MIB,
    )

    results = run(plan, tmp_path, said.append)

    assert {one.name for one in results.rows} >= {"http-manifest-get-tag-16", "tls-blob-1kib-1", "moving-memory"}
    assert all(one.ours.value > 0 for one in results.rows)
    assert any("Manifest over HTTP" in text for text in said)
    assert list(tmp_path.iterdir()) == []
    assert msgspec.json.decode(msgspec.json.encode(results), type=Results) == results
    assert capsys.readouterr().out == ""
