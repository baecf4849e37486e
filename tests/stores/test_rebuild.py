"""Only the bucket is left: `scr rebuild` makes a database from its snapshots, blobs and copies of manifests."""

import shutil

import pytest

from appliance.cli.main import main
from tests import make
from tests.stores.conftest import Start

OLD = make.image([{"etc/motd": b"before the snapshot"}])
NEW = make.image([{"etc/motd": b"after the snapshot"}, {"usr/lib/big": bytes(range(256)) * 9000}])


@pytest.mark.parametrize("encrypt", ["on", "off"])
def test_from_the_bucket_alone_everything_comes_back(
    start: Start, encrypt: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start(given={"SCR_STORAGE__ENCRYPT": encrypt})
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with server.client() as client:
        client.push("pay/api", OLD, "1")
    assert main(["job", "run", "backup", "--data-dir", str(server.data)]) == 0
    with server.client() as client:
        client.push("pay/web", NEW, "2")
    server.kill()
    shutil.rmtree(server.data)

    code = main(["rebuild", "--config", str(server.config), "--data-dir", str(server.data)])

    told = capsys.readouterr()
    assert code == 0, told.out + told.err
    assert "began with the snapshot" in told.out
    server.start()
    with server.client() as client:
        assert client.get_manifest("pay/api", "1").expect(200).body == OLD.body
        recovered = f"recovered/{NEW.digest[7:19]}"
        assert client.get_manifest(recovered, NEW.digest).expect(200).body == NEW.body
        for name, image in (("pay/api", OLD), (recovered, NEW)):
            for blob in image.blobs:
                assert client.get_blob(name, blob.digest).expect(200).body == blob.data


def test_without_any_snapshot_it_begins_with_nothing_and_finds_all_images(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with server.client() as client:
        client.push("pay/web", NEW, "2")
    server.kill()
    shutil.rmtree(server.data)

    assert main(["rebuild", "--config", str(server.config), "--data-dir", str(server.data)]) == 0

    assert "began with nothing" in capsys.readouterr().out
    server.start()
    with server.client() as client:
        assert client.get_manifest(f"recovered/{NEW.digest[7:19]}", NEW.digest).expect(200).body == NEW.body


def test_with_another_master_key_nothing_is_rebuilt(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with server.client() as client:
        client.push("pay/web", NEW, "2")
    server.kill()
    shutil.rmtree(server.data)
    monkeypatch.setenv("TEST_MASTER_KEY", "ff" * 32)

    assert main(["rebuild", "--config", str(server.config), "--data-dir", str(server.data)]) == 1

    assert "does not open the keyring" in capsys.readouterr().err
    shutil.rmtree(server.data)
    monkeypatch.setenv("TEST_MASTER_KEY", server.environment["TEST_MASTER_KEY"])
    assert main(["rebuild", "--config", str(server.config), "--data-dir", str(server.data)]) == 0
    server.start()
