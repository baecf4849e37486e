"""Who may do what with the vulnerability data over the management API."""

import msgspec
import pytest

from tests.http.api.conftest import JSON
from tests.make.client import Client

IMPORTS = "/api/v1/vulndb/imports"


def import_of(client: Client, **order: str) -> int:
    return client.request("POST", IMPORTS, msgspec.json.encode(order), JSON).status


def test_a_path_of_the_host_is_for_the_operator_only(admin: Client) -> None:
    reply = admin.request("POST", IMPORTS, b'{"path": "/etc/passwd"}', JSON).expect(403)

    assert "on the host only" in reply.body.decode()


def test_who_only_views_changes_nothing_and_sees_the_state(viewer: Client) -> None:
    viewer.get("/api/v1/vulndb").expect(200)
    viewer.get("/api/v1/vulndb/sources").expect(200)
    assert import_of(viewer, image="pay/api:1") == 403
    assert viewer.request("DELETE", "/api/v1/vulndb/sources/trivy").status == 403


def test_who_may_nothing_sees_nothing(nobody: Client) -> None:
    assert nobody.get("/api/v1/vulndb").status == 403
    assert nobody.get("/api/v1/vulndb/sources").status == 403
    assert nobody.get("/api/v1/vulndb/vulnerabilities/CVE-1").status == 403


@pytest.mark.parametrize(
    "order", [{}, {"image": "pay/api"}, {"image": "PAY:1"}, {"image": "pay/api@sha256:1"}, {"nonsense": "1"}]
)
def test_an_order_that_says_nothing_is_refused(admin: Client, order: dict[str, str]) -> None:
    assert import_of(admin, **order) == 400


def test_an_image_that_is_not_there_fails_as_a_job(admin: Client) -> None:
    assert import_of(admin, image="pay/nothing:1") == 202
