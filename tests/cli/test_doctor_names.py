"""`scr doctor` on the host names of registries: whether they resolve, and whether the certificate covers them."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.services.keys import hash_password
from tests.http.certificates import Authority
from tests.make.server import Server

PASSWORD = "s3cret"  # noqa: S105 - of a user that lives for this module
DOMAINS = '[endpoint.private]\ndomain = "corp.example"\n[endpoint.public]\ndomain = "public.example"\n'
Look = Callable[[Server], list[tuple[str, str, str]]]


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str]) -> Look:
    """Return state, detail and cure of what the doctor says of names."""

    def run(server: Server) -> list[tuple[str, str, str]]:
        capsys.readouterr()
        main(["doctor", "--json", "--data-dir", str(server.data)])
        found = json.loads(capsys.readouterr().out)
        return [(one["state"], one["detail"], one["cure"]) for one in found if one["name"] == "registry names"]

    return run


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Domains of which every name resolves to this machine, as with a wildcard in the DNS."""
    domains: set[str] = set()
    known = socket.getaddrinfo

    def resolve(host: object, *arguments: object, **named: object) -> object:
        is_ours = str(host).partition(".")[2] in domains
        return known("127.0.0.1" if is_ours else host, *arguments, **named)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return domains


def _config(chain: Path, key: Path, domains: str = DOMAINS) -> str:
    user = f'[[user]]\nname = "admin"\npassword_hash = "{hash_password(PASSWORD)}"\npolicies = ["ScrFullAccess"]\n'
    return f'[server]\ntls_certificate = "{chain}"\ntls_key = "{key}"\n{domains}{user}'


def test_without_a_domain_there_is_nothing_to_look_at(tmp_path: Path, look: Look) -> None:
    with Server(tmp_path) as server:
        found = look(server)

    assert [state for state, _, _ in found] == ["skipped"]


def test_names_that_do_not_resolve_or_are_not_covered_are_told_with_the_cure(
    tmp_path: Path, look: Look, resolving: set[str]
) -> None:
    authority = Authority(tmp_path).sign()  # for localhost only
    with Server(tmp_path / "scr", _config(authority.chain, authority.key)) as server:
        found = look(server)
        resolving.add("corp.example")
        later = look(server)

    assert [state for state, _, _ in found] == ["problem", "problem"]
    assert ".corp.example does not resolve here" in found[0][1]
    assert "let *.corp.example in your DNS point at scr" in found[0][2]
    assert "does not cover local-" in found[1][1]
    assert "make one that covers *.corp.example: scr tls init" in found[1][2]
    assert [detail for _, detail, _ in later] == [found[1][1]]


def test_names_below_a_wildcard_are_well(tmp_path: Path, look: Look, resolving: set[str]) -> None:
    resolving.add("corp.example")
    server = Server(tmp_path, DOMAINS)
    assert main(["tls", "init", "--config", str(server.config), "--data-dir", str(server.data)]) == 0
    server.config.write_text(_config(server.data / "tls" / "server.crt", server.data / "tls" / "server.key"))
    with server:
        found = look(server)

    assert [(state, detail) for state, detail, _ in found] == [
        ("ok", "1 name: resolving, and covered where there is TLS")
    ]
