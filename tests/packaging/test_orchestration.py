"""The Kubernetes manifest and the compose file: valid, shut in, and with settings that scr takes."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance import __version__
from appliance.config import Sources, load
from tests import make

KUBERNETES, COMPOSE = Path("packaging/kubernetes/scr.yaml"), Path("packaging/compose/compose.yaml")
MOUNTED = ("/etc/scr-tls", "/etc/scr-users", "/var/lib/scr")


def documents() -> dict[str, Any]:
    """Return the documents of the manifest by their kind."""
    parts = KUBERNETES.read_text().split("\n---\n")
    found = {one["kind"]: one for one in map(msgspec.yaml.decode, parts)}
    assert len(found) == len(parts)
    return found


def pod() -> Any:  # noqa: ANN401 - YAML
    """Return the pod that the manifest makes."""
    return documents()["StatefulSet"]["spec"]["template"]["spec"]


def settings(text: str, folder: Path) -> list[str]:
    """Return the keys that a scr.toml sets, read as scr reads them."""
    path = folder / "scr.toml"
    path.write_text(text)
    return [one.key for one in load(Sources(path), is_served=False).settings if one.origin.kind == "file"]


def test_the_pod_is_nobody_and_can_write_nothing_but_its_data() -> None:
    container = pod()["containers"][0]

    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod()["automountServiceAccountToken"] is False


def test_what_the_pod_mounts_is_there_and_what_it_selects_is_itself() -> None:
    names = {one["name"] for one in pod()["volumes"]}
    names |= {one["metadata"]["name"] for one in documents()["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    labels = documents()["StatefulSet"]["spec"]["template"]["metadata"]["labels"]

    assert {one["name"] for one in pod()["containers"][0]["volumeMounts"]} == names
    assert documents()["Service"]["spec"]["selector"].items() <= labels.items()
    assert documents()["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    assert documents()["StatefulSet"]["spec"]["replicas"] == 1  # one process owns the data


def test_the_probes_ask_what_scr_answers(client: make.Client) -> None:
    container = pod()["containers"][0]
    asked = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}

    assert {path: client.get(path).status for path in asked} == {"/health/live": 200, "/health/ready": 200}
    assert pod()["terminationGracePeriodSeconds"] > 30  # [server] shutdown_grace


def test_kubernetes_gives_settings_that_scr_takes(tmp_path: Path) -> None:
    keys = settings(documents()["ConfigMap"]["data"]["scr.toml"], tmp_path)

    assert {"server.tls_certificate", "storage.data_dir", "user[0].name"} <= set(keys)


def test_compose_is_shut_in_as_well(tmp_path: Path) -> None:
    service = msgspec.yaml.decode(COMPOSE.read_text())["services"]["scr"]

    assert (service["read_only"], service["user"], service["cap_drop"]) == (True, "65532:65532", ["ALL"])
    assert {volume.split(":")[1] for volume in service["volumes"]} >= {"/var/lib/scr", "/etc/scr/scr.toml"}
    assert "server.tls_certificate" in settings((COMPOSE.parent / "scr.toml").read_text(), tmp_path)


@pytest.mark.parametrize("text", [KUBERNETES.read_text(), COMPOSE.read_text()])
def test_both_run_this_version(text: str) -> None:
    assert f"scr:{__version__}" in text
