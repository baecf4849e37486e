"""What differs between two configs, and what of it is hidden."""

import json

import pytest

from appliance.services import build_history, config_compare
from appliance.services.build_history import Build
from appliance.services.config_compare import Setting, compare_configs
from appliance.services.hiding import hide, hide_build, is_secret_name


def build(run: dict[str, object] | None = None, steps: tuple[str, ...] = (), architecture: str = "amd64") -> Build:
    history = [{"created_by": one} for one in steps]
    config = {"os": "linux", "architecture": architecture, "config": run or {}, "history": history}
    found = build_history.parse(json.dumps(config).encode(), [])
    assert found is not None
    return found


def test_each_part_of_a_config_is_told_with_both_sides() -> None:
    old = build({"User": "root", "Entrypoint": ["/app"], "Cmd": ["a b"], "Env": ["PATH=/bin", "GONE=1"]})
    new = build(
        {
            "WorkingDir": "/srv",
            "Entrypoint": ["/app", "-v"],
            "Env": ["PATH=/bin", "MODE=new=er"],
            "ExposedPorts": {"80/tcp": {}},
            "Volumes": {"/data": {}},
            "Labels": {"team": "a"},
        },
        architecture="arm64",
    )

    found = compare_configs(old, new)

    assert found.found == (
        Setting("platform", "", "linux/amd64", "linux/arm64"),
        Setting("entrypoint", "", "/app", "/app -v"),
        Setting("command", "", "'a b'", None),
        Setting("user", "", "root", None),
        Setting("working directory", "", None, "/srv"),
        Setting("environment", "GONE", "1", None),
        Setting("environment", "MODE", None, "new=er"),
        Setting("exposed port", "80/tcp", None, "80/tcp"),
        Setting("volume", "/data", None, "/data"),
        Setting("label", "team", None, "a"),
    )
    assert found.count == 10


def test_equal_configs_differ_in_nothing() -> None:
    same = build({"Env": ["A=1"], "User": "0"}, ("FROM", "RUN"))

    assert compare_configs(same, same) == config_compare.Settings((), 0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (("a", "b", "z"), ("a", "c", "d", "z"), [("2", "b", None), ("2", None, "c"), ("3", None, "d")]),
        (("a",), ("a", "a"), [("2", None, "a")]),
        (("a", "a"), ("a",), [("2", "a", None)]),
        ((), ("a",), [("1", None, "a")]),
        (("a", "b"), ("b",), [("1", "a", None)]),
    ],
)
def test_of_the_history_only_what_lies_between_common_steps_is_told(
    old: tuple[str, ...], new: tuple[str, ...], told: list[tuple[str, str | None, str | None]]
) -> None:
    found = compare_configs(build(steps=old), build(steps=new)).found

    assert [(one.name, one.before, one.after) for one in found] == told
    assert {one.part for one in found} == {"step"}


def test_what_looks_like_a_secret_is_hidden_but_told() -> None:
    key = "ghp_" + "k3Jd82LmQx0ZpVn4Tt7Yb1Rc6Wf9Hs5Ga2Ee"
    old = build({"Env": ["DB_PASSWORD=first", f"NOTE={key}", "URL=https://me:word@host/", "KEEP_TOKEN=same"]})
    new = build({"Env": ["DB_PASSWORD=second", "NOTE=plain", "KEEP_TOKEN=same"], "Labels": {"api_key": "third"}})
    step = build(steps=("|1 TOKEN=fourth /bin/sh -c curl --password fifth -H 'Authorization: Bearer sixth'",))

    told = {one.name: (one.before, one.after) for one in compare_configs(old, new).found}
    [of_step] = compare_configs(build(), step).found

    assert told == {
        "DB_PASSWORD": ("****", "****"),
        "NOTE": ("****", "plain"),
        "URL": ("https://****@host/", None),
        "api_key": (None, "****"),
    }
    assert of_step.after == "|1 TOKEN=**** /bin/sh -c curl --password **** -H 'Authorization: ****'"


@pytest.mark.parametrize(
    "name", ["PASSWORD", "db.passwd", "AWS_SECRET_ACCESS_KEY", "authToken", "MYSQL_PWD", "apiKey", "--password"]
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PATH", "PWD_X", "PASSWORD_FILE", "TOKENIZERS_PARALLELISM", "GPG_KEY", "AUTHOR", ""])
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("text", ["", "RUN apk add curl", "pip install tokenizers==1", "a=", "é = ü", "x --token"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert hide(text) == text


def test_the_list_ends_and_the_count_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_compare, "MOST", 3)

    found = compare_configs(build(), build({"Labels": {f"l{number}": "" for number in range(9)}}))

    assert len(found.found) == 3
    assert found.count == 9


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("curl --password 'it'\"'\"'s-rest' x", "curl --password **** x"),
        ('curl --password "a\\"b" x', "curl --password **** x"),
        ('curl --password "never closed', "curl --password ****"),
        ("TOKEN=a'b'\"c\"d; ls", "TOKEN=****; ls"),
    ],
)
def test_a_value_ends_where_a_shell_ends_it(text: str, told: str) -> None:
    assert hide(text) == told


def test_a_build_is_told_with_its_secrets_hidden() -> None:
    raw = build(
        {
            "Entrypoint": ["/app", "--password", "it's mine", "--token=abc", "--password", "-v"],
            "Cmd": ["sh", "-c", "API_KEY=abc run"],
            "Env": ["PATH=/bin", "DB_PASSWORD=x", "EMPTY_TOKEN=", "ODD"],
            "Labels": {"api_key": "x", "team": "pay"},
        },
        ("RUN curl -u https://me:mine@host/",),
    )

    told = hide_build(raw)

    assert told.entrypoint == ("/app", "--password", "****", "--token=****", "--password", "-v")
    assert told.command == ("sh", "-c", "API_KEY=**** run")
    assert told.environment == ("PATH=/bin", "DB_PASSWORD=****", "EMPTY_TOKEN=", "ODD")
    assert told.labels == {"api_key": "****", "team": "pay"}
    assert told.history[0].created_by == "RUN curl -u https://****@host/"


def test_commands_that_differ_in_a_secret_only_are_told_to_differ() -> None:
    found = compare_configs(build({"Cmd": ["a", "--password", "x"]}), build({"Cmd": ["a", "--password", "y"]}))

    [told] = found.found
    assert (told.part, told.before, told.after) == ("command", "a --password ****", "a --password ****")
