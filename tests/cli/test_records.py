"""`scr activity`, `scr why`, `scr logs`, `scr metrics`: what happened, told on a terminal and to programs."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from appliance.cli.activity import Activity, detail_text
from appliance.cli.happenings import plain, time_of
from appliance.cli.metrics import bars
from appliance.errors import QueryInvalid
from tests import make
from tests.cli.conftest import Scr
from tests.make.client import Client, why
from tests.make.server import ROOT, SCR, Server

IMAGE = make.image([{"a": b"1"}])


@pytest.fixture
def keeping(scr: Scr, client: Client) -> Iterator[None]:
    """The traffic of the registry is kept: it begins soon after it was ordered."""
    client.push("probe/it", IMAGE, "1")
    before = len(scr("logs", "--image", "probe/it").expect(0).out.splitlines())
    scr("logs", "--registry", "local", "--on").expect(0)
    while len(scr("logs", "--image", "probe/it").expect(0).out.splitlines()) <= max(before, 1):  # the heads are a line
        client.get_manifest("probe/it", "1").expect(200)
    yield
    scr("logs", "--registry", "local", "--off").expect(0)


def refuse(client: Client) -> str:
    return why(client.get("/v2/pay/api/manifests/1", {"Via": "1.1 proxy"}).expect(403).body)


def test_activity_is_a_table_the_newest_at_the_end(scr: Scr, client: Client) -> None:
    client.push("told/app", IMAGE, "1")
    client.delete("/v2/told/app/manifests/1").expect(202)

    heads, *lines = scr("activity", "--since", "1h", "--limit", "2").expect(0).out.splitlines()

    assert heads.split() == ["TIME", "KIND", "WHO", "FROM", "WHAT", "DETAIL"]
    assert [line.split("  ")[1].strip() for line in lines] == ["image.pushed", "tag.deleted"]
    assert "local:local  127.0.0.1  local told/app  tag=1, digest=sha256:" in lines[1]


def test_activity_is_narrowed_and_given_to_programs(scr: Scr, client: Client) -> None:
    client.push("narrow/app", IMAGE, "1")

    found = json.loads(scr("activity", "--kind", "image.created", "--registry", "local", "--json").expect(0).out)
    nothing = scr("activity", "--principal", "user:nobody").expect(0)

    assert {one["kind"] for one in found} == {"image.created"}
    assert found[-1]["image"] == "narrow/app"
    assert "nothing of that kind" in nothing.talk


def test_activity_of_one_repository_or_image(scr: Scr, client: Client) -> None:
    client.push("one/app", IMAGE, "1")
    client.push("one/web", IMAGE, "1")

    def paths(*words: str) -> set[str | None]:
        return {one["image"] for one in json.loads(scr("activity", *words, "--json").expect(0).out)}

    assert paths("one/app") == {"one/app"}
    assert paths("one") == {None, "one/app", "one/web"}
    assert paths("one", "--kind", "image.created", "--registry", "local") == {"one/app", "one/web"}
    assert "no repository or image one/none" in scr("activity", "one/none").expect(1).talk
    assert "no repository or image none" in scr("activity", "none").expect(1).talk


def test_a_refusal_is_explained_by_its_id_or_its_address(scr: Scr, client: Client, server: Server) -> None:
    refusal = refuse(client)

    by_id = scr("why", refusal).expect(0).out
    by_address = scr("why", f"{server.url}/why/{refusal}").expect(0).out
    listed = scr("why").expect(0)

    assert by_id == by_address
    assert "rule      denied" in by_id
    assert "passed   listener" in by_id
    assert "refused  authentication: scr is behind a proxy" in by_id
    assert refusal in listed.out
    assert json.loads(scr("why", refusal, "--json").expect(0).out)["id"] == refusal


def test_a_pull_limit_leads_to_what_it_counts(scr: Scr, client: Client) -> None:
    unscanned = make.image([{"a": b"never scanned"}])
    client.push("held/api", IMAGE, "1")
    policy = ("--policy", "pull_limit.refuse_unscanned=true", "--policy", "scan.on_push=false")
    scr("image", "edit", "held/api", *policy).expect(0)
    client.push("held/api", unscanned, "2")
    refusal = why(client.get_manifest("held/api", "2").expect(403).body)

    told = scr("why", refusal).expect(0).talk
    explained = scr("explain", "--as", "anonymous", "pull", "held/api:2").expect(1).talk

    cure = f"what blocks it: scr scan held/api@{unscanned.digest} --no-new"
    assert cure in told
    assert cure in explained


@pytest.mark.parametrize("word", ["0" * 32, "../../etc", "none?x=1"])
def test_an_id_that_none_has_is_said(scr: Scr, word: str) -> None:
    assert "refusal" in scr("why", word).expect(1).talk


@pytest.mark.usefixtures("keeping")
def test_the_traffic_says_who_pulled_what(scr: Scr, client: Client) -> None:
    client.push("pay/api", IMAGE, "1")
    client.get_manifest("pay/api", "1").expect(200)

    lines = (
        scr("logs", "--registry", "local", "--digest", IMAGE.digest, "--image", "pay/api").expect(0).out.splitlines()
    )
    found = json.loads(scr("logs", "--image", "pay/api", "--kind", "manifest.pulled", "--json").expect(0).out)

    assert "manifest.pulled  local:local  127.0.0.1  local pay/api:1" in lines[-1]
    assert [one["digest"] for one in found] == [IMAGE.digest]


def test_without_traffic_it_is_said_how_to_keep_it(scr: Scr) -> None:
    assert "scr logs --registry <NAME> --on" in scr("logs", "--image", "never/seen").expect(0).talk
    assert "name the registry" in scr("logs", "--on").expect(1).talk
    assert "no registry" in scr("logs", "--on", "--registry", "nowhere").expect(1).talk


@pytest.mark.usefixtures("keeping")
@pytest.mark.parametrize("words", [("logs", "--registry", "local"), ("activity",)])
def test_what_comes_is_followed_until_somebody_interrupts(
    client: Client, server: Server, words: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    name = f"follow/{len(request.node.name)}{words[0]}"
    command = [*SCR, *words, "--limit", "1", "--follow", "--json", "--data-dir", str(server.data)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # and no PYTHONUNBUFFERED: a pipe gets each line as it comes
    environment.pop("PYTHONUNBUFFERED", None)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as following:
        assert following.stdout is not None
        try:
            following.stdout.readline()  # what was there before
            client.push(name, IMAGE, "1")
            assert any(name in line for line in following.stdout)
            following.send_signal(signal.SIGINT)
            assert following.wait(30) == 0
        finally:
            following.kill()


def test_the_manuals_metrics_are_listed_with_their_sums(scr: Scr, client: Client) -> None:
    client.push("count/app", IMAGE, "1")
    client.get_manifest("count/app", "1").expect(200)

    lines = scr("metrics", "--since", "30m").expect(0).out.splitlines()
    found = json.loads(scr("metrics", "--registry", "local", "--step", "hour", "--since", "2h", "--json").out)
    status = scr("status").expect(0).out

    assert lines[0].split() == ["METRIC", "MEANING", "SUM", "BY", "THE", "MINUTE"]
    pulls = next(line for line in lines if line.startswith("containerregistry.statics.image.pull.count"))
    assert int(pulls.split()[5]) >= 1
    assert "█" in pulls
    assert {one["step"] for one in found} == {"hour"}
    assert [one["registry"] for one in found] == ["local"] * 14
    assert "last 24 h" in status


# words


@pytest.mark.parametrize("text", ["2h", "30d", "2026-11-20T12:00:00Z", "2026-11-20", "2026-11-20T12:00:00+02:00"])
def test_a_time_is_a_moment_or_how_long_ago(text: str) -> None:
    assert time_of(text)[:2] == "20"
    assert time_of(text)[-6] in "+-"


@pytest.mark.parametrize("text", ["yesterday", "2", "-2h", "2026-13-01"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(QueryInvalid, match="how long ago"):
        time_of(text)


def test_nothing_foreign_moves_the_cursor() -> None:
    assert plain("a\x1b[2J\r\nb\u202ec\x9b31m") == "a?[2J??b?c?31m"
    assert plain("Ärger 漢字") == "Ärger 漢字"


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        ({"v": 1}, ""),
        ({"v": 1, "tag": "1", "digest": "sha256:" + "a" * 64}, "tag=1, digest=sha256:aaaaaaaaaaaa"),
        ({"v": 1, "tags": ["1", "2"], "none": []}, "tags=1,2"),
        ({"v": 1, "before": {"locked": False}, "after": {"locked": True}, "n": 1}, "locked: false -> true, n=1"),
        ({"v": 1, "before": {"a": "x"}, "after": {"b": {"c": "\x1b"}}}, 'a: x -> null, b: null -> {"c":"\\u001b"}'),
    ],
)
def test_a_change_is_told_on_one_line(detail: dict[str, object], text: str) -> None:
    one = Activity(1, "", "", "", "", "", None, None, None, "", detail)

    assert detail_text(one) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [([], ""), ([0, 0], "  "), ([0, 1, 8], " ▁█"), ([1000, 1], "█▁"), ([1.0] * 90, "█" * 30)],
)
def test_values_are_shown_as_bars(values: list[float], text: str) -> None:
    assert bars(values) == text
