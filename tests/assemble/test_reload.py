"""What of a new configuration takes effect while running, and what waits for a restart."""

from pathlib import Path

import pytest

from appliance.assemble.reload import RESTART, read_again
from appliance.config import Sources, list_keys, load
from appliance.errors import ConfigInvalid

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21l$" + "A" * 43
OTHER = HASH[:-1] + "B"


def user(password_hash: str = HASH) -> str:
    """Return a table of one user."""
    return f'[[user]]\nname = "ci"\npassword_hash = "{password_hash}"\n'


def test_settings_take_effect_and_are_named(tmp_path: Path) -> None:
    sources = Sources(tmp_path / "scr.toml")
    (tmp_path / "scr.toml").write_text('[storage]\nrecycle = "1h"\n')
    current = load(sources)

    (tmp_path / "scr.toml").write_text('[storage]\nrecycle = "2h"\n[log]\nlevel = "debug"\n' + user())
    change = read_again(sources, current)

    assert change.applied == ("log.level", "storage.recycle", "user")
    assert change.waiting == ()
    assert change.loaded.config.log.level == "debug"
    assert change.loaded.config.user[0].name == "ci"


def test_another_password_of_a_user_is_a_change(tmp_path: Path) -> None:
    sources = Sources(tmp_path / "scr.toml")
    (tmp_path / "scr.toml").write_text(user())
    current = load(sources)

    (tmp_path / "scr.toml").write_text(user(OTHER))

    assert read_again(sources, current).applied == ("user",)


def test_what_needs_a_restart_is_named_and_stays_as_it_was(tmp_path: Path) -> None:
    sources = Sources(tmp_path / "scr.toml")
    (tmp_path / "scr.toml").write_text('[server]\nnames = ["a"]\n')
    current = load(sources)

    (tmp_path / "scr.toml").write_text(
        '[server]\nnames = ["b"]\nlisten = ["127.0.0.1:7"]\n[storage]\ndata_dir = "other"\n'
        '[[listener]]\naddress = "127.0.0.1:8"\n'
    )
    change = read_again(sources, current)

    assert change.applied == ("server.names",)
    assert change.waiting == ("listener", "server.listen", "storage.data_dir")
    assert change.loaded.config.listeners == current.config.listeners
    assert change.loaded.config.storage == current.config.storage
    assert change.loaded.config.server.names == ("b",)


@pytest.mark.parametrize("text", ["", "  \n\n", None])
def test_a_file_that_lost_its_text_changes_nothing(tmp_path: Path, text: str | None) -> None:
    sources = Sources(tmp_path / "scr.toml")
    (tmp_path / "scr.toml").write_text(user())
    current = load(sources)

    (tmp_path / "scr.toml").unlink()
    if text is not None:
        (tmp_path / "scr.toml").write_text(text)

    with pytest.raises(ConfigInvalid, match="missing or empty"):
        read_again(sources, current)


def test_where_other_machines_are_served_the_file_cannot_say_otherwise_without_a_restart(tmp_path: Path) -> None:
    sources = Sources(tmp_path / "scr.toml")
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_text("")
    tls = '[server]\ntls_certificate = "c.pem"\ntls_key = "k.pem"\nlisten = '
    (tmp_path / "scr.toml").write_text(f'{tls}[":5000"]\n{user()}')
    current = load(sources)

    (tmp_path / "scr.toml").write_text(f'{tls}["127.0.0.1:5000"]\n')  # open as it is written, not as it is served
    change = read_again(sources, current)

    assert change.loaded.config.is_exposed
    assert not change.loaded.config.is_open


def test_a_proxy_that_is_believed_ends_the_open_mode(tmp_path: Path) -> None:
    sources = Sources(tmp_path / "scr.toml")
    (tmp_path / "scr.toml").write_text("")
    current = load(sources)

    (tmp_path / "scr.toml").write_text('[server]\ntrusted_proxies = ["10.0.0.1"]\n')
    change = read_again(sources, current)

    assert current.config.is_open
    assert not change.loaded.config.is_open
    assert change.applied == ("server.trusted_proxies",)


def test_the_reference_marks_what_needs_a_restart() -> None:
    marked: set[str] = set()
    table, sentence, is_above = "", "", False
    for line in Path("scr.toml").read_text().split("\n"):
        if line.startswith("["):
            table = line.strip("[]")
        elif line.startswith("#[["):
            table = line[1:].strip("[]")
            marked |= {table} if "(restart)" in sentence else set()
        elif line.startswith("# "):
            sentence, is_above = (f"{sentence} {line}" if is_above else line), True
            continue
        elif line.startswith("#") and "(restart)" in sentence and table not in ("listener", "user"):
            marked.add(f"{table}.{line[1:].partition(' ')[0]}")
        is_above = False

    keys = {".".join(path) for path in list_keys()} | {"listener"}
    assert marked == {key for key in keys if key in RESTART}
    assert set(RESTART) <= keys
