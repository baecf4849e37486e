"""Commands that pull: for each program, by tag and by digest, with TLS and without."""

from appliance.domain.manifest import Kind
from appliance.domain.names import Digest, Tag, parse_image_path
from appliance.domain.pull_commands import list_commands

PATH, DIGEST = parse_image_path("pay/api"), Digest("sha256:" + "0" * 64)


def commands(url: str, reference: Tag | Digest, kind: Kind) -> dict[str, str]:
    return {one.tool: one.command for one in list_commands(url, PATH, reference, kind)}


def test_an_image_is_pulled_by_docker_podman_oras_and_kubernetes() -> None:
    assert commands("https://registry.example.com", Tag("1"), Kind.IMAGE) == {
        "docker": "docker pull registry.example.com/pay/api:1",
        "podman": "podman pull registry.example.com/pay/api:1",
        "kubernetes": "image: registry.example.com/pay/api:1",
        "oras": "oras pull registry.example.com/pay/api:1",
    }


def test_by_digest_and_without_tls_each_is_told_so() -> None:
    full = f"127.0.0.1:5000/pay/api@{DIGEST}"

    assert commands("http://127.0.0.1:5000", DIGEST, Kind.INDEX) == {
        "docker": f"docker pull {full}",
        "podman": f"podman pull --tls-verify=false {full}",
        "kubernetes": f"image: {full}",
        "oras": f"oras pull --plain-http {full}",
    }


def test_a_chart_is_pulled_by_helm_and_oras() -> None:
    assert commands("https://registry.example.com", Tag("1.0.0"), Kind.CHART) == {
        "helm": "helm pull oci://registry.example.com/pay/api --version 1.0.0",
        "oras": "oras pull registry.example.com/pay/api:1.0.0",
    }
    assert commands("http://h:1", DIGEST, Kind.CHART)["helm"] == f"helm pull oci://h:1/pay/api@{DIGEST} --plain-http"


def test_anything_else_is_pulled_by_oras() -> None:
    assert list(commands("https://h", Tag("1"), Kind.SBOM)) == ["oras"]
