"""Round trips with helm: hand-made charts, the archive back byte for byte."""

import json
from pathlib import Path

from tests import make
from tests.clients.compare import read_twice
from tests.clients.programs import Program
from tests.make.chart import HELM_CHART, HELM_CONFIG, archive

PROVENANCE = "application/vnd.cncf.helm.chart.provenance.v1.prov"


def test_a_chart_comes_back_byte_for_byte(
    helm: Program, skopeo: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    packed = archive("greeting", "1.0.0")
    (tmp_path / "greeting-1.0.0.tgz").write_bytes(packed)
    charts = f"oci://{server.address}/charts"

    helm.run("push", "--plain-http", tmp_path / "greeting-1.0.0.tgz", charts)
    (tmp_path / "out").mkdir()
    helm.run("pull", "--plain-http", f"{charts}/greeting", "--version=1.0.0", "--destination", tmp_path / "out")

    assert (tmp_path / "out" / "greeting-1.0.0.tgz").read_bytes() == packed
    assert read_twice(client, skopeo, "charts/greeting", "1.0.0", tmp_path / "read").layers[0]
    content = json.loads(client.get_manifest("charts/greeting", "1.0.0").body)
    assert content["config"]["mediaType"] == HELM_CONFIG
    assert [(layer["mediaType"], layer["digest"]) for layer in content["layers"]] == [
        (HELM_CHART, make.Blob(packed).digest)
    ]


def test_a_chart_is_rendered_from_the_registry(helm: Program, server: make.Server, client: make.Client) -> None:
    client.push("charts/rendered", make.chart("rendered", "0.1.0"), "0.1.0")
    chart = f"oci://{server.address}/charts/rendered"

    shown = helm.run("show", "values", "--plain-http", chart, "--version=0.1.0")
    rendered = helm.run("template", "here", chart, "--plain-http", "--version=0.1.0", "--set=greeting=hi")

    assert shown.strip() == "greeting: hello"
    assert 'greeting: "hi"' in rendered
    assert "name: here-greeting" in rendered


def test_a_version_range_is_resolved_from_the_tags(helm: Program, server: make.Server, client: make.Client) -> None:
    for version in ("1.2.0", "1.10.0", "2.0.0"):
        client.push("charts/ranged", make.chart("ranged", version), version)

    shown = helm.run("show", "chart", "--plain-http", f"oci://{server.address}/charts/ranged", "--version=^1.2")

    assert "version: 1.10.0" in shown


def test_a_version_with_build_metadata_gets_a_tag_with_an_underscore(
    helm: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    path = tmp_path / "built-1.0.0+7.tgz"
    path.write_bytes(archive("built", "1.0.0+7"))
    charts = f"oci://{server.address}/charts"

    helm.run("push", "--plain-http", path, charts)
    helm.run("pull", "--plain-http", f"{charts}/built", "--version=1.0.0+7", "--destination", tmp_path)

    assert client.list_tags("charts/built") == ["1.0.0_7"]


def test_a_provenance_file_travels_with_its_chart(
    helm: Program, server: make.Server, client: make.Client, tmp_path: Path
) -> None:
    path = tmp_path / "signed-1.0.0.tgz"
    path.write_bytes(archive("signed", "1.0.0"))
    path.with_name(path.name + ".prov").write_bytes(b"-----BEGIN PGP SIGNED MESSAGE-----\n")
    charts = f"oci://{server.address}/charts"

    helm.run("push", "--plain-http", path, charts)
    (tmp_path / "out").mkdir()
    helm.run("pull", "--plain-http", "--prov", f"{charts}/signed", "--version=1.0.0", "--destination", tmp_path / "out")

    content = json.loads(client.get_manifest("charts/signed", "1.0.0").body)
    assert PROVENANCE in [layer["mediaType"] for layer in content["layers"]]
    assert (tmp_path / "out" / (path.name + ".prov")).read_bytes() == b"-----BEGIN PGP SIGNED MESSAGE-----\n"
