"""Signing in with each client: the right password opens, a wrong one does not, and nobody pushes without one."""

from collections.abc import Iterator

import argon2
import pytest

from tests import make
from tests.clients.programs import Program

USER, PASSWORD = "ann", "a pass:word with ünusual letters"
LOGIN = ("login", "--username", USER, "--password-stdin")


@pytest.fixture(scope="module")
def server_config() -> str:
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return f'[[user]]\nname = "{USER}"\npassword_hash = "{cheap.hash(PASSWORD)}"\n'


@pytest.fixture(scope="module")
def signed_in(server: make.Server) -> Iterator[make.Client]:
    """A client that knows the password."""
    with server.client(user=USER, password=PASSWORD) as connected:
        yield connected


@pytest.fixture(scope="module")
def engines(
    docker: Program, podman: Program, buildah: Program, skopeo: Program, helm: Program, oras: Program
) -> dict[str, tuple[Program, tuple[str, ...]]]:
    """The programs that have a login command, with its words."""
    return {
        "docker": (docker, LOGIN),
        "podman": (podman, (*LOGIN, "--tls-verify=false")),
        "buildah": (buildah, (*LOGIN, "--tls-verify=false")),
        "skopeo": (skopeo, (*LOGIN, "--tls-verify=false")),
        "helm": (helm, ("registry", *LOGIN, "--plain-http")),
        "oras": (oras, (*LOGIN, "--plain-http")),
    }


@pytest.mark.parametrize("name", ["docker", "podman", "buildah", "skopeo", "helm", "oras"])
def test_the_right_password_opens_and_a_wrong_one_does_not(
    engines: dict[str, tuple[Program, tuple[str, ...]]], server: make.Server, name: str
) -> None:
    program, login = engines[name]

    wrong = program.refused(*login, server.address, stdin=b"not the password")
    program.run(*login, server.address, stdin=PASSWORD.encode())

    assert "401" in wrong or "unauthorized" in wrong.lower() or "invalid username/password" in wrong


def test_docker_pushes_and_pulls_only_after_signing_in(
    docker: Program, server: make.Server, signed_in: make.Client
) -> None:
    manifest = make.docker_image()
    signed_in.push("login/docker", manifest, "v1")
    remote = f"{server.address}/login/docker:v1"
    docker.run("login", "--username", USER, "--password-stdin", server.address, stdin=PASSWORD.encode())

    docker.run("pull", remote)
    docker.run("tag", remote, f"{server.address}/login/pushed:v1")
    docker.run("push", f"{server.address}/login/pushed:v1")
    docker.run("logout", server.address)
    complaint = docker.refused("push", f"{server.address}/login/pushed:v1")

    assert "denied" in complaint or "unauthorized" in complaint or "no basic auth credentials" in complaint
    assert signed_in.get_manifest("login/pushed", "v1").status == 200


def test_crane_and_regctl_send_what_they_were_given(
    crane: Program, regctl: Program, server: make.Server, signed_in: make.Client
) -> None:
    manifest = make.image()
    signed_in.push("login/from", manifest, "v1")
    here = f"{server.address}/login/from:v1"

    refused = [crane.refused("digest", here), regctl.refused("image", "digest", here)]
    crane.run("auth", "login", server.address, "--username", USER, "--password-stdin", stdin=PASSWORD.encode())
    crane.run("copy", here, f"{server.address}/login/crane:v1")
    regctl.run("registry", "login", server.address, "--user", USER, "--pass-stdin", stdin=PASSWORD.encode())
    regctl.run("image", "copy", here, f"{server.address}/login/regctl:v1")

    assert all("401" in text or "unauthorized" in text.lower() for text in refused)
    for name in ("login/crane", "login/regctl"):
        signed_in.assert_holds(name, "v1", manifest)


def test_without_credentials_nothing_is_told(client: make.Client) -> None:
    ping = client.get("/v2/")
    push = client.request("POST", "/v2/login/anonymous/blobs/uploads/", b"")
    pull = client.get_manifest("login/anonymous", "v1")

    assert [reply.status for reply in (ping, push, pull)] == [401, 401, 401]
    assert all("www-authenticate" in reply.headers for reply in (ping, push, pull))
    assert ping.codes == ["UNAUTHORIZED"]
