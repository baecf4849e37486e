"""Things to look at, and the address of each screen that shows them."""

import json
from urllib.parse import quote

import msgspec

from tests import make
from tests.make.client import Client
from tests.make.server import Server

EVIL = '"><svg onload=alert(1)>'


class Screen(msgspec.Struct, frozen=True):
    """One page: what its picture is called, and where it is."""

    name: str
    address: str


class _Item(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    items: list[_Item]


def furnish(server: Server) -> list[Screen]:
    """Push images of each sort, hostile ones too, and return the screens that show them."""
    children = [make.image([{"app": b"1"}], platform=name) for name in ("linux/amd64", "linux/arm64/v8")]
    index, chart = make.index(children), make.chart()
    notes = {EVIL: EVIL, "org.opencontainers.image.url": "javascript:alert(1)"}
    images = [make.image([{"n": b"%d" % n}], command=[EVIL], annotations=notes) for n in range(6)]
    with server.client() as client:
        for number, pushed in enumerate(images):
            client.push("pay/api", pushed, f"1.{number}")
        client.push("pay/api", index, "multi", "latest")
        sbom = make.artifact("application/spdx+json", b"{}", subject=index)
        client.push("pay/api", sbom)
        client.push("pay/api", make.artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"s", subject=sbom))
        client.push("charts/greeting", chart, "1.0.0")
        client.get_manifest("pay/api", "1.1")
        of_api, of_chart = (_id(client, "images", path) for path in ("pay/api", "charts/greeting"))
        repository, registry = _id(client, "repositories", "pay"), _id(client, "registries", "local")
        words = {"description": EVIL, "resourceTags": {"team": EVIL}}
        change(client, f"/api/v1/repositories/{repository}", {**words, "policy": {"pullLimit": {"refuseHigh": True}}})
        change(client, f"/api/v1/images/{of_api}", {**words, "policy": {"tagDeletion": {"enabled": True, "old": True}}})
        change(client, f"/api/v1/images/{of_api}/tags/1.0", {"locked": True})
    tested = "test=on&count=on&keep_newest=2&untagged_days=30&old_days=365&keep_pulled_days=30&simulate=on"
    image = f"/images/{of_api}"
    return [
        Screen("home", "/"),
        Screen("registries", "/registries"),
        Screen("registry", f"/registries/{registry}"),
        Screen("registry-new", "/registries/new"),
        Screen("repositories", "/repositories?registry=local"),
        Screen("repositories-none", "/repositories?registry=local&name=nothing"),
        Screen("repository-new", "/repositories/new"),
        Screen("repository", f"/repositories/{repository}"),
        Screen("repository-tags", f"/repositories/{repository}/tags"),
        Screen("repository-activity", f"/repositories/{repository}/activity"),
        Screen("repository-delete", f"/repositories/{repository}/delete"),
        Screen("images", "/images?registry=local&repository=pay"),
        Screen("images-all", "/images?registry=*"),
        Screen("image", image),
        Screen("image-activity", f"{image}/activity"),
        Screen("image-delete", f"{image}/delete"),
        Screen("tags", f"{image}/tags"),
        Screen("tags-all", f"{image}/tags?show=all"),
        Screen("tags-delete", f"{image}/delete-tags?digest={quote(images[0].digest)}"),
        Screen("tag-history", f"{image}/tag/latest"),
        Screen("tag-names", f"{image}/manifests/{index.digest}/tags"),
        Screen("tag-guide", f"{image}/manifests/{index.digest}/guide"),
        Screen("manifest-index", f"{image}/manifests/{index.digest}?tag=multi"),
        Screen("manifest-image", f"{image}/manifests/{images[1].digest}?tag=1.1"),
        Screen("manifest-chart", f"/images/{of_chart}/manifests/{chart.digest}"),
        Screen("deletion-test", f"{image}/deletion-test?{tested}"),
    ]


def change(client: Client, path: str, body: dict[str, object]) -> None:
    """Change a resource over the management API."""
    client.request("PATCH", path, json.dumps(body).encode(), {"Content-Type": "application/json"}).expect(200)


def _id(client: Client, kind: str, path: str) -> str:
    return client.get(f"/api/v1/{kind}?path={path}").expect(200).decode(_List).items[0].id
