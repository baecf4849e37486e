"""The files of an image and its layers, and two images side by side, by the API."""

import json
import tarfile
import time
from typing import Any

import pytest

from tests import make
from tests.http.api.conftest import find, problem
from tests.make.client import Client
from tests.make.damage import break_blob
from tests.make.layers import Entry, folder, link
from tests.make.server import Server

RELEASE = b"ID=alpine\nVERSION_ID=3.10.2\n"
DEADLINE_S = 60.0  # far more than a scan takes


def apk(*packages: str) -> bytes:
    return b"".join(b"P:%b\nV:%b\nA:x86_64\n\n" % tuple(one.encode().split(b"=")) for one in packages)


BASE: dict[str, bytes | Entry] = {
    "etc": folder(),
    "etc/os-release": RELEASE,
    "lib/apk/db/installed": apk("musl=1.2.4-r0", "zlib=1.2-r0"),
    "srv/data": b"12345",
    "srv/old": b"123",
    "opt/tool/bin": b"1234567",
}
UPPER: dict[str, bytes | Entry] = {
    "lib/apk/db/installed": apk("musl=1.2.4-r0", "zlib=1.3-r0", "curl=8.0-r0"),
    "srv/.wh.old": b"",
    "opt/tool/.wh..wh..opq": b"",
    "opt/tool/other": b"1",
    "new": b"n",
}
FIRST, SECOND = make.image([BASE]), make.image([BASE, UPPER])


@pytest.fixture
def where(admin: Client) -> str:
    """Push both, and return the address of the image's manifests once both are scanned."""
    admin.push("tree/app", FIRST, "1")
    admin.push("tree/app", SECOND, "2")
    address = f"/api/v1/images/{find(admin, 'images', 'tree/app')}/manifests"
    begun = time.monotonic()
    for manifest in (FIRST, SECOND):
        while not json.loads(admin.get(f"{address}/{manifest.digest}/scan").expect(200).body)["matchedAt"]:
            assert time.monotonic() - begun < DEADLINE_S
    return address


def asked(client: Client, address: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(client.get(address).expect(200).body)


def listed(client: Client, address: str) -> dict[str, tuple[str, bool]]:
    return {one["path"]: (one["change"], one["isHidden"]) for one in asked(client, address)["items"]}


def test_the_whole_image_shows_what_a_container_would_see(admin: Client, where: str) -> None:
    files = f"{where}/{SECOND.digest}/scan/files"

    assert set(listed(admin, files)) == {"etc", "lib", "new", "opt", "srv"}
    assert listed(admin, f"{files}?folder=srv") == {"srv/data": ("added", False)}
    assert listed(admin, f"{files}?folder=/opt/tool/") == {"opt/tool/other": ("added", False)}
    assert listed(admin, f"{files}?folder=lib/apk/db") == {"lib/apk/db/installed": ("changed", False)}


def test_a_layer_shows_what_it_brought_and_removed_and_what_is_hidden_of_it(admin: Client, where: str) -> None:
    files = f"{where}/{SECOND.digest}/scan/files"
    lower, upper = (layer["digest"] for layer in json.loads(SECOND.body)["layers"])

    assert listed(admin, f"{files}?layer={lower}&folder=srv") == {
        "srv/data": ("added", False),
        "srv/old": ("added", True),
    }
    assert listed(admin, f"{files}?layer={lower}&folder=opt/tool") == {"opt/tool/bin": ("added", True)}
    assert listed(admin, f"{files}?layer={upper}&folder=srv") == {"srv/old": ("removed", False)}


def test_layers_tell_their_sizes_and_what_is_wasted(admin: Client, where: str) -> None:
    lower, upper = asked(admin, f"{where}/{SECOND.digest}/scan/layers")["items"]

    installed = BASE["lib/apk/db/installed"]
    assert isinstance(installed, bytes)
    assert lower["wasted"] == len(installed) + 3 + 7
    assert lower["files"] == 6
    assert upper["wasted"] == 0


def test_two_images_are_compared(admin: Client, where: str) -> None:
    found = asked(admin, f"{where}/{SECOND.digest}/scan/comparison/{FIRST.digest}")

    assert [(one["name"], one["before"], one["after"]) for one in found["packages"]["moved"]] == [
        ("zlib", "1.2-r0", "1.3-r0")
    ]
    assert [one["name"] for one in found["packages"]["new"]] == ["curl"]
    assert found["packages"]["gone"] == []
    assert [one["path"] for one in found["files"]["gone"]] == ["opt/tool/bin", "srv/old"] or [
        one["path"] for one in found["files"]["gone"]
    ] == ["srv/old", "opt/tool/bin"]
    assert {one["path"] for one in found["files"]["new"]} == {"new", "opt/tool/other"}
    assert [one["path"] for one in found["files"]["changed"]] == ["lib/apk/db/installed"]
    assert found["files"]["changedCount"] == 1
    assert found["sizeAfter"] > 0


def test_configs_are_compared_and_what_is_secret_in_them_is_hidden(admin: Client) -> None:
    old = make.configured(make.image([BASE]), {"User": "root", "Env": ["A=1", "DB_PASSWORD=one"]}, ["FROM x", "RUN y"])
    new = make.configured(make.image([BASE]), {"User": "app", "Env": ["A=1", "DB_PASSWORD=two"]}, ["FROM x", "RUN z"])
    for tag, image in (("1", old), ("2", new)):
        admin.push("tree/config", image, tag)
    address = f"/api/v1/images/{find(admin, 'images', 'tree/config')}/manifests"
    begun = time.monotonic()
    for image in (old, new):
        while not asked(admin, f"{address}/{image.digest}/scan")["readAt"]:
            assert time.monotonic() - begun < DEADLINE_S

    found = asked(admin, f"{address}/{new.digest}/scan/comparison/{old.digest}")["configs"]
    same = asked(admin, f"{address}/{new.digest}/scan/comparison/{new.digest}")["configs"]

    assert found == {
        "settings": [
            {"part": "user", "name": "", "before": "root", "after": "app"},
            {"part": "environment", "name": "DB_PASSWORD", "before": "****", "after": "****"},
            {"part": "step", "name": "2", "before": "RUN y", "after": None},
            {"part": "step", "name": "2", "before": None, "after": "RUN z"},
        ],
        "count": 4,
        "note": "",
    }
    assert same == {"settings": [], "count": 0, "note": ""}


def test_a_config_that_is_larger_than_what_is_opened_is_not_compared(admin: Client) -> None:
    large = make.configured(make.image([BASE]), {"Labels": {"x": "x" * (1 << 20)}})
    admin.push("tree/large", large, "1")
    address = f"/api/v1/images/{find(admin, 'images', 'tree/large')}/manifests/{large.digest}/scan"
    begun = time.monotonic()
    while not asked(admin, address)["readAt"]:
        assert time.monotonic() - begun < DEADLINE_S

    assert "larger than what is opened" in asked(admin, f"{address}/comparison/{large.digest}")["configs"]["note"]


def test_who_may_not_see_the_image_sees_no_file_of_it(nobody: Client, admin: Client, where: str) -> None:
    del admin

    for rest in ("files", "layers", f"comparison/{FIRST.digest}"):
        nobody.get(f"{where}/{SECOND.digest}/scan/{rest}").expect(404)


def hard_link(target: str) -> Entry:
    return Entry(kind=tarfile.LNKTYPE, target=target)


def test_a_file_of_the_image_and_of_a_layer_is_sent_as_an_attachment(admin: Client, where: str) -> None:
    layers = [blob.digest for blob in SECOND.blobs[1:3]]
    scan = f"{where}/{SECOND.digest}/scan"

    whole = admin.get(f"{scan}/file?path=/new").expect(200)
    below = admin.get(f"{scan}/file?path=srv/old&layer={layers[0]}").expect(200)
    begun = admin.get(f"{scan}/file?path=srv/data&most=2").expect(200)

    assert (whole.body, below.body, begun.body) == (b"n", b"123", b"12")
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-disposition"] == "attachment; filename*=UTF-8''new"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert begun.headers["x-scr-file-size"] == "5"


@pytest.mark.parametrize(
    ("asked", "status", "name"),
    [
        ("path=srv/old", 404, "entry-unknown"),  # removed by the upper layer
        ("path=srv/nothing", 404, "entry-unknown"),
        ("path=etc", 405, "unsupported"),
        ("path=etc&layer=sha256:" + "0" * 64, 404, "entry-unknown"),
        ("path=etc&layer=nonsense", 400, "digest-invalid"),
        ("path=", 400, "invalid"),
        ("path=a&most=0", 400, "invalid"),
    ],
)
def test_what_is_no_file_says_so(admin: Client, where: str, asked: str, status: int, name: str) -> None:
    reply = admin.get(f"{where}/{SECOND.digest}/scan/file?{asked}").expect(status)

    assert problem(reply.body).type.endswith(f":{name}")


def test_links_lead_to_what_they_name_in_their_layer(admin: Client) -> None:
    image = make.image(
        [{"a": b"12345", "b": hard_link("a"), "c": link("/a"), "lone": hard_link("nowhere")}, {"other": b"x"}]
    )
    admin.push("tree/links", image, "1")
    scan = f"/api/v1/images/{find(admin, 'images', 'tree/links')}/manifests/{image.digest}/scan"
    begun = time.monotonic()
    while not json.loads(admin.get(scan).expect(200).body)["readAt"]:
        assert time.monotonic() - begun < DEADLINE_S

    assert admin.get(f"{scan}/file?path=b").expect(200).body == b"12345"
    assert b"to /a; only files have content" in admin.get(f"{scan}/file?path=c").expect(405).body
    assert b"which is in another layer" in admin.get(f"{scan}/file?path=lone").expect(405).body


def test_a_layer_that_lies_broken_in_the_store_gives_no_file(server: Server, admin: Client) -> None:
    image = make.image([{"broken": bytes(range(256)) * 8192}])
    admin.push("tree/broken", image, "1")
    scan = f"/api/v1/images/{find(admin, 'images', 'tree/broken')}/manifests/{image.digest}/scan"
    begun = time.monotonic()
    while not json.loads(admin.get(scan).expect(200).body)["readAt"]:
        assert time.monotonic() - begun < DEADLINE_S
    break_blob(server.data, image.blobs[1].digest, len(image.blobs[1].data) // 2)

    admin.get(f"{scan}/file?path=broken").expect(503)
