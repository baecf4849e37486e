"""`scr image|manifest|tag|deletion|retention`: changes by the command line, and what it says of them."""

import json

import pytest

from tests import make
from tests.cli.conftest import Scr
from tests.make import images
from tests.make.client import Client

ONE, TWO = images.image([{"cli": b"1"}]), images.image([{"cli": b"2"}])


def test_an_image_is_described_locked_and_unlocked(scr: Scr, client: Client) -> None:
    client.push("change/api", ONE, "1")

    scr("image", "edit", "change/api", "--description", "the till").expect(0)
    locked = scr("image", "lock", "change/api").expect(0)
    refused = scr("tag", "delete", "change/api:1", "--yes").expect(1)
    scr("image", "unlock", "change/api").expect(0)

    assert "locked change/api" in locked.talk
    assert "image change/api is locked" in refused.talk
    assert scr("image", "show", "change/api").expect(0).out.splitlines()[4] == "description the till"
    scr("tag", "delete", "change/api:1", "--yes").expect(0)


def test_a_policy_is_shown_beside_its_template_and_changed_field_by_field(scr: Scr, client: Client) -> None:
    client.push("policy/api", ONE, "1")

    changed = scr(
        "image", "edit", "policy/api", "--policy", "pull_limit.high=3", "--policy", "tag_deletion.keep_patterns=v*,rc"
    )
    rows = {
        line.split()[0]: line.split()[1:] for line in scr("image", "policy", "policy/api").expect(0).out.splitlines()
    }
    wrong = scr("image", "edit", "policy/api", "--policy", "pull_limit.high=0").expect(1)
    none = scr("image", "edit", "policy/api", "--policy", "pull_limit.hihg=3").expect(1)
    dry = scr("image", "edit", "policy/api", "--from-template", "--dry-run").expect(0)
    scr("image", "edit", "policy/api", "--from-template", "--policy", "pull_limit.critical=2").expect(0)
    back = json.loads(scr("image", "policy", "policy/api", "--json").expect(0).out)

    assert "policy.pullLimit.high: 1 -> 3" in changed.expect(0).talk
    assert rows["FIELD"] == ["VALUE", "TEMPLATE"]
    assert rows["pull_limit.high"] == ["3", "1"]
    assert rows["tag_deletion.keep_patterns"] == ["v*,rc", "-"]
    assert "pullLimit.high is 0; it must be a whole number from 1 to 9,999,999" in wrong.talk
    assert "did you mean pull_limit.high?" in none.talk
    assert "policy.pullLimit.high: 3 -> 1" in dry.talk
    assert (back["pullLimit"]["high"], back["pullLimit"]["critical"]) == (1, 2)
    assert back["tagDeletion"]["keepPatterns"] == []


def test_resource_tags_are_given_and_looked_for(scr: Scr, client: Client) -> None:
    client.push("labelled/api", ONE, "1")

    scr("image", "edit", "labelled/api", "--resource-tag", "team=till", "--lock", "on").expect(0)

    listed = json.loads(scr("image", "list", "--resource-tag", "team=till", "--json").expect(0).out)
    assert [one["path"] for one in listed] == ["labelled/api"]
    assert "labels      team=till" in scr("image", "show", "labelled/api").out
    assert "locked" in scr("image", "list", "--repository", "labelled", "--sort", "pushed").out


def test_another_registry_is_named_by_an_option(scr: Scr) -> None:
    for words in (("image", "list"), ("tag", "list", "a/b"), ("deletion", "list"), ("retention", "test", "a/b")):
        assert "no registry 'other'" in scr(*words, "--registry", "other").expect(1).talk


def test_tags_are_added_moved_renamed_and_put_back(scr: Scr, client: Client) -> None:
    client.push("tags/api", ONE, "1")
    client.push("tags/api", TWO, "2")

    scr("tag", "add", "tags/api:1", "stable").expect(0)
    refused = scr("tag", "add", "tags/api:2", "stable").expect(1)
    moved = scr("tag", "add", f"tags/api@{TWO.digest}", "stable", "--move").expect(0)
    history = json.loads(scr("tag", "history", "tags/api:stable", "--json").expect(0).out)
    scr("tag", "rename", "tags/api:2", "2.0").expect(0)

    assert "tag stable names another manifest" in refused.talk
    assert f"tags/api:stable is {TWO.digest}" in moved.talk
    assert [one["digest"] for one in history] == [TWO.digest, ONE.digest]
    assert client.list_tags("tags/api") == ["1", "2.0", "stable"]
    moment = history[1]["since"]
    put_back = scr("tag", "restore", f"tags/api:stable@{{{moment}}}").expect(0)
    then = json.loads(scr("tag", "show", f"tags/api:stable@{{{history[0]['since']}}}", "--json").expect(0).out)
    assert f"is again {ONE.digest}" in put_back.talk
    assert then["digest"] == TWO.digest
    assert scr("tag", "history", "tags/api:stable").out.splitlines()[0].split()[0] == "DIGEST"


def test_a_locked_tag_stays_and_is_told_in_the_list(scr: Scr, client: Client) -> None:
    client.push("held/api", ONE, "1")

    scr("tag", "lock", "held/api:1").expect(0)

    assert "locked" in scr("tag", "list", "held/api").out.splitlines()[1]
    assert "it is locked" in scr("tag", "rename", "held/api:1", "2").expect(1).talk
    assert "unlocked held/api:1" in scr("tag", "unlock", "held/api:1").expect(0).talk


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tag", "restore", "moments/api:1"), "names no moment"),
        (("tag", "restore", "moments/api:1@{soon}"), "is no moment"),
        (("tag", "show", "moments/api:1@{3 years ago}"), "no tag moments/api:1@{3 years ago}; see: scr tag list"),
        (("manifest", "show", "moments/api@sha256:x"), "is not a digest"),
        (("deletion", "undo", "nothing"), "no deletion 'nothing'"),
        (("retention", "run", "moments/api"), "tag deletion of moments/api is off"),
        (("retention", "test", "moments/api", "--policy", "old_days=0"), "tagDeletion.oldDays is 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(scr: Scr, client: Client, words: tuple[str, ...], said: str) -> None:
    client.push("moments/api", ONE, "1")

    ran = scr(*words).expect(1)

    assert said in ran.talk
    assert ran.talk.count("\n") == 1


def test_manifests_are_listed_shown_and_deleted_together_and_come_back(scr: Scr, client: Client) -> None:
    index = images.index([ONE, TWO])
    client.push("rows/api", index, "all")

    rows = scr("manifest", "list", "rows/api", "--tagged").expect(0).out.splitlines()
    shown = scr("manifest", "show", "rows/api:all").expect(0).out
    dry = scr("manifest", "delete", "rows/api", index.digest, ONE.digest, "--dry-run").expect(0)
    asked = scr("manifest", "delete", "rows/api", index.digest).expect(1)
    done = scr("manifest", "delete", "rows/api", index.digest, ONE.digest, "--yes").expect(0)

    assert rows[0].split() == ["DIGEST", "KIND", "TAGS", "PLATFORMS", "SIZE", "PUSHED", "PULLS"]
    assert rows[1].split()[:3] == [index.digest[:19], "index", "all"]
    assert f"platform  linux/amd64  {ONE.digest}" in shown
    assert "this deletes 2 manifests of rows/api with 1 tag" in dry.talk
    assert "add --yes" in asked.talk
    undo = done.talk.strip().rpartition(" ")[2]
    assert undo in scr("deletion", "list", "rows/api").expect(0).out
    assert "came back: 2 manifests, 1 tag" in scr("deletion", "undo", undo).expect(0).talk
    client.assert_holds("rows/api", "all", index)


def test_a_chart_shows_its_values_and_how_it_is_pulled(scr: Scr, client: Client) -> None:
    client.push("charts/greeting", make.chart(), "1.0.0")

    shown = scr("manifest", "show", "charts/greeting:1.0.0").expect(0).out
    commands = scr("manifest", "commands", "charts/greeting:1.0.0").expect(0).out

    assert "chart     greeting 1.0.0" in shown
    assert "greeting: hello" in shown
    assert "helm pull oci://" in commands
    assert "/charts/greeting --version 1.0.0 --plain-http" in commands


def test_what_refers_to_a_manifest_is_told_as_a_tree(scr: Scr, client: Client) -> None:
    sbom = images.artifact("application/spdx+json", b"{}", subject=ONE)
    client.push("tree/api", ONE, "1")
    client.push("tree/api", sbom)

    assert f"sbom  {sbom.digest}" in scr("manifest", "referrers", "tree/api:1").expect(0).out


def test_retention_is_tested_simulated_and_run(scr: Scr, client: Client) -> None:
    for number in range(3):
        client.push("retain/api", images.image([{"n": str(number).encode()}]), f"v{number}")
    rules = ("--policy", "count=true", "--policy", "keep_newest=1")

    tested = scr("retention", "test", "retain/api", *rules, "--kept").expect(0)
    simulated = scr("retention", "simulate", "retain/api", *rules).expect(0)
    assert len(client.list_tags("retain/api")) == 3
    order = [f"tag_deletion.{rule}" for rule in ("enabled=true", "count=true", "keep_newest=1")]
    scr("image", "edit", "retain/api", *(word for rule in order for word in ("--policy", rule))).expect(0)
    saved = scr("image", "policy", "retain/api").expect(0)
    ran = scr("retention", "run", "retain/api").expect(0)

    assert "a run now would delete 2 manifests with 2 tags" in tested.talk
    assert [line.split()[0] for line in tested.out.splitlines()[1:]] == ["delete", "delete", "keep"]
    assert "this policy would have kept 1 of 3 tags (1 of 3 manifests), and freed" in simulated.out
    assert "tag deletion is due at" in saved.talk
    assert "deleted 2 manifests with 2 tags; undo it with: scr deletion undo" in ran.talk
    assert client.list_tags("retain/api") == ["v2"]
