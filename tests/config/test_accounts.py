"""Whom scr.toml declares, and what is said of a mistake in it."""

from pathlib import Path

import pytest

from appliance.assemble.settings import declaration_of
from appliance.config import Sources, load
from appliance.domain.accounts import Method
from appliance.errors import ConfigInvalid
from tests.config.test_reading import HASH

SHA = "0123456789abcdef" * 4
KEY = '[[access_key]]\nowner = "role:ci"\nname = "build"\nkey = "SCRABCDEFGHIJKLMNOPQ"\n'
ALL = '[{effect = "allow", actions = ["*"], resources = ["*"]}]'


def read(folder: Path, text: str) -> Sources:
    path = folder / "scr.toml"
    path.write_text(text)
    return Sources(path)


def test_accounts_are_read_with_all_they_have(tmp_path: Path) -> None:
    text = f"""
[[policy]]
name = "office"
description = "from within"

[[policy.statements]]
effect = "allow"
actions = ["Pull*"]
resources = ["registry/local/*"]
conditions = {{appliedAddresses = ["10.0.0.0/8"], notAfter = 2027-01-01T00:00:00Z}}

[[policy]]
name = "pay"
load = "ScrPullPushOnlyAccess"
repositories = ["local/pay"]

[[user]]
name = "ann"
password_hash = "{HASH}"
policies = ["office", "of-the-api"]
sign_in = {{registry = ["access-key"], console = []}}

[[role]]
name = "ci"
policies = ["pay"]

[[group]]
name = "ops"
members = ["ann"]
policies = ["ScrFullAccess"]
"""
    accounts = declaration_of(load(read(tmp_path, text)).config).accounts

    office, pay = accounts.policies
    (statement,) = office.document.statements
    assert statement.conditions.applied_addresses == ("10.0.0.0/8",)
    assert [(one.actions, one.resources) for one in pay.document.statements] == [
        (("LoginContainerRegistry",), ("registry/local",)),
        (("PullRepositoryImages", "PushRepositoryImages"), ("registry/local/repository/pay",)),
    ]
    (user,) = accounts.users
    assert user.sign_in.registry == (Method.KEY,)
    assert user.sign_in.api == (Method.KEY, Method.PASSWORD)
    assert user.sign_in.console == ()
    assert (accounts.roles[0].policies, accounts.groups[0].members) == (("pay",), ("ann",))


def test_the_hash_of_a_key_comes_from_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "build.hash").write_text(f"{SHA}\n")

    loaded = load(read(tmp_path, f'{KEY}secret_file = "build.hash"\n'))

    (key,) = declaration_of(loaded.config).accounts.keys
    assert (key.owner, key.secret_hash) == ("role:ci", SHA)
    assert [one for one in loaded.settings if SHA in one.value] == []
    assert tmp_path / "build.hash" in loaded.files


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[policy]]\nname = "p"\n', "scr.toml:1: policy p needs either statements or load"),
        (
            f'[[policy]]\nname = "p"\nload = "ScrFullAccess"\nstatements = {ALL}\n',
            "policy p needs either statements or load",
        ),
        ('[[policy]]\nname = "ScrFullAccess"\nload = "ScrViewOnlyAccess"\n', "policy ScrFullAccess is built in"),
        ('[[policy]]\nname = "p"\nload = "ScrFull"\n', "ScrFullAccess"),
        (
            '[[policy]]\nname = "p"\nstatements = [{effect = "allow", actions = ["PullImage"], resources = ["*"]}]\n',
            "there is no action 'PullImage'; did you mean PullRepositoryImages?",
        ),
        (
            '[[policy]]\nname = "p"\nstatements = [{effect = "alow", actions = ["*"], resources = ["*"]}]\n',
            'effect is \'alow\'; write "allow" or "deny"',
        ),
        (
            '[[policy]]\nname = "p"\nstatements = [{effect = "allow", action = ["*"], resources = ["*"]}]\n',
            "unknown field `action`",
        ),
        ('[[policy]]\nname = "p"\nstatements = 7\n', "expected statements of a policy"),
        (
            f'[[policy]]\nname = "p"\nregistries = ["local"]\nstatements = {ALL}\n',
            "which narrow what load names",
        ),
        ('[[policy]]\nname = "p"\nload = "ScrFullAccess"\nrepositories = ["pay"]\n', 'like "local/pay"'),
        (
            '[[role]]\nname = "ci"\npolicies = ["ScrPullOnlyAcces"]\n',
            "scr.toml:3: there is no policy ScrPullOnlyAcces; did you mean ScrPullOnlyAccess?",
        ),
        ('[[role]]\nname = "c i"\n', "1 to 128 letters"),
        ('[[group]]\nname = "g"\n[[group]]\nname = "g"\n', "scr.toml:4: there is another group g"),
        (f'{KEY}secret_hash = "abc"\n', "64 hexadecimal digits"),
        (KEY, "needs either secret_hash or secret_file"),
        (f'{KEY}secret_file = "none"\n', "none cannot be read"),
        (KEY.replace("role:ci", "group:ops") + f'secret_hash = "{SHA}"\n', 'like "role:ci" or "user:ann"'),
        (KEY.replace("SCRAB", "scrab") + f'secret_hash = "{SHA}"\n', "an access key that `scr key generate` printed"),
        (f'{KEY}secret_hash = "{SHA}"\n' * 2, "there is another access key SCRABCDEFGHIJKLMNOPQ"),
        ('[[user]]\nname = "u"\nsign_in = {api = ["smoke"]}\n', 'expected one of "access-key", "password"'),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load(read(tmp_path, text))

    assert told in caught.value.message
