"""Where clients are sent for tokens: public_url, the listener, what a trusted proxy says, and nobody else's word."""

from collections.abc import Iterator

import pytest

from appliance.domain.names import RegistryName
from appliance.domain.registry import RegistrySettings
from tests.http.houses import furnish
from tests.make.accounts import Key, Member, ask_token, bearer, make_accounts
from tests.make.client import Client
from tests.make.server import Server

PAY = RegistrySettings(RegistryName("pay"))
PAY_HOST = "pay-pay1.corp.example"


def start(factory: pytest.TempPathFactory, config: str, keys: dict[str, Key]) -> Server:
    running = Server(factory.mktemp("server"), config)
    furnish(running, PAY)
    keys.update(make_accounts(running.data, [Member("ann", ["ScrFullAccess"])]))
    return running.start()


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    return {}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Key]) -> Iterator[Server]:
    """A server without public_url that trusts a proxy on this machine."""
    server = '[server]\nnames = ["own.example"]\ntrusted_proxies = ["127.0.0.1"]\n'
    config = f'{server}[endpoint.private]\ndomain = "corp.example"\n'
    running = start(tmp_path_factory, config, keys)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a public_url that trusts nobody."""
    config = '[server]\npublic_url = "https://registry.example.com"\n[endpoint.private]\ndomain = "corp.example"\n'
    running = start(tmp_path_factory, config, {})
    yield running
    running.stop()


def realm(server: Server, **headers: str) -> str:
    """Return scheme and host of the realm that a ping is sent to."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with server.client() as client:
        challenge = client.get("/v2/", sent).expect(401).headers["www-authenticate"]
    return challenge.partition('realm="')[2].partition("/token")[0]


def test_it_is_the_host_that_the_client_called(plain: Server) -> None:
    assert realm(plain) == plain.url
    assert realm(plain, Host="own.example") == "http://own.example"
    assert realm(plain, Host=f"OWN.example:{plain.address.partition(':')[2]}").startswith("http://own.example:")
    assert realm(plain, Host=PAY_HOST) == f"http://{PAY_HOST}"


@pytest.mark.parametrize("host", ["evil.example", "own.example.evil.example", "pay-pay2.corp.example", "own.example/x"])
def test_a_host_that_means_no_registry_gets_no_realm(plain: Server, host: str) -> None:
    with plain.client() as client:
        reply = client.get("/v2/", {"Host": host}).expect(400, 421)

    assert "www-authenticate" not in reply.headers


def test_a_trusted_proxy_says_how_it_was_called(plain: Server) -> None:
    forwarded = {"X_Forwarded_For": "198.51.100.7", "X_Forwarded_Proto": "https"}

    assert realm(plain, Host="own.example", **forwarded) == "https://own.example"
    assert realm(plain, Host="own.example", X_Forwarded_Host="hub.example, own.example", **forwarded) == (
        "https://hub.example"
    )
    assert realm(plain, Host="own.example", X_Forwarded_Host='x" evil="', **forwarded) == "https://own.example"
    assert realm(plain, Host="own.example", X_Forwarded_Proto="gopher") == "http://own.example"


def test_nobody_else_is_believed(named: Server) -> None:
    assert realm(named, X_Forwarded_Host="evil.example", X_Forwarded_Proto="http") == "https://registry.example.com"
    assert (
        realm(named, Host=PAY_HOST, X_Forwarded_Host="evil.example", X_Forwarded_Proto="https") == f"http://{PAY_HOST}"
    )


def test_public_url_is_the_default_registrys(named: Server) -> None:
    assert realm(named) == "https://registry.example.com"
    assert realm(named, Host="registry.example.com") == "https://registry.example.com"
    assert realm(named, Host=PAY_HOST) == f"http://{PAY_HOST}"


def test_a_token_of_one_registry_opens_no_other_whatever_the_host_says(plain: Server, keys: dict[str, Key]) -> None:
    key = keys["ann"]
    with (
        plain.client(user=key.access_key, password=key.secret_key) as local,
        Client(plain.url, user=key.access_key, password=key.secret_key, headers={"Host": PAY_HOST}) as pay,
    ):
        tokens = {
            "": ask_token(local, "repository:a/b:pull").token,
            PAY_HOST: ask_token(pay, "repository:a/b:pull").token,
        }
    with plain.client() as client:
        for issued, token in tokens.items():
            for host in ("", PAY_HOST):
                headers = {**bearer(token), **({"Host": host} if host else {})}
                reply = client.get("/v2/a/b/manifests/1", headers)
                assert reply.status == (404 if host == issued else 401)
                assert host == issued or 'error="invalid_token"' in reply.headers["www-authenticate"]
