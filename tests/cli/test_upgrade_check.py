"""`scr upgrade-check` on folders of this program, of an older one and of a newer one."""

import json
from pathlib import Path

import apsw
import pytest

from appliance import assets
from appliance.cli.main import main
from appliance.db import migrate
from tests.make.server import Server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a database of the schema before this one."""
    path = tmp_path / "data"
    path.mkdir()
    connection = apsw.Connection(str(path / "scr.sqlite"))
    connection.pragma("application_id", migrate.APPLICATION_ID)
    connection.pragma("journal_mode", "wal")
    connection.create_scalar_function("natural_key", lambda *values: str(values[0]), 1, deterministic=True)
    for name in assets.list_names(migrate.METADATA, ".sql")[:-1]:
        connection.execute(assets.read(migrate.METADATA, name).decode())
        connection.pragma("user_version", int(name[:4]))
    connection.close()
    return path


def checked(folder: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, object]:
    """Return what the command finds."""
    assert main(["upgrade-check", "--data-dir", str(folder), "--json"]) == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_an_older_folder_is_tried_on_a_copy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "scr.sqlite").read_bytes()

    found = checked(folder, capsys)

    last = assets.list_names(migrate.METADATA, ".sql")[-1]
    assert (found["found"], found["known"], found["missing"]) == (migrate.latest() - 1, migrate.latest(), [last])
    assert isinstance(found["tookMs"], int)
    assert (folder / "scr.sqlite").read_bytes() == before
    assert list((folder / "cache").iterdir()) == []


def test_a_migration_that_fails_is_found_before_the_upgrade(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, last = assets.read, assets.list_names(migrate.METADATA, ".sql")[-1]
    monkeypatch.setattr(
        assets, "read", lambda package, name: b"CREATE TABLE blobs (x) STRICT;" if name == last else real(package, name)
    )

    found = checked(folder, capsys, code=1)

    assert last in str(found["fault"])
    assert list((folder / "cache").iterdir()) == []


def test_a_newer_folder_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    connection = apsw.Connection(str(folder / "scr.sqlite"))
    connection.pragma("user_version", migrate.latest() + 1)
    connection.close()

    assert main(["upgrade-check", "--data-dir", str(folder)]) == 1

    assert "a newer scr wrote it" in capsys.readouterr().err


def test_a_folder_in_use_needs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(tmp_path) as server:
        found = checked(server.data, capsys)
        assert main(["upgrade-check", "--data-dir", str(server.data)]) == 0

    assert found["missing"] == []
    assert "nothing is to be done" in capsys.readouterr().out


def test_where_there_is_nothing_yet_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade-check", "--data-dir", str(tmp_path)]) == 0

    assert "has no database" in capsys.readouterr().out


def test_what_is_no_database_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scr.sqlite").write_bytes(b"not a database at all" * 100)

    assert main(["upgrade-check", "--data-dir", str(tmp_path)]) == 1

    assert "cannot be read" in capsys.readouterr().err
