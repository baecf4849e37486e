"""The shipped scr.toml: it parses, and says of every key what the code says."""

import re
import tomllib
from pathlib import Path

import msgspec

from appliance import assets
from appliance.config import Config, Sources, list_keys, load
from appliance.config.lines import find_lines

REFERENCE = Path("scr.toml")
KEY_LINE = re.compile(r"(?m)^#(?=[a-z\[])")  # a key or a table that is commented out; prose has a space behind the "#"


def uncommented() -> str:
    """Return the reference with every key in force, but for the tables of which there may be none."""
    settings, _, tables = REFERENCE.read_text().partition("# One more address")
    assert tables
    return KEY_LINE.sub("", settings)


def test_the_program_ships_these_very_bytes() -> None:
    assert assets.read("appliance", "files/scr.toml") == REFERENCE.read_bytes()


def test_as_it_is_shipped_it_changes_nothing() -> None:
    loaded = load(Sources(REFERENCE))

    assert loaded.config == load(Sources()).config
    assert {one.origin.kind for one in loaded.settings} == {"default"}


def test_every_default_it_names_is_the_codes(tmp_path: Path) -> None:
    path = tmp_path / "scr.toml"
    path.write_text(uncommented())

    loaded = load(Sources(path))

    storage = msgspec.structs.replace(loaded.config.storage, data_dir=Path("data"))
    assert msgspec.structs.replace(loaded.config, storage=storage) == Config()
    assert {one.origin.kind for one in loaded.settings} == {"file"}


def test_every_key_is_in_it_and_no_other() -> None:
    text = KEY_LINE.sub("", REFERENCE.read_text())

    found = {tuple(part for part in path if isinstance(part, str)) for path in find_lines(text)}

    keys = set(list_keys())
    assert keys <= found
    tables = {key[:length] for key in keys for length in range(1, len(key))}
    assert found <= keys | tables


def test_every_key_is_explained_by_a_sentence_above_it() -> None:
    explained = ""
    for line in REFERENCE.read_text().split("\n"):
        if line.startswith("# "):
            explained = line
        elif not line:
            explained = ""
        elif line.startswith("#"):
            assert explained.endswith((".", ":", '".', ",")), f"{line} has no sentence"


def test_the_tables_of_which_there_may_be_none_name_the_codes_defaults() -> None:
    tables = tomllib.loads(KEY_LINE.sub("", REFERENCE.read_text()))

    assert tables["user"][0] == {
        "name": "ann",
        "description": "",
        "password_hash": "",
        "password_file": "",
        "policies": ["ScrPullPushOnlyAccess"],
        "sign_in": {place: ["access-key", "password"] for place in ("registry", "api", "console")},
    }
    assert tables["role"][0] == {"name": "ci", "description": "", "policies": []}
    assert tables["access_key"][0] == {
        "owner": "role:ci",
        "name": "build",
        "key": "SCRABCDEFGHIJKLMNOPQ",
        "secret_hash": "",
        "secret_file": "",
        "description": "",
    }
    assert tables["group"][0] == {"name": "ops", "description": "", "members": [], "policies": []}
    assert tables["policy"][0] == {
        "name": "pull-pay",
        "description": "",
        "load": "",
        "registries": [],
        "repositories": [],
        "statements": [],
    }
    assert tables["listener"][0] == {
        "address": "127.0.0.1:5443",
        "tls_certificate": "",
        "tls_key": "",
        "allow_plain": False,
        "endpoint": "private",
        "registry": "",
    }
    assert tables["registry"][0] == {
        "name": "pay",
        "description": "",
        "visibility": "private",
        "endpoint": "private",
        "private_access_control": False,
        "public_access_control": False,
        "port": 0,
        "quota": "0",
        "quota_images": 0,
        "resource_tags": [],
    }
    policy = {name: tables["repository"][0].pop(name) for name in ("scan", "pull_limit", "tag_deletion")}
    assert policy == tables["defaults"]["repository"]
    assert tables["repository"][0] == {
        "name": "pay",
        "registry": "local",
        "description": "",
        "locked": False,
        "resource_tags": [],
    }
    assert tables["secret_rule"][0] == {
        "id": "pay-token",
        "pattern": "pay_[a-z0-9]{32}",
        "literals": ["pay_"],
        "title": "",
        "severity": "high",
    }
    assert tables["resource_group"][0] == {"name": "build", "kind": "other", "addresses": []}
