"""Things to look at, and the address of each screen that shows them."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import msgspec

from appliance.cli.main import main
from tests import make
from tests.http.ui.asking import until
from tests.make.client import Client
from tests.make.images import Manifest
from tests.make.layers import Entry
from tests.make.server import Server
from tests.make.shelf import write_shelf
from tests.scan.expected import FIXTURES
from tests.scan.test_vex import document, statement
from tests.services.scanned import image_of

EVIL = '"><svg onload=alert(1)>'
_TURNED = "abc\u202egnp.exe\u200b\x1b[31m"
_DEEP = "/".join("d" * 200 for _ in range(20))  # with a name below it as long as a path may be


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
        client.push("pay/old", images[0], "1")
        client.request("DELETE", f"/api/v1/images/{_id(client, 'images', 'pay/old')}").expect(204)
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
        Screen("deletions", "/deletions?path=pay"),
        Screen("deletion-test", f"{image}/deletion-test?{tested}"),
    ]


def furnish_scans(server: Server) -> list[Screen]:
    """Push an image that has findings and secrets, with data to match it with; return the screens of its scan."""
    with TemporaryDirectory() as folder:
        assert main(["vulndb", "import", str(write_shelf(Path(folder))), "--data-dir", str(server.data)]) == 0
    image = image_of(FIXTURES / "recon/oci/debian-buster.tar.gz")
    secret = make.image([{"srv/.env": b"aws = AKIA" + b"QWERTYUIOPASDFGH" + b"\n", "srv/clean.txt": b"nothing here\n"}])
    index, hostile = make.index([secret]), _hostile_image()
    with server.client() as client:
        client.push("scanned/debian", image, "10")
        client.push("scanned/hostile", hostile, "1")
        client.push("scanned/app", index, "1")
        of_debian, of_app, of_evil = (_id(client, "images", f"scanned/{name}") for name in ("debian", "app", "hostile"))
        debian = f"/images/{of_debian}/manifests/{image.digest}/scan"
        app = f"/images/{of_app}/manifests/{secret.digest}/scan"
        evil = f"/images/{of_evil}/manifests/{hostile.digest}"
        scans = (debian, app, f"{evil}/scan")
        assert until(lambda: all(b'"readAt":null' not in client.get(f"/api/v1{one}").body for one in scans))
        change(client, f"/api/v1/images/{of_debian}", {"policy": {"pullLimit": {"refuseCritical": True}}})
        accepted = {"vulnerability": "CVE-2099-00068", "reason": EVIL, "image": of_debian}
        body = json.dumps(accepted).encode()
        client.request("POST", "/api/v1/accepted-findings", body, {"Content-Type": "application/json"}).expect(201)
        text = document(statement(), author=EVIL, **{"@id": EVIL}).decode()
        body = json.dumps({"document": text, "image": of_debian}).encode()
        address = "/api/v1/accepted-findings/documents"
        client.request("POST", address, body, {"Content-Type": "application/json"}).expect(201)
    return [
        Screen("scan-vulnerabilities", f"{debian}?tag=10"),
        Screen("scan-accepted", f"{debian}?counted=false"),
        Screen("scan-packages", f"{debian}/packages?affected=true"),
        Screen("scan-secrets", f"{app}/secrets"),
        Screen("scan-secrets-clean", f"{app}/secrets?clean=true"),
        Screen("scan-index", f"/images/{of_app}/manifests/{index.digest}/scan"),
        Screen("scan-accept", f"{debian}/accept?id=CVE-2099-00069&package=apt"),
        Screen("scan-tags", f"/images/{of_debian}/tags"),
        Screen("accepted-findings", "/accepted-findings"),
        Screen("vex-documents", "/accepted-findings/documents"),
        Screen("vulnerability-data", "/vulnerability-data"),
        Screen("scan-files", f"{app.removesuffix('/scan')}/files"),
        Screen("scan-files-layer", f"{app.removesuffix('/scan')}/files?folder=srv&layer={secret.blobs[1].digest}"),
        Screen("scan-file", f"{app.removesuffix('/scan')}/files/view?path=srv/clean.txt"),
        Screen("scan-compare", f"{app.removesuffix('/scan')}/compare?image=scanned/debian&with={image.digest}"),
        Screen("hostile-packages", f"{evil}/scan/packages"),
        Screen("hostile-secrets", f"{evil}/scan/secrets"),
        Screen("hostile-files", f"{evil}/files?folder=srv"),
        Screen("hostile-folder", f"{evil}/files?folder={_DEEP}"),
        Screen("hostile-file", f"{evil}/files/view?path={_DEEP}/f"),
        Screen("hostile-compare", f"{evil}/compare?image=scanned/debian&with={image.digest}"),
        Screen("hostile-search", "/search/contents?what=files&q=/srv/*"),
        Screen("search-packages", "/search/contents?q=apt*"),
        Screen("search-vulnerabilities", "/search/contents?what=vulnerabilities&q=CVE-2099-0006*"),
        Screen("search-files", "/search/contents?what=files&q=.env"),
    ]


def _hostile_image() -> Manifest:
    """Return an image whose names hide, turn the text round, are markup, or are longer than anybody reads."""
    apk = f"P:{EVIL}\nV:1\x1b[31m\nL:{'MIT ' * 200}\n\nP:{'n' * 300}\nV:{'1.' * 400}1\n\nP:{_TURNED}\nV:1\n\n"
    files: dict[str, bytes | Entry] = {
        "etc/os-release": f'ID=alpine\nVERSION_ID=3.10.2\nPRETTY_NAME="{_TURNED}"\n'.encode(),
        "lib/apk/db/installed": apk.encode(),
        f"{_DEEP}/f": b"1",
        f"srv/{_TURNED}.env": b"aws = AKIA" + b"QWERTYUIOPASDFGH" + b"\n",
    }
    files |= {f"srv/{name}": b"1" for name in (EVIL, "w" * 250, "line\nbreak")}
    run = {"Env": [f"MODE={_TURNED}", "LONG=" + "x" * 3000], "Labels": {EVIL: EVIL, "w" * 200: _TURNED}}
    return make.configured(make.image([files]), run, ["RUN one && \\\n  two", "x" * 2000])


def change(client: Client, path: str, body: dict[str, object]) -> None:
    """Change a resource over the management API."""
    client.request("PATCH", path, json.dumps(body).encode(), {"Content-Type": "application/json"}).expect(200)


def _id(client: Client, kind: str, path: str) -> str:
    return client.get(f"/api/v1/{kind}?path={path}").expect(200).decode(_List).items[0].id
