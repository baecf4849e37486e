"""scr.toml, variables and options: what is in force, and what is said where something is wrong."""

from pathlib import Path

import pytest

from appliance.config import Loaded, Option, Origin, Sources, load
from appliance.domain.moment import DAY, HOUR
from appliance.domain.vulnerability import Severity
from appliance.errors import ConfigInvalid

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21l$" + "A" * 43


def read(folder: Path, text: str, environment: dict[str, str] | None = None, *options: Option) -> Loaded:
    """Return what is in force with `text` as scr.toml."""
    path = folder / "scr.toml"
    path.write_text(text)
    return load(Sources(path, environment or {}, options))


def complaints(folder: Path, text: str, environment: dict[str, str] | None = None, *options: Option) -> list[str]:
    """Return what is said about `text`, a line each, without the folder."""
    with pytest.raises(ConfigInvalid) as caught:
        read(folder, text, environment, *options)
    return caught.value.message.replace(f"{folder}/", "").split("\n")


def test_nothing_configured_is_every_default(tmp_path: Path) -> None:
    loaded = load(Sources())

    assert [str(one.address) for one in loaded.config.listeners] == ["127.0.0.1:5000"]
    assert loaded.config.is_open
    assert loaded.config == read(tmp_path, "[storage]\ndata_dir = '" + str(Path.cwd() / "data") + "'").config


def test_values_are_parsed_into_what_they_mean(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        [server]
        names = ["Registry.Example.com."]
        public_url = "https://Registry.example.com/"
        trusted_proxies = ["10.0.0.0/8", "::1"]
        [storage]
        recycle = 0
        history_keep = "400d"
        [limits]
        manifest_bytes = 65536
        [defaults.repository]
        scan = {exclude_severity = "low"}
        tag_deletion.old_days = 7
        """,
    ).config

    assert config.server.names == ("registry.example.com",)
    assert config.server.public_url == "https://registry.example.com"
    assert [str(network) for network in config.server.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert not config.is_open
    assert (config.storage.recycle, config.storage.history_keep, config.storage.grace) == (0, 400 * DAY, HOUR)
    assert config.limits.manifest_bytes == 64 << 10
    assert config.defaults.repository.scan.exclude_severity is Severity.LOW
    assert config.defaults.repository.tag_deletion.old_days == 7


def test_relative_paths_count_from_the_file_and_those_of_options_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    by_file = read(tmp_path / "etc", '[storage]\ndata_dir = "store"')
    by_default = read(tmp_path / "etc", "")
    by_variable = read(tmp_path / "etc", "", {"SCR_STORAGE__DATA_DIR": "store"})
    by_option = read(tmp_path / "etc", "", {}, Option(("storage", "data_dir"), "--data-dir", "store"))

    assert by_file.config.storage.data_dir == tmp_path / "etc" / "store"
    assert by_default.config.storage.data_dir == tmp_path / "etc" / "data"
    assert by_variable.config.storage.data_dir == tmp_path / "work" / "store"
    assert by_option.config.storage.data_dir == tmp_path / "work" / "store"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\n[server]\nlistn = 1", "scr.toml:3: [server] has no key listn; did you mean listen?"),
        ("[sever]", "scr.toml:1: there is no [sever]; did you mean server?"),
        ('[server]\nrecycle = "1h"', "scr.toml:2: [server] has no key recycle; it belongs to [storage]"),
        (
            "[log]\ncolour = true",
            (
                "scr.toml:2: [log] has no key colour; known are level, format, activity_keep, activity_size,"
                " traffic_keep, traffic_size"
            ),
        ),
        (
            '[server]\nlisten = "127.0.0.1:1"',
            'scr.toml:2: [server] listen: expected an array: ["127.0.0.1:1"], got "127.0.0.1:1"',
        ),
        (
            '[server]\nlisten = [\n  "127.0.0.1:1",\n  "x",\n]',
            (
                'scr.toml:4: [server] listen: expected an address and port like "127.0.0.1:5000", '
                '"[::1]:5000" or ":5000",'
                ' got "x"'
            ),
        ),
        (
            "[server]\nshutdown_grace = 30",
            (
                'scr.toml:2: [server] shutdown_grace: expected a length of time like "30s", "10m", "24h" or "400d",'
                " got 30 (a number)"
            ),
        ),
        ("[limits]\nsparse_images = 1", "scr.toml:2: [limits] sparse_images: expected true or false, got 1 (a number)"),
        (
            "[limits]\nmanifest_bytes = true",
            (
                'scr.toml:2: [limits] manifest_bytes: expected a size like "4MiB" (KiB, MiB, GiB, TiB; kB, MB, GB, TB),'
                " got true (true or false)"
            ),
        ),
        (
            '[log]\nlevel = "warning"',
            (
                'scr.toml:2: [log] level: expected one of "debug", "info", "warn", "error", got "warning";'
                " did you mean warn?"
            ),
        ),
        (
            "[defaults.repository.pull_limit]\ncritical = 0",
            (
                "scr.toml:2: [defaults.repository.pull_limit] critical: expected a whole number from 1 to 9999999,"
                " got 0 (a number)"
            ),
        ),
        (
            '[server]\nnames = ["registry:5000"]',
            (
                'scr.toml:2: [server] names: expected a host name like "registry.example.com", without a port,'
                ' got "registry:5000"'
            ),
        ),
        (
            '[server]\npublic_url = "https://a/b"',
            (
                'scr.toml:2: [server] public_url: expected an address like "https://registry.example.com", with nothing'
                ' behind the host and port, got "https://a/b"'
            ),
        ),
        (
            '[server]\ntrusted_proxies = ["10.0.0.1/8"]',
            (
                'scr.toml:2: [server] trusted_proxies: expected an address or network like "10.0.0.7" or "10.0.0.0/8"'
                ' (no bits set behind the mask), got "10.0.0.1/8"'
            ),
        ),
        ("server = 3", "scr.toml:1: [server]: expected a table, got 3 (a number)"),
        ("[user]\nname = 'a'", "scr.toml:1: user is a list of tables: write [[user]], with two brackets"),
        ("[[user]]\npassword_file = 'x'", "scr.toml:1: [[user]] needs the key name"),
        (
            "[[user]]\nname = 'a'",
            "scr.toml:1: user a needs either password_hash or password_file; scr user hash makes one",
        ),
        ("[storage]\n\nrecycle = 'x", 'scr.toml:3: Expected "\'"; see https://toml.io'),
        ("[log]\nlevel = 'info'\nlevel = 'info'", "scr.toml:3: Cannot overwrite a value; see https://toml.io"),
        ("[log", "scr.toml:1: Expected ']' at the end of a table declaration; see https://toml.io"),
    ],
)
def test_a_mistake_is_named_with_its_line_its_key_and_its_cure(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaints(tmp_path, text) == [complaint]


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = complaints(tmp_path, "[storage]\ngrace = 1\n[log]\nx = 1\n[storage.y]", {"SCR_LOG__LEVEL": "loud"})

    assert [one.partition(" ")[0] for one in found] == [
        "SCR_LOG__LEVEL:",
        "scr.toml:2:",
        "scr.toml:4:",
        "scr.toml:5:",
    ]


def test_a_secret_that_is_wrong_is_not_repeated(tmp_path: Path) -> None:
    found = complaints(tmp_path, '[[user]]\nname = "a"\npassword_hash = "hunter2"')

    assert found == [
        "scr.toml:3: [[user]] password_hash: expected a hash that `scr user hash` printed ($argon2id$...)",
    ]


def test_a_password_file_that_holds_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    (tmp_path / "ci.hash").write_text("hunter2\n")

    (found,) = complaints(tmp_path, '[[user]]\nname = "a"\npassword_file = "ci.hash"')

    assert found.startswith("scr.toml:3: [[user]] password_file: expected a hash that `scr user hash` printed")
    assert "hunter2" not in found


def test_a_password_file_beside_the_configuration_gives_the_hash(tmp_path: Path) -> None:
    (tmp_path / "ci.hash").write_text(f"{HASH}\n")

    loaded = read(tmp_path, '[[user]]\nname = "ci"\npassword_file = "ci.hash"')

    assert loaded.config.user[0].password_hash == HASH
    assert loaded.files == (tmp_path / "scr.toml", tmp_path / "ci.hash")


def test_two_users_of_one_name_are_refused(tmp_path: Path) -> None:
    user = f'[[user]]\nname = "ci"\npassword_hash = "{HASH}"\n'

    assert complaints(tmp_path, user + user) == [
        "scr.toml:5: there is another user ci; give each a name of its own",
    ]


def test_options_win_over_variables_and_variables_over_the_file(tmp_path: Path) -> None:
    text = '[storage]\nrecycle = "1h"\ngrace = "1h"\n[server]\nlisten = ["127.0.0.1:1"]\n'
    environment = {
        "SCR_STORAGE__RECYCLE": "2h",
        "SCR_SERVER__LISTEN": "127.0.0.1:2, 127.0.0.1:3",
        "SCR_LIMITS__SPARSE_IMAGES": "true",
        "SCR_DEFAULTS__REPOSITORY__PULL_LIMIT__CRITICAL": "4",
        "SCR_DEBUG": "1",
        "SCR_SERVICE_PORT": "tcp://10.0.0.1:5000",
    }

    loaded = read(tmp_path, text, environment, Option(("server", "listen"), "--listen", ["127.0.0.1:4"]))

    assert [str(address) for address in loaded.config.server.listen] == ["127.0.0.1:4"]
    assert loaded.config.storage.recycle == 2 * HOUR
    assert loaded.config.limits.sparse_images is True
    assert loaded.config.defaults.repository.pull_limit.critical == 4
    origins = {one.key: one.origin for one in loaded.settings}
    assert origins["server.listen"] == Origin("option", "--listen")
    assert origins["storage.recycle"] == Origin("environment", "SCR_STORAGE__RECYCLE")
    assert origins["storage.grace"] == Origin("file", f"{tmp_path}/scr.toml:3")
    assert origins["log.level"] == Origin("default")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        (
            "SCR_STORAGE__RECYCEL",
            "1h",
            "SCR_STORAGE__RECYCEL is the variable of no setting; did you mean SCR_STORAGE__RECYCLE?",
        ),
        (
            "SCR_STORAGE__RECYCLE",
            "soon",
            (
                'SCR_STORAGE__RECYCLE: [storage] recycle: expected a length of time like "30s", "10m", "24h" or "400d",'
                ' got "soon"'
            ),
        ),
        (
            "SCR_LIMITS__SPARSE_IMAGES",
            "yes",
            'SCR_LIMITS__SPARSE_IMAGES: [limits] sparse_images: expected true or false, got "yes"',
        ),
        ("SCR_USER__NAME", "a", "SCR_USER__NAME: [[user]] cannot be set by a variable; write it in scr.toml"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str, complaint: str) -> None:
    assert complaints(tmp_path, "", {name: value}) == [complaint]


def test_a_certificate_without_its_key_and_a_missing_file_are_named(tmp_path: Path) -> None:
    found = complaints(tmp_path, '[server]\ntls_certificate = "server.crt"\n')

    assert found == [
        "scr.toml:2: [server] has tls_certificate and no tls_key; scr tls init makes both files",
        "scr.toml:2: [server] tls_certificate: server.crt cannot be read; scr tls init makes it",
    ]


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"[log]\n\xff")

    with pytest.raises(ConfigInvalid, match=r"none\.toml does not exist; write one with: scr init"):
        load(Sources(tmp_path / "none.toml"))
    with pytest.raises(ConfigInvalid, match=r"binary\.toml:2: the text is not UTF-8"):
        load(Sources(binary))
    with pytest.raises(ConfigInvalid, match="cannot be read: Is a directory"):
        load(Sources(tmp_path))


def test_no_secret_is_among_the_settings_that_are_shown(tmp_path: Path) -> None:
    loaded = read(tmp_path, f'[[user]]\nname = "ci"\npassword_hash = "{HASH}"\n')

    values = {one.key: one.value for one in loaded.settings}
    assert values["user[0].name"] == '"ci"'
    assert values["user[0].password_hash"] == '"(hidden)"'
