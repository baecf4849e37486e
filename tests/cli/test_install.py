"""`scr install` and `scr uninstall` below a folder that stands for the host."""

import stat
from pathlib import Path

import pytest

from appliance.cli.install import settings_for
from appliance.cli.main import main
from appliance.config import Sources, load


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """A file that stands for the packaged program."""
    path = tmp_path / "scr-0.1.0"
    path.write_bytes(b"\x7fELF first")
    return path


def files_below(root: Path) -> dict[str, int]:
    """Return the files below `root` with their permissions."""
    return {
        path.relative_to(root).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_it_brings_program_settings_and_units(packaged: Path, tmp_path: Path) -> None:
    root = tmp_path / "host"

    assert main(["install", "--root", str(root), "--program", str(packaged)]) == 0

    assert files_below(root) == {
        "usr/local/bin/scr": 0o755,
        "etc/scr/scr.toml": 0o640,
        "etc/systemd/system/scr.service": 0o644,
        "etc/systemd/system/scr.socket": 0o644,
    }
    assert stat.S_IMODE((root / "var/lib/scr").stat().st_mode) == 0o700
    unit = (root / "etc/systemd/system/scr.service").read_text()
    assert "ExecStart=/usr/local/bin/scr serve --config /etc/scr/scr.toml\n" in unit


def test_the_installed_settings_keep_the_data_where_the_unit_lets_them(tmp_path: Path) -> None:
    path = tmp_path / "scr.toml"
    path.write_text(settings_for("/var/lib/scr"))

    loaded = load(Sources(path), is_served=False)

    assert loaded.config.storage.data_dir == Path("/var/lib/scr")
    assert [one.key for one in loaded.settings if one.origin.kind == "file"] == ["storage.data_dir"]


def test_run_again_it_replaces_the_program_and_keeps_the_settings(packaged: Path, tmp_path: Path) -> None:
    root = tmp_path / "host"
    assert main(["install", "--root", str(root), "--program", str(packaged)]) == 0
    (root / "etc/scr/scr.toml").write_text("# mine\n")
    packaged.write_bytes(b"\x7fELF second")

    assert main(["install", "--root", str(root), "--program", str(packaged)]) == 0

    assert (root / "usr/local/bin/scr").read_bytes() == b"\x7fELF second"
    assert (root / "usr/local/bin/scr.before").read_bytes() == b"\x7fELF first"
    assert (root / "etc/scr/scr.toml").read_text() == "# mine\n"


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    packaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "host"

    assert main(["install", "--root", str(root), "--program", str(packaged), "--dry-run"]) == 0

    assert f"would copy {packaged} to {root}/usr/local/bin/scr\n" in capsys.readouterr().out
    assert not root.exists()


def test_from_sources_it_asks_for_the_packaged_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--root", str(tmp_path)]) == 1

    assert "--program" in capsys.readouterr().err


def test_uninstall_leaves_settings_and_data(packaged: Path, tmp_path: Path) -> None:
    root = tmp_path / "host"
    assert main(["install", "--root", str(root), "--program", str(packaged)]) == 0
    (root / "var/lib/scr/format").write_text("1\n")
    packaged.write_bytes(b"\x7fELF second")
    assert main(["install", "--root", str(root), "--program", str(packaged)]) == 0

    assert main(["uninstall", "--root", str(root)]) == 0

    assert set(files_below(root)) == {"etc/scr/scr.toml", "var/lib/scr/format"}


def test_a_purge_takes_everything_and_asks_before(
    packaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "host"
    assert main(["install", "--root", str(root), "--program", str(packaged)]) == 0

    assert main(["uninstall", "--root", str(root), "--purge"]) == 1
    assert "add --yes" in capsys.readouterr().err
    assert files_below(root)

    assert main(["uninstall", "--root", str(root), "--purge", "--yes"]) == 0
    assert files_below(root) == {}
    assert not (root / "var/lib/scr").exists()


def test_what_cannot_be_written_is_told(packaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "host").write_text("a file")

    assert main(["install", "--root", str(tmp_path / "host"), "--program", str(packaged)]) == 1

    assert "could not make" in capsys.readouterr().err
