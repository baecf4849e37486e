"""`scr registry|repository`: make, change, delete, restore."""

import io
import json
import sys

import pytest

from appliance.cli.main import main
from tests.cli.conftest import Scr
from tests.make.server import Server


def shown(scr: Scr, kind: str, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(scr(kind, "show", name, "--json").expect(0).out)
    return found


def test_a_registry_is_made_changed_and_shown(scr: Scr) -> None:
    words = ("--description", "of the till", "--quota", "5GiB", "--resource-tag", "team=pay", "--resource-tag", "a=b=c")
    made = scr("registry", "create", "till", *words).expect(0)
    changed = scr(
        "registry", "edit", "till", "--quota", "none", "--quota-images", "7", "--no-resource-tag", "team"
    ).expect(0)

    assert "made registry till (id " in made.talk
    assert "it has no address yet" in made.talk
    one = shown(scr, "registry", "till")
    assert (one["description"], one["quotaBytes"], one["quotaImages"]) == ("of the till", None, 7)
    assert one["resourceTags"] == {"a": "b=c"}
    assert "quotaBytes: 5368709120 -> nothing" in changed.talk
    assert "quotaImages: nothing -> 7" in changed.talk
    text = scr("registry", "show", "till").expect(0).out
    assert "state       Running" in text
    assert "quota       no limit; at most 7 images" in text


def test_a_dry_run_of_an_edit_says_what_would_change(scr: Scr) -> None:
    scr("registry", "create", "calm").expect(0)
    scr("repository", "create", "calm").expect(0)

    registry = scr("registry", "edit", "calm", "--description", "new", "--dry-run").expect(0)
    repository = scr("repository", "edit", "calm", "--policy", "pull_limit.critical=3", "--dry-run").expect(0)

    assert 'description: "" -> "new"' in registry.talk
    assert "policy.pullLimit.critical: 1 -> 3" in repository.talk
    assert shown(scr, "registry", "calm")["description"] == ""
    assert scr("registry", "edit", "calm").expect(0).talk.startswith("registry calm is as you want it already")


def test_a_list_is_a_table_that_can_be_filtered(scr: Scr) -> None:
    scr("registry", "create", "tabled", "--resource-tag", "of=tables").expect(0)

    lines = scr("registry", "list", "--resource-tag", "of=tables").expect(0).out.splitlines()

    assert lines[0].split()[:4] == ["NAME", "ID", "STATE", "VISIBILITY"]
    assert [line.split()[0] for line in lines[1:]] == ["tabled"]
    assert "tabled" not in scr("registry", "list", "--name", "local").out


def test_a_registry_is_deleted_by_force_and_restored(scr: Scr) -> None:
    scr("registry", "create", "leaving").expect(0)
    scr("repository", "create", "pay", "--registry", "leaving").expect(0)

    refused = scr("registry", "delete", "leaving", "--yes").expect(1)
    dry = scr("registry", "delete", "leaving", "--force", "--dry-run").expect(0)
    scr("registry", "delete", "leaving", "--force", "--yes").expect(0)

    assert "holds repositories" in refused.talk
    assert "with 1 repository, 0 images" in dry.talk
    assert scr("registry", "show", "leaving").expect(1).talk.count("\n") == 1
    assert "leaving" in scr("registry", "list", "--removed").out
    scr("registry", "restore", "leaving").expect(0)
    assert shown(scr, "registry", "leaving")["repositories"] == 1


def test_of_several_deleted_ones_the_id_is_asked_for(scr: Scr) -> None:
    for _ in range(2):
        scr("repository", "create", "again").expect(0)
        scr("repository", "delete", "again", "--yes").expect(0)

    refused = scr("repository", "restore", "again").expect(1)
    removed = json.loads(scr("repository", "list", "--removed", "--json").out)
    ids = [one["id"] for one in removed if one["name"] == "again"]

    assert all(one in refused.talk for one in ids)
    scr("repository", "restore", ids[0]).expect(0)
    assert shown(scr, "repository", "again")["id"] == ids[0]


@pytest.mark.parametrize("noun", ["registry", "repository"])
def test_lists_are_sorted_by_name_or_by_time(scr: Scr, noun: str) -> None:
    for name in ("zsorted", "asorted", "msorted"):
        scr(noun, "create", name).expect(0)
    scr(noun, "edit", "asorted", "--description", "edited last").expect(0)

    def names(*options: str) -> list[str]:
        listed = json.loads(scr(noun, "list", "--name", "sorted", "--json", *options).expect(0).out)
        return [one["name"] for one in listed]

    assert names() == ["asorted", "msorted", "zsorted"]
    assert names("--sort", "created") == ["msorted", "asorted", "zsorted"]
    assert names("--sort", "modified")[0] == "asorted"


def test_a_repository_is_made_with_a_policy_and_changed(scr: Scr) -> None:
    policies = ("--policy", "pull_limit.refuse_critical=on", "--policy", "tag_deletion.keep_patterns=v*, latest")
    scr("repository", "create", "ruled", *policies).expect(0)
    scr("repository", "edit", "ruled", "--lock", "on", "--policy", "scan.exclude_severity=low").expect(0)

    one = shown(scr, "repository", "ruled")
    policy = one["policy"]
    assert isinstance(policy, dict)
    assert one["locked"] is True
    assert policy["pullLimit"]["refuseCritical"] is True
    assert policy["tagDeletion"]["keepPatterns"] == ["v*", "latest"]
    assert policy["scan"]["excludeSeverity"] == "low"
    assert "scan.exclude_severity = low" in scr("repository", "show", "ruled").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("registry", "create", "Pay"), 1, "3 to 25 of a-z and 0-9"),
        (("registry", "create", "local"), 1, "there is a registry local already"),
        (("registry", "create", "wrong", "--quota", "5 apples"), 2, 'is not a size like "4MiB"'),
        (("registry", "create", "wrong", "--port", "http"), 2, "no whole number"),
        (("registry", "create", "wrong", "--resource-tag", "alone"), 1, "write alone=<value>"),
        (("registry", "edit", "local", "--no-resource-tag", "nothing"), 1, "has no resource tag 'nothing'"),
        (("registry", "show", "nowhere"), 1, "see: scr registry list"),
        (("registry", "restore", "nowhere"), 1, "see: scr registry list --removed"),
        (("repository", "create", "wrong", "--policy", "pull_limit.critcal=3"), 1, "did you mean pull_limit.critical?"),
        (("repository", "create", "wrong", "--policy", "pull_limit.critical=0"), 1, "from 1 to 9,999,999"),
        (("repository", "create", "wrong", "--policy", "scan.on_push=perhaps"), 1, "write on or off"),
        (("repository", "create", "wrong", "--lock", "perhaps"), 2, "write on or off"),
        (("repository", "create", "wrong", "--registry", "nowhere"), 1, "there is no registry 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(scr: Scr, words: tuple[str, ...], code: int, said: str) -> None:
    ran = scr(*words).expect(code)

    assert said in ran.talk
    assert ran.talk.count("\n") == 1


def test_the_name_is_typed_before_a_registry_goes(
    scr: Scr, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scr("registry", "create", "asked").expect(0)
    words = ["registry", "delete", "asked", "--data-dir", str(server.data)]
    answers = io.StringIO("local\nasked\n")
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", answers)

    refused, done = main(words), main(words)

    assert (refused, done) == (1, 0)
    assert "Type 'asked' to go on" in capsys.readouterr().err
