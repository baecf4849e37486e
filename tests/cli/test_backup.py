"""`scr backup`, `scr restore`, `scr verify --backup` against a real server and real folders."""

import json
from pathlib import Path

import apsw
import pytest

from appliance import assets
from appliance.db import migrate
from appliance.domain.names import natural_key
from tests import make
from tests.cli.conftest import Scr
from tests.make.client import Client
from tests.make.server import Server

IMAGE = make.image([{"etc/motd": b"hello" * 1000}, {"etc/issue": b"shared"}])
OTHER = make.image([{"etc/issue": b"shared"}, {"b": b"2"}])
LATER = make.image([{"c": b"pushed after the backup"}])


@pytest.fixture
def own(tmp_path: Path) -> Server:
    """A server that the test starts and stops."""
    return Server(tmp_path / "own")


def back_up(scr: Scr, server: Server, folder: Path) -> Path:
    return Path(json.loads(scr("backup", str(folder), "--json", data_dir=str(server.data)).expect(0).out)["path"])


def test_a_backup_of_a_serving_registry_restores_to_what_it_held(scr: Scr, own: Server, tmp_path: Path) -> None:
    with own, own.client() as client:
        client.push("pay/api", IMAGE, "1", "latest")
        client.push("pay/web", OTHER, "1")
        taken = back_up(scr, own, tmp_path / "disk")
        client.push("pay/late", LATER, "1")
    scr("verify", "--backup", str(tmp_path / "disk"), "--deep").expect(0)

    restored = Server(tmp_path / "new")
    done = scr("restore", str(taken), data_dir=str(restored.data)).expect(0)

    assert f"restored {taken}" in done.out
    assert not (restored.data / "restoring").exists()
    with restored, restored.client() as client:
        client.assert_holds("pay/api", "latest", IMAGE)
        client.assert_holds("pay/web", "1", OTHER)
        client.get_manifest("pay/late", "1").expect(404)
        client.push("pay/api", LATER, "2")
    scr("verify", "--offline", "--deep", data_dir=str(restored.data)).expect(0)


def test_nothing_is_overwritten_without_being_told_to_and_then_it_is_set_aside(
    scr: Scr, own: Server, tmp_path: Path
) -> None:
    with own, own.client() as client:
        client.push("pay/api", IMAGE, "1")
        back_up(scr, own, tmp_path / "disk")
        client.push("pay/late", LATER, "1")

    refused = scr("restore", str(tmp_path / "disk"), data_dir=str(own.data)).expect(1)
    forced = scr("restore", str(tmp_path / "disk"), "--force", "--json", data_dir=str(own.data)).expect(0)

    assert "--force sets it aside" in refused.talk
    told = json.loads(forced.out)
    assert (told["setAside"], told["present"], told["lost"], told["unknown"]) == ("replaced-1.sqlite", 3, [], 2)
    with own, own.client() as client:
        client.assert_holds("pay/api", "1", IMAGE)
        client.get_manifest("pay/late", "1").expect(404)


def test_a_snapshot_in_the_data_folder_is_restored_in_place(scr: Scr, own: Server) -> None:
    with own, own.client() as client:
        client.push("pay/api", IMAGE, "1")
        name = scr("backup", data_dir=str(own.data)).expect(0).out.strip()
        listed = json.loads(scr("backup", "--list", "--json", data_dir=str(own.data)).expect(0).out)
        client.delete("/v2/pay/api/manifests/1").expect(202)
    scr("verify", "--backup", str(own.data / "backups" / name)).expect(0)

    scr("restore", str(own.data / "backups" / name), "--force", data_dir=str(own.data)).expect(0)

    assert [one["name"] for one in listed] == [name]
    with own, own.client() as client:
        client.assert_holds("pay/api", "1", IMAGE)


def test_what_a_snapshot_knows_and_nobody_has_is_told_and_healed_by_the_next_push(scr: Scr, own: Server) -> None:
    with own, own.client() as client:
        client.push("pay/api", IMAGE, "1")
        name = scr("backup", data_dir=str(own.data)).expect(0).out.strip()
    layer = IMAGE.blobs[1]
    next((own.data / "blobs").rglob(f"{layer.digest[7:]}.*")).unlink()

    done = scr("restore", str(own.data / "backups" / name), "--force", data_dir=str(own.data)).expect(1)

    assert f"lost: the bytes of {layer.digest}" in done.out
    with own, own.client() as client:
        client.get_blob("pay/api", layer.digest).expect(404)
        client.push("pay/api", IMAGE, "1")
        client.assert_holds("pay/api", "1", IMAGE)


def test_a_folder_that_a_restore_left_half_done_is_not_served_and_the_restore_goes_on(
    scr: Scr, own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own, own.client() as client:
        client.push("pay/api", IMAGE, "1")
        back_up(scr, own, tmp_path / "disk")
    restored = Server(tmp_path / "new")

    async def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("appliance.blobstore.local.LocalStore.seal", fail)
        scr("restore", str(tmp_path / "disk"), data_dir=str(restored.data)).expect(1)
    with pytest.raises(AssertionError, match="was not finished; run it again"):
        restored.start()
    restored = Server(tmp_path / "new")
    scr("restore", str(tmp_path / "disk"), data_dir=str(restored.data)).expect(0)

    with restored, restored.client() as client:
        client.assert_holds("pay/api", "1", IMAGE)


def test_a_lost_database_is_not_made_anew_over_blobs(own: Server, tmp_path: Path) -> None:
    with own, own.client() as client:
        client.push("pay/api", IMAGE, "1")
    for part in own.data.glob("scr.sqlite*"):
        part.unlink()

    for _ in range(2):
        with pytest.raises(AssertionError, match="the database is lost; restore a backup"):
            Server(tmp_path / "own").start()

    assert list(own.data.glob("scr.sqlite*")) == []


def test_an_upgrade_of_the_database_keeps_what_it_was(scr: Scr, own: Server) -> None:
    latest = migrate.latest()
    own.data.mkdir()
    _make_older(own.data / "scr.sqlite", latest - 1)

    with own:
        assert any("upgrade.backed_up" in line for line in own.log)
        listed = json.loads(scr("backup", "--list", "--json", data_dir=str(own.data)).expect(0).out)

    assert [one["name"].startswith(f"before-{latest:04d}-") for one in listed] == [True]
    kept = own.data / "backups" / listed[0]["name"]
    scr("verify", "--backup", str(kept)).expect(0)
    assert _version(kept) == latest - 1
    assert _version(own.data / "scr.sqlite") == latest


def test_a_database_of_a_newer_program_is_refused(own: Server) -> None:
    with own:
        pass
    connection = apsw.Connection(str(own.data / "scr.sqlite"))
    connection.pragma("user_version", migrate.latest() + 1)
    connection.close()

    with pytest.raises(AssertionError, match="a newer scr wrote it; run that one"):
        own.start()


def _make_older(path: Path, version: int) -> None:
    """Make the database of an older program."""
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", migrate.APPLICATION_ID)
    connection.create_scalar_function("natural_key", lambda *values: natural_key(str(values[0])), 1, deterministic=True)
    for name in assets.list_names("appliance.db.migrations", ".sql")[:version]:
        with connection:
            connection.execute(assets.read("appliance.db.migrations", name).decode())
            connection.pragma("user_version", int(name[:4]))
    connection.close()


def _version(path: Path) -> object:
    connection = apsw.Connection(str(path))
    try:
        return connection.pragma("user_version")
    finally:
        connection.close()


def test_a_folder_is_named_on_the_host_only(client: Client, tmp_path: Path) -> None:
    body = json.dumps({"kind": "backup", "order": {"folder": str(tmp_path)}}).encode()

    reply = client.request("POST", "/api/v1/jobs", body, {"Content-Type": "application/json"}).expect(403)

    assert b"on the host only" in reply.body


@pytest.mark.parametrize("what", ["nothing", "text", "empty folder"])
def test_what_is_no_backup_is_refused_and_changes_nothing(scr: Scr, tmp_path: Path, what: str) -> None:
    path = tmp_path / "backup"
    if what == "text":
        path.write_text("hello")
    elif what == "empty folder":
        path.mkdir()

    scr("restore", str(path), data_dir=str(tmp_path / "data")).expect(1)
    scr("verify", "--backup", str(path)).expect(1)

    assert not (tmp_path / "data").exists()


def test_a_folder_that_is_served_is_not_restored_into(scr: Scr, own: Server, tmp_path: Path) -> None:
    with own, own.client() as client:
        client.push("pay/api", IMAGE, "1")
        back_up(scr, own, tmp_path / "disk")

        refused = scr("restore", str(tmp_path / "disk"), "--force", data_dir=str(own.data)).expect(1)

        client.assert_holds("pay/api", "1", IMAGE)
    assert "stop it first" in refused.talk


def test_an_older_backup_is_restored_and_upgraded_by_the_next_start(scr: Scr, own: Server, tmp_path: Path) -> None:
    latest = migrate.latest()
    _make_older(tmp_path / "old.sqlite", latest - 1)

    scr("restore", str(tmp_path / "old.sqlite"), data_dir=str(own.data)).expect(0)

    with own, own.client() as client:
        client.push("pay/api", IMAGE, "1")
    assert _version(own.data / "scr.sqlite") == latest
