"""The data folder: one process at a time, and no older program on a newer layout."""

import os
import stat
from pathlib import Path

import pytest

from appliance.assemble.folder import FOLDERS, FORMAT, DataFolder
from appliance.blobstore.files import Files
from appliance.errors import ConfigInvalid, FolderBusy


def test_a_new_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"

    with DataFolder(path, Files()):
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.iterdir()}

    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert modes == dict.fromkeys(FOLDERS, 0o700) | {"format": 0o600, "lock": 0o600}
    assert (path / "format").read_text() == f"{FORMAT}\n"


def test_a_second_holder_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    with (
        DataFolder(tmp_path, Files()),
        pytest.raises(FolderBusy, match=f"another scr \\(process {os.getpid()}\\) serves"),
    ):
        DataFolder(tmp_path, Files())


def test_the_next_holder_is_welcome_once_the_first_is_gone(tmp_path: Path) -> None:
    DataFolder(tmp_path, Files()).close()

    with DataFolder(tmp_path, Files()) as folder:
        assert folder.free_bytes() <= folder.size_bytes()


def test_a_newer_layout_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "format").write_text(f"{FORMAT + 1}\n")

    with pytest.raises(ConfigInvalid, match="written by a newer scr; run that one"):
        DataFolder(tmp_path, Files())

    assert {one.name for one in tmp_path.iterdir()} == {"format", "lock"}
    (tmp_path / "format").write_text(f"{FORMAT}\n")
    DataFolder(tmp_path, Files()).close()  # the refusal let go of the lock


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("ext4")

    with pytest.raises(ConfigInvalid, match="holds no number"):
        DataFolder(tmp_path, Files())


def test_a_path_that_cannot_be_a_folder_is_refused_with_another_choice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigInvalid, match=r"data folder .*file/data cannot be made"):
        DataFolder(tmp_path / "file" / "data", Files())


def test_the_ballast_takes_real_room_and_is_laid_out_once(tmp_path: Path) -> None:
    with DataFolder(tmp_path, Files()) as folder:
        first, second = folder.lay_ballast(1 << 20, 0), folder.lay_ballast(1 << 20, 0)

    assert (first, second) == (True, False)
    status = (tmp_path / "ballast").stat()
    assert status.st_size == 1 << 20
    assert status.st_blocks * 512 >= 1 << 20
    assert not (tmp_path / "ballast.part").exists()


def test_the_ballast_is_not_laid_out_where_it_would_take_the_reserve(tmp_path: Path) -> None:
    with DataFolder(tmp_path, Files()) as folder:
        assert not folder.lay_ballast(1 << 20, folder.size_bytes())

    assert not (tmp_path / "ballast").exists()


def test_ballast_that_was_given_up_is_laid_out_again(tmp_path: Path) -> None:
    with DataFolder(tmp_path, Files()) as folder:
        folder.lay_ballast(4096, 0)
        (tmp_path / "ballast").unlink()

        assert folder.lay_ballast(4096, 0)
