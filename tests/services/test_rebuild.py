"""Rebuild: the database is lost, and every byte that was pushed can be pulled again by its digest."""

import json
import shutil
from pathlib import Path

import apsw
import pytest

from appliance.cli.main import main
from tests.make import images
from tests.make.images import Manifest
from tests.make.server import Server

ONE = images.image([{"etc/motd": b"one"}], platform="linux/amd64")
TWO = images.image([{"etc/motd": b"two"}], platform="linux/arm64")
INDEX = images.index([ONE, TWO])
SBOM = images.artifact("application/spdx+json", b'{"spdx": 1}', subject=INDEX)
LONG = images.image([{"etc/motd": b"sha512"}], algorithm="sha512")


def name_of(manifest: Manifest) -> str:
    """Return where a rebuild puts a manifest that nothing lists."""
    return f"recovered/{manifest.digest.partition(':')[2][:12]}"


def lose_database(server: Server) -> None:
    for path in server.data.glob("scr.sqlite*"):
        path.unlink()


def snapshot(server: Server, name: str) -> Path:
    """Copy the database as a backup would."""
    path = server.data / "backups" / name
    path.parent.mkdir(exist_ok=True)
    connection = apsw.Connection(str(server.data / "scr.sqlite"))
    connection.execute("VACUUM INTO ?", (str(path),))
    connection.close()
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("SCR_DEBUG", "1")
    return Server(tmp_path)


class Rebuild:
    """Runs `scr rebuild --json`."""

    def __init__(self, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
        capsys.readouterr()
        self.code = main(["rebuild", "--json", "--data-dir", str(server.data)])
        told = capsys.readouterr()
        self.talk = told.err
        self.report = json.loads(told.out) if told.out else {}


def test_everything_is_pulled_again_by_digest_after_the_database_is_lost(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with server, server.client() as client:
        client.push("pay/multi", INDEX, "1")
        client.push("pay/multi", SBOM)
        client.push("pay/long", LONG)
    lose_database(server)

    done = Rebuild(server, capsys)

    assert done.code == 0
    assert sorted(done.report["images"]) == sorted([name_of(INDEX), name_of(LONG)])
    assert done.report["manifests"] == 5
    assert (done.report["lost"], done.report["broken"], done.report["snapshot"]) == ([], [], "")
    with server, server.client() as client:
        listed = client.get("/api/v1/images?repository=recovered&sort=-pushed").expect(200)
        assert all(name_of(one).encode() in listed.body for one in (INDEX, LONG))
        client.assert_holds(name_of(INDEX), INDEX.digest, INDEX)
        client.assert_holds(name_of(INDEX), SBOM.digest, SBOM)
        client.assert_holds(name_of(LONG), LONG.digest, LONG)
        assert client.list_tags(name_of(INDEX)) == []
        referrers = json.loads(client.get(f"/v2/{name_of(INDEX)}/referrers/{INDEX.digest}").expect(200).body)
        assert [one["digest"] for one in referrers["manifests"]] == [SBOM.digest]
        client.put_manifest("pay/multi", "1", INDEX).expect(201)  # sparse at first
        client.push("pay/multi", INDEX, "1")
        client.assert_holds("pay/multi", "1", INDEX)


def test_collection_after_a_rebuild_takes_nothing_that_was_recovered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(tmp_path, '[storage]\ngrace = "0s"\nrecycle = "0s"\n')
    unreferenced = ONE.blobs[0]
    with server, server.client() as client:
        client.push("pay/multi", INDEX, "1")
    lose_database(server)
    (copy,) = (server.data / "manifests").rglob(f"{ONE.digest[7:]}.*")
    copy.unlink()
    Rebuild(server, capsys)

    with server, server.client() as client:
        client.request("POST", "/api/v1/collections", b"{}", {"Content-Type": "application/json"}).expect(200)

        client.get_manifest(name_of(INDEX), INDEX.digest).expect(200)
        client.assert_holds(name_of(INDEX), TWO.digest, TWO)
        client.head(f"/v2/recovered/unreferenced/blobs/{unreferenced.digest}").expect(200)


def test_a_snapshot_keeps_names_and_tags_and_the_rest_is_recovered(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with server, server.client() as client:
        client.push("pay/api", ONE, "1", "latest")
    older = snapshot(server, "older.sqlite")
    with server, server.client() as client:
        client.push("pay/api", TWO, "2")
    newest = snapshot(server, "newest.sqlite")
    newest.write_bytes(b"torn" + newest.read_bytes()[4:])
    lose_database(server)

    done = Rebuild(server, capsys)

    assert done.code == 0
    assert done.report["snapshot"] == older.name
    assert done.report["images"] == [name_of(TWO)]
    with server, server.client() as client:
        client.assert_holds("pay/api", "1", ONE)
        client.assert_holds("pay/api", "latest", ONE)
        assert client.list_tags("pay/api") == ["1", "latest"]
        client.assert_holds(name_of(TWO), TWO.digest, TWO)


def test_children_that_the_snapshot_knows_are_with_an_index_that_it_does_not(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with server, server.client() as client:
        client.push("pay/one", ONE, "1")
    snapshot(server, "only.sqlite")
    with server, server.client() as client:
        client.push("pay/multi", INDEX, "1")
    lose_database(server)

    Rebuild(server, capsys)

    with server, server.client() as client:
        client.assert_holds(name_of(INDEX), INDEX.digest, INDEX)
        client.assert_holds("pay/one", "1", ONE)
        client.delete(f"/v2/{name_of(INDEX)}/manifests/{ONE.digest}")
    assert main(["verify", "--offline", "--deep", "--data-dir", str(server.data)]) == 0


def test_what_the_snapshot_knows_and_the_store_has_lost_is_told(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with server, server.client() as client:
        client.push("pay/api", ONE, "1")
    snapshot(server, "only.sqlite")
    lose_database(server)
    layer = ONE.blobs[-1]
    (path,) = (server.data / "blobs").rglob(f"{layer.digest[7:]}.*")
    path.unlink()

    done = Rebuild(server, capsys)

    assert done.code == 1
    assert done.report["lost"] == [layer.digest]
    with server, server.client() as client:
        client.get_blob("pay/api", layer.digest).expect(404)
        client.push("pay/api", ONE, "1")
        client.assert_holds("pay/api", "1", ONE)


def test_broken_bytes_are_told_and_not_served(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with server, server.client() as client:
        client.push("pay/one", ONE, "1")
        client.push("pay/two", TWO, "1")
    lose_database(server)
    layer = ONE.blobs[-1]
    (path,) = (server.data / "blobs").rglob(f"{layer.digest[7:]}.*")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    (copy,) = (server.data / "manifests").rglob(f"{TWO.digest[7:]}.*")
    copy.write_bytes(b'{"schemaVersion": 2}')

    done = Rebuild(server, capsys)

    assert done.code == 1
    assert sorted(done.report["broken"]) == sorted([layer.digest, TWO.digest])
    assert [path.name.partition(".")[0] for path in (server.data / "quarantine").iterdir()] == [layer.digest[7:]]
    with server, server.client() as client:
        client.get_manifest(name_of(ONE), ONE.digest).expect(200)
        client.get_blob(name_of(ONE), layer.digest).expect(404)


def test_a_whole_database_is_never_replaced(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with server, server.client() as client:
        client.push("pay/api", ONE, "1")
    before = (server.data / "scr.sqlite").read_bytes()

    done = Rebuild(server, capsys)

    assert done.code == 1
    assert "is there and whole" in done.talk
    assert (server.data / "scr.sqlite").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_a_broken_database_is_set_aside_and_kept(
    server: Server, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    with server, server.client() as client:
        client.push("pay/api", ONE, "1")
    for path in server.data.glob("scr.sqlite*"):
        path.unlink()
    (server.data / "scr.sqlite").write_bytes(content)

    done = Rebuild(server, capsys)

    assert done.code == 0
    assert (server.data / done.report["setAside"]).read_bytes() == content
    with server, server.client() as client:
        client.assert_holds(name_of(ONE), ONE.digest, ONE)


def test_registries_are_private_after_a_rebuild(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with server, server.client() as client:
        client.push("pay/api", ONE, "1")
    connection = apsw.Connection(str(server.data / "scr.sqlite"))
    connection.execute("UPDATE registries SET visibility = 'public'")
    connection.close()
    snapshot(server, "only.sqlite")
    lose_database(server)

    Rebuild(server, capsys)

    connection = apsw.Connection(str(server.data / "scr.sqlite"))
    assert connection.execute("SELECT visibility FROM registries").fetchall() == [("private",)]
    connection.close()


def test_a_rebuild_that_was_stopped_is_begun_again(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with server, server.client() as client:
        client.push("pay/multi", INDEX, "1")
    lose_database(server)
    Rebuild(server, capsys)
    saved = server.data / "scr.sqlite"
    shutil.copy(saved, server.data / "half.sqlite")
    saved.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])

    done = Rebuild(server, capsys)

    assert done.code == 0
    with server, server.client() as client:
        client.assert_holds(name_of(INDEX), INDEX.digest, INDEX)


def test_it_is_refused_while_somebody_serves(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with server:
        assert "stop it first" in Rebuild(server, capsys).talk


def test_the_words_for_people_say_what_is_not_known(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with server, server.client() as client:
        client.push("pay/api", ONE, "1")
    lose_database(server)

    code = main(["rebuild", "--data-dir", str(server.data)])

    told = capsys.readouterr()
    assert code == 0
    assert name_of(ONE) in told.out
    assert "not known: tags, names" in told.err
    assert "every registry is private now" in told.err
