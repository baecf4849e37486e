"""Registries and repositories that scr.toml declares: at the start, at a reload, in a plan."""

import json
import re
from pathlib import Path

import pytest

from appliance.cli.main import main
from tests.http.api.conftest import List, problem
from tests.http.api.test_registries import Registry, send
from tests.http.api.test_repositories import Repositories
from tests.http.raw import wait_until
from tests.make import images
from tests.make.client import Client
from tests.make.server import Server

IMAGE = images.image([{"etc/motd": b"welcome"}])
CONFIG = """
[defaults.repository.tag_deletion]
untagged_days = 9

[[registry]]
name = "till"
description = "of the till"
quota = "5GiB"
resource_tags = ["team=pay"]

[[repository]]
name = "pay"
registry = "till"
locked = true
[repository.pull_limit]
refuse_critical = true
critical = 3
"""


def find(client: Client, name: str) -> Registry | None:
    items = client.get(f"/api/v1/registries?path={name}").expect(200).decode(List).items
    return client.get(f"/api/v1/registries/{items[0].id}").expect(200).decode(Registry) if items else None


@pytest.fixture
def running(tmp_path: Path) -> Server:
    return Server(tmp_path, CONFIG)


def test_what_is_declared_is_there_from_the_start_on_and_protected(running: Server) -> None:
    with running as server, server.client() as client:
        till = find(client, "till")
        assert till is not None
        pay = client.get("/api/v1/repositories?registry=till&path=pay").decode(Repositories).items[0]
        refused = send(client, "PATCH", f"/api/v1/registries/{till.id}", {"description": "x"}).expect(409)
        deleted = client.delete(f"/api/v1/repositories/{pay.id}?confirm=pay").expect(409)

    assert (till.state, till.quota_bytes, till.resource_tags) == ("Running", 5 << 30, {"team": "pay"})
    assert pay.locked
    assert (pay.policy.pull_limit.refuse_critical, pay.policy.pull_limit.critical) == (True, 3)
    assert pay.policy.tag_deletion.untagged_days == 9
    assert f"declared in {server.config}" in problem(refused.body).detail
    assert f"declared in {server.config}" in problem(deleted.body).detail


def test_a_reload_follows_the_file_and_a_wrong_file_changes_nothing(running: Server) -> None:
    with running as server, server.client() as client:
        server.config.write_text(CONFIG.replace("5GiB", "6GiB") + '[[registry]]\nname = "lab"\n')
        wait_until(lambda: (lab := find(client, "lab")) is not None and lab.state == "Running")
        till, lab = find(client, "till"), find(client, "lab")
        assert till is not None
        assert lab is not None
        assert till.quota_bytes == 6 << 30

        server.config.write_text(CONFIG + '[[registry]]\nname = "local"\nvisibility = "public"\n')
        wait_until(lambda: any("config.refused" in line and "[[registry]] local" in line for line in server.log))
        till, lab = find(client, "till"), find(client, "lab")
        assert till is not None
        assert lab is not None
        assert till.quota_bytes == 6 << 30

        server.config.write_text("[log]\n")
        wait_until(lambda: send(client, "PATCH", f"/api/v1/registries/{till.id}", {"description": "x"}).status == 200)
        assert find(client, "lab") is not None


def test_the_default_registry_can_be_declared_public_at_the_first_start(tmp_path: Path) -> None:
    with Server(tmp_path, '[[registry]]\nname = "local"\nvisibility = "public"\n') as server, server.client() as client:
        local = find(client, "local")

    assert local is not None
    assert (local.visibility, local.state) == ("public", "Running")


def plan(server: Server, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    code = main(["check-config", "--plan", "--config", str(server.config), "--data-dir", str(server.data), *words])
    assert code == 0
    caught = capsys.readouterr()
    return caught.out + caught.err


def test_a_plan_is_the_same_of_a_first_start_a_running_server_and_a_stopped_one(
    running: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    first = plan(running, capsys)
    assert not running.data.exists()
    other = running.folder / "other.toml"
    other.write_text(CONFIG.replace("of the till", "of the tills") + '[[registry]]\nname = "lab"\n')
    with running as server:
        same = plan(server, capsys)
        asked = plan(server, capsys, "--config", str(other))
        as_json = json.loads(plan(server, capsys, "--config", str(other), "--json"))
    offline = plan(running, capsys, "--config", str(other))

    assert "registry till: created" in first
    assert "repository till/pay: created" in first
    assert "2 changes; nothing was changed" in first
    assert same.strip() == "nothing would change"
    assert 'registry till: edited: description: "of the till" -> "of the tills"' in asked
    assert "registry lab: created" in asked
    assert [(one["kind"], one["subject"]) for one in as_json] == [
        ("registry.edited", "registry till"),
        ("registry.created", "registry lab"),
    ]
    assert offline == asked


def test_a_plan_that_a_start_would_refuse_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(tmp_path, '[[repository]]\nname = "pay"\nregistry = "nowhere"\n')

    code = main(["check-config", "--plan", "--config", str(server.config), "--data-dir", str(server.data)])

    assert code == 1
    assert "[[repository]] pay: there is no registry 'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[registry]]\nname = "Pay"\n', "the name of a registry"),
        ('[[registry]]\ndescription = "x"\n', "needs the key name"),
        ('[[registry]]\nname = "pay"\nport = 70000\n', "from 0 to 65535"),
        ('[[registry]]\nname = "pay"\nvisibility = "open"\n', 'one of "private", "public"'),
        ('[[registry]]\nname = "pay"\nresource_tags = ["team"]\n', "a resource tag like"),
        ('[[registry]]\nname = "pay"\nresource_tags = ["a=1", "a=2"]\n', "written more than once"),
        ('[[registry]]\nname = "pay"\n[[registry]]\nname = "pay"\n', ":4: [[registry]] name: there is another"),
        ('[[registry]]\nname = "pay"\nquotta = "5GiB"\n', "did you mean quota"),
        ('[[repository]]\nname = "a/b"\n', "the name of a repository"),
        ('[compat]\nscr_strict = true\n[[repository]]\nname = "a_b"\n', "scr_strict"),
        ('[[repository]]\nname = "pay"\n[repository.pull_limit]\ncritical = 0\n', "[repository.pull_limit] critical"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    path = tmp_path / "scr.toml"
    path.write_text(text)

    code = main(["check-config", "--config", str(path)])

    said = capsys.readouterr().err
    assert code == 1
    assert told in said
    assert re.search(rf"{path}:\d+: ", said)
