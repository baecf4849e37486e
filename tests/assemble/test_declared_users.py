"""Users of scr.toml while the server runs: who comes, who changes, who leaves, and with what they had."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.cli.main import main
from appliance.services.keys import hash_password
from tests.http.raw import wait_for_line
from tests.make.accounts import ask_token, bearer
from tests.make.client import Client
from tests.make.server import Server

YES = "true"
FIRST, SECOND = "correct horse", "battery staple"
HASHES = {secret: hash_password(secret) for secret in (FIRST, SECOND)}


def users(*wanted: tuple[str, str, str]) -> str:
    """Return the tables of users: name, password, policy."""
    return "".join(
        f'[[user]]\nname = "{name}"\npassword_hash = "{HASHES[secret]}"\npolicies = ["{policy}"]\n'
        for name, secret, policy in wanted
    )


ADMIN = ("admin", FIRST, "ScrFullAccess")
JSON = {"Content-Type": "application/json"}


class Generated(msgspec.Struct, frozen=True, rename="camel"):
    """A key that was made up for the file."""

    access_key: str
    secret_key: str
    secret_hash: str


class Told(msgspec.Struct, frozen=True, rename="camel"):
    """A new access key."""

    access_key: str
    secret_key: str


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, users(ADMIN, ("ann", FIRST, "ScrPullOnlyAccess"))) as running:
        yield running


def change(server: Server, text: str) -> None:
    """Write another scr.toml and wait until it is in force."""
    server.log.clear()
    server.config.write_text(text)
    wait_for_line(server, "config.reloaded")


def changes(server: Server) -> int:
    """Return how many changes of users and attachments are recorded."""
    with server.client(user="admin", password=FIRST) as admin:
        told = admin.get("/api/v1/activity?limit=1000").expect(200).body
    return told.count(b'"user.') + told.count(b'"policy.')


@pytest.fixture
def ann(server: Server) -> Iterator[Client]:
    with server.client(user="ann", password=FIRST) as client:
        yield client


def test_who_leaves_the_file_is_out_with_every_token_and_may_come_back(server: Server, ann: Client) -> None:
    token = ask_token(ann).token
    refresh = ask_token(ann, offline_token=YES).refresh_token
    change(server, users(ADMIN))

    with server.client() as client:
        ann.get("/v2/").expect(401)
        client.get("/v2/", bearer(token)).expect(401)
        form = f"grant_type=refresh_token&client_id=x&refresh_token={refresh}".encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        client.request("POST", "/token", form, kind).expect(401)
        change(server, users(ADMIN, ("ann", FIRST, "ScrPullOnlyAccess")))

        ann.get("/v2/").expect(200)
        client.get("/v2/", bearer(token)).expect(401)  # what has ended stays so


def test_another_password_counts_at_once_and_ends_what_the_first_one_opened(server: Server, ann: Client) -> None:
    token = ask_token(ann).token
    change(server, users(ADMIN, ("ann", SECOND, "ScrPullOnlyAccess")))

    ann.get("/v2/").expect(401)
    with server.client(user="ann", password=SECOND) as client:
        client.get("/v2/").expect(200)
        client.get("/v2/", bearer(token)).expect(401)


def test_another_policy_counts_for_tokens_that_are_out(server: Server, ann: Client) -> None:
    token = ask_token(ann, "repository:pay/api:pull").token
    with server.client() as client:
        client.get("/v2/pay/api/manifests/1", bearer(token)).expect(404)
        change(server, users(ADMIN, ("ann", FIRST, "ScrViewOnlyAccess")))
        client.get("/v2/pay/api/manifests/1", bearer(token)).expect(403)


def test_a_change_of_something_else_ends_nothing(server: Server, ann: Client) -> None:
    token = ask_token(ann).token
    change(server, users(ADMIN, ("ann", FIRST, "ScrPullOnlyAccess")) + '[log]\nlevel = "debug"\n')

    with server.client() as client:
        client.get("/v2/", bearer(token)).expect(200)


def test_a_restart_ends_no_token_and_records_nothing(server: Server, ann: Client) -> None:
    token = ask_token(ann).token
    before = changes(server)
    server.stop()
    server.start()

    with server.client() as client:
        client.get("/v2/", bearer(token)).expect(200)
    assert changes(server) == before


def test_the_last_user_that_leaves_opens_nothing_to_others(server: Server) -> None:
    change(server, "[log]\n")

    with server.client() as client:
        client.get("/v2/").expect(200)  # this machine, as if nobody had ever been there
        client.get("/v2/", {"X-Forwarded-For": "198.51.100.7"}).expect(403)


def test_the_changes_stand_in_the_activity_log_as_the_files(server: Server) -> None:
    change(server, users(ADMIN, ("bob", SECOND, "ScrPullOnlyAccess")))

    with server.client(user="admin", password=FIRST) as admin:
        told = admin.get("/api/v1/activity?limit=1000").expect(200).body
    for word in (b"user.created", b"user.edited", b"policy.attached", b"operator:scr.toml"):
        assert word in told
    assert b"argon2" not in told


ROLES = """
[[policy]]
name = "pay"
load = "ScrPullOnlyAccess"
repositories = ["local/pay"]

[[role]]
name = "ci"
policies = ["pay"]
"""


def test_a_role_of_the_file_has_its_policies_until_they_leave_it(server: Server) -> None:
    change(server, users(ADMIN) + ROLES)
    order = b'{"owner": "role:ci", "name": "build"}'
    with server.client(user="admin", password=FIRST) as admin:
        key = msgspec.json.decode(admin.request("POST", "/api/v1/access-keys", order, JSON).expect(201).body, type=Told)
    with server.client(user=key.access_key, password=key.secret_key) as ci, server.client() as client:
        ci.get("/v2/").expect(200)
        token = ask_token(ci, "repository:pay/api:pull").token
        client.get("/v2/pay/api/tags/list", bearer(token)).expect(404)  # allowed, and not there
        ci.get("/v2/web/api/tags/list").expect(403)
        change(server, users(ADMIN) + ROLES.partition("[[role]]")[0] + '[[role]]\nname = "ci"\n')
        client.get("/v2/pay/api/tags/list", bearer(token)).expect(403)
        change(server, users(ADMIN))
        ci.get("/v2/").expect(401)


def test_a_key_of_the_file_opens_until_it_leaves_it(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "generate", "--json"]) == 0
    made = msgspec.json.decode(capsys.readouterr().out, type=Generated)
    table = f'[[access_key]]\nowner = "role:ci"\nname = "build"\nkey = "{made.access_key}"\n'
    whole = users(ADMIN) + ROLES + table
    change(server, f'{whole}secret_hash = "{made.secret_hash}"\n')

    with server.client(user=made.access_key, password=made.secret_key) as ci, server.client() as client:
        ci.get("/v2/").expect(200)
        token = ask_token(ci).token
        client.get("/v2/", bearer(token)).expect(200)
        change(server, f'{whole}secret_hash = "{"0" * 64}"\n')  # another secret alone
        ci.get("/v2/").expect(401)
        client.get("/v2/", bearer(token)).expect(401)
        change(server, users(ADMIN) + ROLES)
        ci.get("/v2/").expect(401)
    assert made.secret_hash not in "\n".join(server.log)
