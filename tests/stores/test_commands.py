"""`scr storage` against a real server over a bucket."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from appliance.cli.main import main
from tests import make
from tests.http.ui.asking import ask
from tests.make.object_store import BUCKET
from tests.make.proxy import Proxy
from tests.make.server import Server
from tests.make.stores import names_in
from tests.stores.conftest import Start

IMAGE = make.image([{"etc/motd": b"hello"}, {"usr/lib/big": bytes(range(256)) * 9000}])
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `scr storage …` for a server; return code, data and talk."""

    def do(server: Server, *words: str) -> tuple[int, str, str]:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = main(["storage", *words, "--config", str(server.config), "--data-dir", str(server.data)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return do


def pull(server: Server) -> None:
    with server.client() as client:
        assert client.get_manifest("pay/api", "1").expect(200).body == IMAGE.body
        for blob in IMAGE.blobs:
            assert client.get_blob("pay/api", blob.digest).expect(200).body == blob.data


def push(server: Server) -> None:
    with server.client() as client:
        client.push("pay/api", IMAGE, "1")


def test_the_status_says_what_lies_where(start: Start, run: Run, proxy: Proxy) -> None:
    server = start()
    push(server)

    code, out, _ = run(server, "status")
    assert (code, "encrypts  yes" in out, "3 blobs, s3, encrypted" in out, "images/" in out) == (0, True, True, True)
    _, out, _ = run(server, "status", "--json")
    found = msgspec.json.decode(out)
    assert (found["driver"], found["elsewhere"], found["keys"]["dataKeys"]) == ("s3", 0, 1)
    assert found["bucket"]["cache"]["blobs"] == 3
    with server.client() as client:
        shown = (
            client.get("/api/v1/registries?path=local").expect(200).decode(dict[str, list[dict[str, object]] | None])
        )
    assert [one["bucket"] for one in shown["items"] or []] == [BUCKET]

    proxy.choose = lambda *_: "error"
    with server.client() as client:
        assert client.put_blob("pay/api", make.Blob(b"more")).status == 503
    code, out, _ = run(server, "status")
    assert (code, "the object store failed (500)" in out) == (1, True)


def test_the_page_of_storage_tells_of_bucket_cache_and_keys(start: Start, run: Run, proxy: Proxy) -> None:
    server = start()
    assert "not asked yet" in ask(server, "/storage").text
    push(server)
    pull(server)

    shown = ask(server, "/storage").text
    assert re.search(r"\d % / \d", shown)  # a scan reads too
    assert "answers" in shown
    assert "Two master keys" not in shown

    assert run(server, "rekey", "--new-master", str(written(server, "ab" * 32)))[0] == 0
    proxy.choose = lambda *_: "error"
    with server.client() as client:
        assert client.put_blob("pay/api", make.Blob(b"more")).status == 503
    shown = ask(server, "/storage").text
    assert "cannot be used" in shown
    assert "the object store failed (500)" in shown
    assert "Two master keys open the keyring" in shown


def written(server: Server, key: str) -> Path:
    """Return a file beside the server's data that holds `key`."""
    path = server.data.parent / "new.key"
    path.write_text(key)
    return path


def test_a_check_proves_what_is_needed_with_the_server_and_without(start: Start, run: Run) -> None:
    server = start()

    for options in ((), ("--offline",)):
        code, out, _ = run(server, "check", *options)

        assert code == 0, out
        steps = [line[:17].strip() for line in out.splitlines()]
        assert steps[:3] == ["access key", "clock", "write"]
        assert ("master key" in steps) is bool(options)  # a server that runs has it
        assert {"read a range", "list", "upload in parts", "delete many", "presigned address"} <= set(steps)
    assert names_in(server.data, server.environment, "check") == []


@pytest.mark.parametrize(
    ("variable", "value", "step", "reason"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "write", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "nobody", "write", "InvalidAccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "", "access key", "are not set"),
        ("SCR_STORAGE__S3__ENDPOINT", "http://127.0.0.1:9", "clock", "cannot be reached"),
        ("TEST_MASTER_KEY", "short", "master key", "not 32 bytes"),
    ],
)
def test_a_check_names_what_is_wrong(start: Start, run: Run, variable: str, value: str, step: str, reason: str) -> None:
    server = start()
    server.environment[variable] = value

    code, out, talk = run(server, "check", "--offline")

    (line,) = [line for line in out.splitlines() if line.startswith(step)]
    assert (code, "failed" in line, reason in line) == (1, True, True), out
    assert "see what failed first" in talk


def test_a_move_to_the_bucket_and_back_keeps_serving(start: Start, run: Run) -> None:
    server = start(given={"SCR_STORAGE__DRIVER": "local"})
    given = server.environment
    push(server)
    assert len(names_in(server.data, {})) == 3
    server.stop()

    for driver, form in (("s3", "s3, encrypted"), ("local", "local, plain")):
        given["SCR_STORAGE__DRIVER"] = driver
        server.start()
        pull(server)
        code, _, talk = run(server, "status")
        assert (code, "scr storage move" in talk) == (0, True)

        code, out, _ = run(server, "move")

        assert (code, "3 blobs" in out, "1 copy" in out) == (0, True, True)
        assert form in run(server, "status")[1]
        pull(server)
        server.stop()
    server.start()


def test_a_new_master_key_opens_beside_the_old_one_until_it_was_used(
    start: Start, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start()
    push(server)
    old = server.environment["TEST_MASTER_KEY"]
    capsys.readouterr()
    assert main(["storage", "key"]) == 0
    new = capsys.readouterr().out.strip()
    (tmp_path / "new.key").write_text(new + "\n")

    code, _, talk = run(server, "rekey", "--new-master", str(tmp_path / "new.key"))
    assert (code, "restart scr" in talk) == (0, True)
    assert "two master keys" in run(server, "status")[1]
    assert run(server, "rekey", "--new-master", str(tmp_path / "new.key"))[0] == 1

    for key in (old, new):
        server.stop()
        server.environment["TEST_MASTER_KEY"] = key
        server.start()
        pull(server)
    assert "two master keys" not in run(server, "status")[1]
    server.stop()
    server.environment["TEST_MASTER_KEY"] = old
    with pytest.raises(AssertionError, match="does not open the keyring"):
        server.start()
    server.environment["TEST_MASTER_KEY"] = new
    shutil.rmtree(server.data / "keys")  # its copy in the bucket is as new
    server.start()
    pull(server)


def test_a_new_data_key_is_for_new_blobs_and_a_move_renews_the_old(start: Start, run: Run) -> None:
    server = start()
    push(server)

    assert run(server, "rekey", "--new-data-key")[0] == 0
    pull(server)
    code, out, _ = run(server, "move", "--renew-keys")

    assert (code, "3 blobs" in out) == (0, True)
    pull(server)
    server.stop()
    server.start()
    pull(server)
    assert "2 data keys" in run(server, "status")[1]


def test_keys_are_changed_by_the_operators_door_only(start: Start) -> None:
    server = start()

    with server.client() as client:
        refused = client.request(
            "POST", "/api/v1/storage/keys", b'{"newDataKey": true}', {"Content-Type": "application/json"}
        )

    assert refused.status == 403
    assert b"scr storage rekey" in refused.body
