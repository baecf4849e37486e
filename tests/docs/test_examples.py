"""Every example in README and docs works as it stands there."""

import json
from collections.abc import Iterator
from pathlib import Path

import argon2
import msgspec
import pytest

from appliance.cli.main import main
from appliance.config import Sources, load
from tests import make
from tests.clients.programs import Program
from tests.docs.pages import LANGUAGES, Example, list_examples
from tests.docs.shell import PASSWORD, Shell, programs_of

CLIENTS = ("docker", "podman", "buildah", "skopeo", "helm", "oras", "crane", "regctl")

# how an example begins that cannot run in a test, and why
NOT_RUN = {
    "litestream": "it runs for ever, or needs what it has written; tests/stores runs it through a disaster",
    "scr storage check": "it asks a bucket; tests/stores does",
    "scr storage rekey": "it needs encryption; tests/stores encrypts",
    "scr storage litestream": "it needs a bucket; tests/stores has one",
    "scr user create ann": "from then on everybody would have to sign in; tests/cli makes users and keys",
    "scr key create": "the same",
    "scr rebuild": "it works on a folder that nobody serves; tests/services and tests/cli run it",
    "scr restore": "the same; tests/cli runs it",
    "scr vulndb fetch": "it needs a source in scr.toml; tests/cli fetches from one",
    "sudo scr trust": "it writes into the host's /etc; tests/cli writes the same files below a folder",
    "sudo ctr": "it asks a containerd of the host's; tests/cli compares the file that containerd reads",
    "sudo ./scr install": "it makes a user and a unit of the host's; tests/cli installs below a folder",
    "sudo systemctl": "it asks the host's systemd",
    "kubectl": "it asks a cluster",
    "docker login registry": "docker's daemon learns authorities from the host's /etc only; tests/clients signs in",
    "kill -HUP": "it names a process of the host's; tests/assemble sends the signal",
}


def list_run() -> list[Example]:
    """Return the examples for a shell that a test can run."""
    return [one for one in list_examples("sh") if not one.text.startswith(tuple(NOT_RUN))]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[make.Server]:
    """A server with TLS and a user."""
    folder = tmp_path_factory.mktemp("secure")
    assert main(["tls", "init", "--data-dir", str(folder)]) == 0
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    tls = f'[server]\ntls_certificate = "{folder}/tls/server.crt"\ntls_key = "{folder}/tls/server.key"\n'
    user = f'[[user]]\nname = "ann"\npassword_hash = "{cheap.hash(PASSWORD)}"\npolicies = ["ScrFullAccess"]\n'
    with make.Server(folder, tls + user) as running:
        yield running


@pytest.fixture(scope="module")
def shell(server: make.Server, secure: make.Server, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell; pay/api has two tags to look at, to carry away and to delete."""
    with server.client() as client:
        for tag in ("1", "2"):
            client.push("pay/api", make.image([{"app": tag.encode()}]), tag)
        client.push("old/app", make.image([{"app": b"old"}]), "1")
        for tag in ("1", "2"):
            client.push("shop/web", make.image([{"web": tag.encode()}]), tag, "latest")
    return Shell(tmp_path_factory.mktemp("reader"), server, secure)


@pytest.mark.parametrize("example", list_run(), ids=str)
def test_it_runs(example: Example, shell: Shell, request: pytest.FixtureRequest, rootfs: Path) -> None:
    for name in programs_of(example, CLIENTS):
        if not shell.knows(name):
            program: Program = request.getfixturevalue(name)
            shell.add(name, program)
            if name in ("docker", "podman"):
                program.run("import", rootfs, "busybox:latest")

    shell.run(example)


@pytest.mark.parametrize("example", list_examples("toml"), ids=str)
def test_it_is_a_configuration(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "scr.toml"
    path.write_text(example.text)

    loaded = load(Sources(path), is_served=False)

    assert any(one.origin.kind == "file" for one in loaded.settings)


@pytest.mark.parametrize("example", list_examples("json"), ids=str)
def test_it_is_json(example: Example) -> None:
    assert json.loads(example.text)


@pytest.mark.parametrize("example", list_examples("yaml"), ids=str)
def test_it_is_yaml(example: Example) -> None:
    assert msgspec.yaml.decode(example.text)


def test_each_is_of_a_known_language() -> None:
    assert [str(one) for one in list_examples() if one.language not in LANGUAGES] == []


def test_each_exception_is_needed() -> None:
    texts = [one.text for one in list_examples("sh")]

    assert [start for start in NOT_RUN if not any(text.startswith(start) for text in texts)] == []
