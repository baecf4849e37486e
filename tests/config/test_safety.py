"""Zero configuration is safe: what other machines reach needs TLS and authentication."""

import re
from pathlib import Path

import pytest

from appliance.config import Config, Option, Sources, load
from appliance.errors import ConfigInvalid

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21l$" + "A" * 43
EVERYWHERE = Option(("server", "listen"), "--listen", [":5000"])


def refusal(path: Path) -> str:
    """Return why scr would not listen everywhere with the file `path`."""
    with pytest.raises(ConfigInvalid) as caught:
        load(Sources(path, {}, (EVERYWHERE,)))
    return caught.value.message


def lines_of(message: str) -> str:
    """Return the lines of scr.toml that a refusal proposes, without its last resort."""
    return "\n\n".join(re.findall(r"(?m)^\[.*(?:\n.+)*", message.partition("If every machine")[0]))


def test_the_lines_of_the_refusal_cure_it(tmp_path: Path) -> None:
    path = tmp_path / "scr.toml"
    path.write_text("")

    message = refusal(path)

    assert ":5000 is reached by other machines" in message
    assert "would be served without TLS" in message
    path.write_text(lines_of(message))
    (tmp_path / "data" / "tls").mkdir(parents=True)
    (tmp_path / "data" / "tls" / "server.crt").write_text("")
    (tmp_path / "data" / "tls" / "server.key").write_text("")
    assert load(Sources(path, {}, (EVERYWHERE,))).config.is_exposed


def test_the_last_resort_of_the_refusal_works(tmp_path: Path) -> None:
    path = tmp_path / "scr.toml"
    path.write_text("")

    path.write_text(refusal(path).partition("may do so:\n\n")[2])

    assert load(Sources(path, {}, (EVERYWHERE,))).config.server.allow_insecure


def certified(folder: Path, rest: str) -> Path:
    """Return a scr.toml with a certificate and `rest` in its `[server]`."""
    for name in ("c.pem", "k.pem"):
        (folder / name).write_text("")
    path = folder / "scr.toml"
    path.write_text(f'[server]\ntls_certificate = "c.pem"\ntls_key = "k.pem"\n{rest}')
    return path


@pytest.mark.parametrize("rest", ["", 'trusted_proxies = ["10.0.0.0/8"]\n', "allow_insecure = true\n"])
def test_where_other_machines_are_served_nobody_is_let_in_without_asking(tmp_path: Path, rest: str) -> None:
    config = load(Sources(certified(tmp_path, rest), {}, (EVERYWHERE,))).config

    assert config.is_exposed
    assert not config.is_open


def test_plain_http_beside_tls_is_refused_too(tmp_path: Path) -> None:
    message = refusal(certified(tmp_path, f'allow_plain = true\n[[user]]\nname = "a"\npassword_hash = "{HASH}"\n'))

    assert "with plain HTTP beside TLS" in message
    assert "Take allow_plain out of scr.toml" in message


def test_a_listener_table_is_judged_like_any_other_address(tmp_path: Path) -> None:
    path = tmp_path / "scr.toml"
    path.write_text('[[listener]]\naddress = "[::]:5001"\n')

    with pytest.raises(ConfigInvalid, match=r"\[::\]:5001 is reached by other machines"):
        load(Sources(path))


def test_nothing_configured_is_not_refused() -> None:
    assert load(Sources()).config.listeners == Config().listeners
