"""Results of a scan in the forms of others, by the API and by `scr scan`; bills kept beside the image."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.cli.main import main
from tests.http.api.conftest import JSON, find
from tests.http.api.test_scans import IMAGE
from tests.make.client import Client
from tests.make.server import Server
from tests.scan.test_exports import CYCLONEDX, SARIF, Document, check_openvex, check_spdx

FORMS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "sarif": "application/sarif+json",
    "cyclonedx": "application/vnd.cyclonedx+json",
    "spdx": "application/spdx+json",
    "openvex": "application/openvex+json",
}


def check_nothing(read: Document) -> None:
    """Take any JSON."""
    assert read


_CHECKS: dict[str, Callable[[Document], None]] = {
    "sarif": SARIF,
    "cyclonedx": CYCLONEDX,
    "spdx": check_spdx,
    "openvex": check_openvex,
}
Capture = pytest.CaptureFixture[bytes]


@pytest.fixture
def address(admin: Client, server: Server) -> str:
    """Where the scan of an image is told, once it is there."""
    admin.push("pay/api", IMAGE, "1")
    assert main(["scan", "pay/api:1", "--data-dir", str(server.data)]) == 0
    return f"/api/v1/images/{find(admin, 'images', 'pay/api')}/manifests/{IMAGE.digest}/scan"


@pytest.mark.parametrize("form", FORMS)
def test_a_scan_is_told_in_every_form(admin: Client, address: str, form: str) -> None:
    reply = admin.get(f"{address}/export?form={form}").expect(200)

    assert reply.headers["content-type"] == FORMS[form]
    assert reply.headers["content-disposition"].startswith('attachment; filename="pay-api-')
    assert b"AKIAQWERTY" not in reply.body
    if form != "csv":
        _CHECKS.get(form, check_nothing)(json.loads(reply.body))


def test_the_name_in_a_bill_leads_to_the_image(admin: Client, address: str, server: Server) -> None:
    bill = json.loads(admin.get(f"{address}/export?form=cyclonedx").expect(200).body)

    assert bill["metadata"]["component"]["name"] == f"{server.address}/pay/api"
    assert [one["name"] for one in bill["components"]] == ["alpine", "musl"]


def test_a_bill_is_kept_once_beside_the_image(admin: Client, address: str) -> None:
    kept = [
        json.loads(admin.request("POST", f"{address}/sbom", b'{"form": "spdx"}', JSON).expect(201).body)
        for _ in range(2)
    ]

    listed = json.loads(admin.get(f"/v2/pay/api/referrers/{IMAGE.digest}").expect(200).body)["manifests"]
    assert kept[0] == kept[1]
    assert [(one["digest"], one["artifactType"]) for one in listed] == [(kept[0]["digest"], "application/spdx+json")]
    manifest = json.loads(admin.get(f"/v2/pay/api/manifests/{kept[0]['digest']}").expect(200).body)
    layer = manifest["layers"][0]["digest"]
    check_spdx(json.loads(admin.get(f"/v2/pay/api/blobs/{layer}").expect(200).body))


def test_who_may_not_push_keeps_no_bill_and_who_may_not_view_reads_none(
    viewer: Client, nobody: Client, address: str
) -> None:
    assert viewer.request("POST", f"{address}/sbom", b"{}", JSON).status == 403
    assert viewer.get(f"{address}/export?form=sarif").status == 200
    assert nobody.get(f"{address}/export").status == 404
    assert nobody.request("POST", f"{address}/sbom", b"{}", JSON).status == 404


def test_what_is_no_form_or_was_never_scanned_is_refused(admin: Client, address: str) -> None:
    assert admin.get(f"{address}/export?form=pdf").status == 400
    assert admin.get(f"{address.replace(IMAGE.digest, 'sha256:' + '0' * 64)}/export").status == 404
    assert admin.request("POST", f"{address}/sbom", b'{"form": "csv"}', JSON).status == 400


def test_scr_scan_prints_writes_and_attaches(
    address: str, server: Server, tmp_path: Path, capfdbinary: Capture
) -> None:
    del address
    folder = ("--data-dir", str(server.data))
    capfdbinary.readouterr()

    assert main(["scan", "pay/api:1", "--no-new", "--form", "sarif", *folder]) == 0
    SARIF(json.loads(capfdbinary.readouterr().out))
    written = tmp_path / "bill.json"
    words = ["--no-new", "--form", "spdx", "--output", str(written), "--attach", "cyclonedx"]
    assert main(["scan", "pay/api:1", *words, *folder]) == 0
    check_spdx(json.loads(written.read_bytes()))
    assert b"kept application/vnd.cyclonedx+json beside pay/api:1" in capfdbinary.readouterr().err
    assert main(["scan", "pay/api:1", "--no-new", "--form", "csv", "--output", str(tmp_path), *folder]) == 1


def test_a_folder_is_told_in_a_form_without_a_server(tmp_path: Path, capfdbinary: Capture) -> None:
    root = tmp_path / "root"
    for name, body in {"etc/os-release": b"ID=alpine\nVERSION_ID=3.10.2\n"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)
    folder = ("--data-dir", str(tmp_path / "data"))

    assert main(["scan", str(root), "--form", "cyclonedx", *folder]) == 0
    CYCLONEDX(json.loads(capfdbinary.readouterr().out))
    assert main(["scan", str(root), "--attach", "spdx", *folder]) == 1
