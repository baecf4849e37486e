"""`scr user|group|role|policy|key` against a running server: what a terminal sees, and programs with --json."""

import io
import json
import sys
from pathlib import Path

import bcrypt
import pytest

from tests.cli.conftest import Ran, Scr
from tests.make.client import Client
from tests.make.server import Server

SECRET = "a horse of another colour"  # noqa: S105 - of users that live for one test


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\nand a second line\n")
    return str(path)


def shown(scr: Scr, *words: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(scr(*words, "--json").expect(0).out)
    return found


def listed(ran: Ran) -> list[str]:
    """Return the first word of every line of a table but its head."""
    return [line.split()[0] for line in ran.expect(0).out.splitlines()[1:]]


def status_of(server: Server, name: str, secret: str, path: str = "/api/v1/self") -> int:
    with server.client(user=name, password=secret) as client:
        return client.get(path).status


def test_an_administrator_is_made_by_one_command(server: Server, scr: Scr, password_file: str) -> None:
    made = scr("user", "create", "root", "--admin", "--password-file", password_file).expect(0)

    assert "made user root with ScrFullAccess" in made.talk
    assert "scr key create user:root" in made.talk
    assert SECRET not in made.talk + made.out
    assert status_of(server, "root", SECRET, "/api/v1/users") == 200
    text = scr("user", "show", "root").expect(0).out
    assert "policies    ScrFullAccess" in text
    assert "sign-in     registry access-key; api access-key or password" in text


def test_users_are_listed_changed_switched_and_deleted(server: Server, scr: Scr, password_file: str) -> None:
    scr("user", "create", "bob", "--password-file", password_file, "--policy", "ScrPullOnlyAccess").expect(0)
    scr("user", "create", "carol", "--no-password").expect(0)

    assert listed(scr("user", "list", "--policy", "ScrPullOnlyAccess")) == ["bob"]
    dry = scr("user", "edit", "bob", "--registry-sign-in", "access-key,password", "--dry-run").expect(0)
    assert 'signIn.registry: ["access-key"] -> ["access-key","password"]' in dry.talk
    assert status_of(server, "bob", SECRET, "/v2/") == 401
    scr("user", "edit", "bob", "--registry-sign-in", "access-key,password", "--api-sign-in", "none").expect(0)
    assert status_of(server, "bob", SECRET, "/v2/") == 200
    assert status_of(server, "bob", SECRET) == 401
    assert "let it be an access key there" in scr("user", "show", "bob").expect(0).talk
    scr("user", "disable", "bob").expect(0)
    assert listed(scr("user", "list", "--disabled")) == ["bob"]
    assert status_of(server, "bob", SECRET, "/v2/") == 401
    scr("user", "enable", "bob").expect(0)
    scr("user", "password", "bob", "--none").expect(0)
    assert status_of(server, "bob", SECRET, "/v2/") == 401
    assert "nobody can be asked" in scr("user", "delete", "bob").expect(1).talk
    assert "this deletes the user bob" in scr("user", "delete", "bob", "--dry-run").expect(0).talk
    scr("user", "delete", "bob", "--yes").expect(0)
    assert "there is no user 'bob'; see: scr user list" in scr("user", "show", "bob").expect(1).talk


def test_a_password_comes_from_stdin_and_never_by_an_option(
    server: Server, scr: Scr, monkeypatch: pytest.MonkeyPatch
) -> None:
    scr("user", "create", "typed", "--no-password").expect(0)
    assert "give it by --password-file" in scr("user", "password", "typed").expect(1).talk
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))

    scr("user", "password", "typed", "--password-file", "-").expect(0)

    assert status_of(server, "typed", SECRET) == 200


def test_a_wrong_way_to_sign_in_is_wrong_usage(scr: Scr) -> None:
    assert "access-key or password, or none" in scr("user", "edit", "x", "--api-sign-in", "smoke").expect(2).talk


def test_an_htpasswd_file_is_imported(server: Server, scr: Scr, tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()
    path = tmp_path / "htpasswd"
    path.write_text("".join(f"moved{number}:{hashed}\n" for number in range(502)))

    assert "would make 502 users" in scr("user", "import", str(path), "--dry-run").expect(0).talk
    done = shown(scr, "user", "import", str(path), "--policy", "ScrPullOnlyAccess")
    again = scr("user", "import", str(path)).expect(0)

    assert len(list(done["created"])) == 502  # type: ignore[call-overload]  # it is a list
    assert "made 0 users; 502 were there already" in again.talk
    assert status_of(server, "moved501", SECRET, "/v2/") == 200
    path.write_text("wrong:$1$not$bcrypt\n")
    assert "htpasswd -B" in scr("user", "import", str(path)).expect(1).talk


def test_a_role_signs_in_with_a_key_that_is_rotated(server: Server, scr: Scr) -> None:
    scr("role", "create", "ci", "--policy", "ScrPullOnlyAccess", "--description", "builders").expect(0)
    made = scr("key", "create", "role:ci", "--name", "build", "--expires", "90d").expect(0)
    told = dict(line.rsplit("  ", 1) for line in made.out.splitlines())
    key, secret = told["access key"], told["secret key"]

    assert f"docker login --username {key}" in made.talk
    assert status_of(server, key, secret, "/v2/") == 200
    assert listed(scr("key", "list", "role:ci")) == [key]
    rotated = shown(scr, "key", "rotate", key, "--overlap", "1h")
    assert status_of(server, key, secret, "/v2/") == 200
    assert status_of(server, key, str(rotated["secretKey"]), "/v2/") == 200
    ended = scr("key", "rotate", key, "--overlap", "0").expect(0)
    assert "the earlier secret key has ended" in ended.talk
    assert status_of(server, key, secret, "/v2/") == 401
    assert "expiresAt:" in scr("key", "edit", key, "--expires", "never", "--dry-run").expect(0).talk
    scr("key", "edit", key, "--expires", "2999-01-31", "--name", "desk").expect(0)
    assert shown(scr, "key", "show", key)["name"] == "desk"
    scr("key", "disable", key).expect(0)
    assert "state       disabled" in scr("key", "show", key).expect(0).out
    assert listed(scr("key", "list", "--disabled")) == [key]
    scr("key", "enable", key).expect(0)
    assert "last used" in scr("key", "delete", key, "--dry-run").expect(0).talk
    scr("key", "delete", key, "--yes").expect(0)
    scr("role", "disable", "ci").expect(0)
    assert "disabled" in scr("role", "show", "ci").expect(0).out
    scr("role", "edit", "ci", "--description", "x").expect(0)
    scr("role", "delete", "ci", "--yes").expect(0)
    assert listed(scr("role", "list")) == []


def test_whose_key_it_is_has_to_be_said_through_the_operators_door(scr: Scr) -> None:
    assert "say whose key it is to be" in scr("key", "create", "--name", "x").expect(1).talk
    assert "not a length of time" in scr("key", "create", "--name", "x", "--expires", "soon").expect(2).talk


def test_ones_own_key_is_made_over_the_network(
    server: Server, scr: Scr, password_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scr("user", "create", "own", "--password-file", password_file).expect(0)
    monkeypatch.setenv("SCR_USER", "own")
    monkeypatch.setenv("SCR_PASSWORD", SECRET)

    made = shown(scr, "key", "create", "--name", "laptop", "--server", server.url)

    assert made["owner"] == "user:own"
    assert "ManageUser" in scr("user", "create", "more", "--no-password", "--server", server.url).expect(1).talk


def test_a_group_has_users_and_policies(scr: Scr) -> None:
    for name in ("g1", "g2"):
        scr("user", "create", name, "--no-password").expect(0)
    scr("group", "create", "ops", "--policy", "ScrViewOnlyAccess").expect(0)

    scr("group", "add", "ops", "g1", "g2").expect(0)
    assert listed(scr("group", "members", "ops")) == ["g1", "g2"]
    assert listed(scr("user", "list", "--group", "ops")) == ["g1", "g2"]
    assert "g1 is no longer in group ops" in scr("group", "remove", "ops", "g1").expect(0).talk
    assert "users       1 user" in scr("group", "show", "ops").expect(0).out
    scr("group", "edit", "ops", "--description", "operators").expect(0)
    assert scr("group", "list").expect(0).out.splitlines()[1].split() == ["ops", "1", "ScrViewOnlyAccess", "operators"]
    assert "of 1 user" in scr("group", "delete", "ops", "--dry-run").expect(0).talk
    scr("group", "delete", "ops", "--yes").expect(0)


TOML = """
[[statements]]
effect = "allow"
actions = ["LoginContainerRegistry", "PullRepositoryImages"]
resources = ["registry/local", "registry/local/repository/*"]
conditions = {appliedAddresses = ["127.0.0.0/8"], notBefore = 2026-01-01T00:00:00Z}
"""


def test_a_policy_is_written_in_toml_or_json_and_loaded(scr: Scr, tmp_path: Path, client: Client) -> None:
    path = tmp_path / "reads.toml"
    path.write_text(TOML)
    scr("policy", "create", "reads", "--file", str(path)).expect(0)
    scr("policy", "create", "pays", "--load", "ScrPullOnlyAccess", "--repository", "local/pay").expect(0)

    text = scr("policy", "show", "reads").expect(0).out
    assert '"notBefore": "2026-01-01T00:00:00Z"' in text
    pays = json.dumps(shown(scr, "policy", "show", "pays")["document"])
    assert "registry/local/repository/pay" in pays
    assert "built in" in scr("policy", "list").expect(0).out
    scr("user", "create", "reader", "--no-password").expect(0)
    scr("key", "create", "user:reader", "--name", "laptop").expect(0)
    scr("policy", "attach", "reads", "user:reader").expect(0)
    assert listed(scr("policy", "holders", "reads")) == ["user"]
    explained = scr("explain", "--as", "reader", "pull", "pay/api").expect(0)
    assert "policy reads allows PullRepositoryImages" in explained.out
    scr("policy", "disable", "reads").expect(0)
    scr("explain", "--as", "reader", "pull", "pay/api").expect(1)
    scr("policy", "enable", "reads").expect(0)
    path.write_text(TOML.replace("allow", "deny"))
    assert "document.statements" in scr("policy", "edit", "reads", "--file", str(path), "--dry-run").expect(0).talk
    scr("policy", "edit", "reads", "--file", str(path), "--description", "none").expect(0)
    assert "denies" in scr("explain", "--as", "reader", "pull", "pay/api").expect(1).out
    assert "detach it first" in scr("policy", "delete", "reads", "--yes").expect(1).talk
    scr("policy", "detach", "reads", "user:reader").expect(0)
    scr("policy", "delete", "reads", "--yes").expect(0)
    client.get("/health/live").expect(200)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("create", "x", "--registry", "local"), 1, "add --load"),
        (("create", "x"), 1, "one of the two"),
        (("create", "x", "--load", "ScrFullAccess", "--repository", "pay"), 1, "write local/pay"),
        (("create", "x", "--file", "none.json"), 1, "none.json cannot be read"),
        (("attach", "ScrFullAccess", "ann"), 1, "write user:ann, role:ci or group:ops"),
        (("show", "none"), 1, "there is no policy 'none'; see: scr policy list"),
        (("edit", "ScrFullAccess", "--description", "mine"), 1, "built in"),
    ],
)
def test_what_is_wrong_with_a_policy_is_said(scr: Scr, words: tuple[str, ...], code: int, told: str) -> None:
    assert told in scr("policy", *words).expect(code).talk
