"""What jobs of the scanner find to do: images with a package, and data that know a flaw in it or none."""

import io
import zipfile
from http.client import HTTPException

import msgspec

from appliance.cli.client import Client as Operator
from appliance.errors import Unavailable
from tests.crash.labour import Ground, Job, Jobs, Task, find_newest, follow, operator
from tests.make import images
from tests.make.client import Client
from tests.make.images import Manifest

_PACKAGE = "usr/lib/python3/dist-packages/till-1.0.dist-info/METADATA"
_FLAW, _WIDE = "PYSEC-2026-1", "wide"
_JSON = {"Content-Type": "application/json"}


class _Laid(msgspec.Struct):
    """An image, how it is called, and whether the data that are imported know a flaw in it."""

    name: str
    image: Manifest
    is_flawed: bool


def advisory(package: str) -> dict[str, object]:
    """Return a record of OSV: a critical flaw in all versions of `package` below 2.0."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]
    return {
        "id": _FLAW,
        "modified": "2026-01-01T00:00:00Z",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"package": {"ecosystem": "PyPI", "name": package}, "ranges": ranges}],
    }


def _lay(ground: Ground, client: Client, name: str) -> _Laid:
    del client
    ground.feeds += 1
    is_flawed = bool(ground.feeds % 2)
    known = advisory("till" if is_flawed else "mill")
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("PYSEC-2026-1.json", msgspec.json.encode(known))
    (ground.outside.parent / f"{name}.zip").write_bytes(body.getvalue())
    files = {_PACKAGE: b"Metadata-Version: 2.1\nName: till\nVersion: 1.0\n", "n": name.encode()}
    return _Laid(name, images.image([files]), is_flawed)


def _push(client: Operator, task: Task, ground: Ground, laid: object) -> Job:
    """Push the image, which orders its scan."""
    assert isinstance(laid, _Laid)
    try:
        with ground.server.client() as pusher:
            pusher.push(f"scanned/{laid.name}", laid.image, "1")
    except (OSError, HTTPException) as error:
        raise Unavailable("the server is no more") from error
    job = find_newest(client, task.kind)
    assert job is not None
    return job


def _lay_scanned(ground: Ground, client: Client, name: str) -> _Laid:
    """Have the image scanned, and its pulls refused where there is a critical flaw."""
    laid = _lay(ground, client, name)
    client.push(f"scanned/{name}", laid.image, "1")
    with operator(ground.server) as asking:
        scan = find_newest(asking, "scan")
        assert scan is not None
        assert follow(asking, scan).state == "done"
    found = client.get(f"/api/v1/images?path=scanned/{name}").expect(200)
    image = msgspec.json.decode(found.body)["items"][0]["id"]
    limit = msgspec.json.encode({"policy": {"pullLimit": {"refuseUnscanned": True, "refuseCritical": True}}})
    client.request("PATCH", f"/api/v1/images/{image}", limit, _JSON).expect(200)
    return laid


def _import(client: Operator, task: Task, ground: Ground, laid: object) -> Job:
    """Import data, which orders that all images are matched with them."""
    assert isinstance(laid, _Laid)
    order = {"path": str(ground.outside.parent / f"{laid.name}.zip"), "name": "feed"}
    assert follow(client, client.post("/api/v1/vulndb/imports", order, Job)).state == "done"
    job = find_newest(client, task.kind)
    assert job is not None
    return job


def _check_scanned(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del ground
    assert isinstance(laid, _Laid)
    assert report["digest"] == laid.image.digest


def _check_matched(ground: Ground, laid: object, report: dict[str, object]) -> None:
    """The pull limit goes by the data of now."""
    del report
    assert isinstance(laid, _Laid)
    with ground.server.client() as client:
        client.get_manifest(f"scanned/{laid.name}", "1").expect(403 if laid.is_flawed else 200)


def _lay_many(ground: Ground, client: Client, name: str) -> list[str]:
    """Push images that nobody has scanned by hand; return their digests."""
    with operator(ground.server) as asking:
        for number in range(3):
            image = images.image([{"n": f"{name}{number}".encode()}])
            client.push(f"{_WIDE}/{name}{number}", image, "1")
            pushed = find_newest(asking, "scan", image.digest)
            assert pushed is not None
            assert follow(asking, pushed).state == "done"
    found = client.get("/api/v1/images?repository=" + _WIDE).expect(200)
    return [one["id"] for one in msgspec.json.decode(found.body)["items"]]


def _scan_all(client: Operator, task: Task, ground: Ground, laid: object) -> Job:
    del task, laid
    with ground.server.client() as asking:
        found = asking.get(f"/api/v1/repositories?path={_WIDE}").expect(200)
    repository = msgspec.json.decode(found.body)["items"][0]["id"]
    return client.post(f"/api/v1/repositories/{repository}/scans", {}, Job)


def _check_all(ground: Ground, laid: object, report: dict[str, object]) -> None:
    """Each has one order, and every scan that was ordered comes to its end."""
    assert isinstance(laid, list)
    assert report == {"ordered": len(laid)}
    with operator(ground.server) as client:
        for state in ("running", "waiting"):
            for job in client.get("/api/v1/jobs", Jobs, kind="scan", state=state).items:
                assert follow(client, job).state == "done"


def _lay_blocked(ground: Ground, client: Client, name: str) -> _Laid:
    """Have an image with a critical flaw blocked."""
    ground.feeds += ground.feeds % 2  # an odd one comes next, which knows the flaw
    laid = _lay_scanned(ground, client, name)
    with operator(ground.server) as asking:
        matching = _import(asking, SCANNING["scan.match"], ground, laid)
        assert follow(asking, matching).state == "done"
    client.get_manifest(f"scanned/{name}", "1").expect(403)
    return laid


def _accept(client: Operator, task: Task, ground: Ground, laid: object) -> Job:
    del laid, ground
    wish = {"vulnerability": _FLAW, "reason": "no way in"}
    client.post("/api/v1/accepted-findings", wish, dict[str, object])
    job = find_newest(client, task.kind, task.subject)
    assert job is not None
    return job


def _check_accepted(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del report
    assert isinstance(laid, _Laid)
    with ground.server.client() as client:
        client.get_manifest(f"scanned/{laid.name}", "1").expect(200)
        accepted = msgspec.json.decode(client.get("/api/v1/accepted-findings?registry=*").expect(200).body)["items"]
        for one in accepted:  # for whoever comes next; twice, where a death came behind the acceptance
            client.request("DELETE", f"/api/v1/accepted-findings/{one['id']}", b"").expect(204)
    with operator(ground.server) as asking:
        told = find_newest(asking, "scan", f"accepted:{_FLAW}")
        assert told is not None
        assert follow(asking, told).state == "done"


SCANNING = {
    "scan-all": Task("scan", _lay_many, _check_all, begin=_scan_all, subject=f"registry:1/{_WIDE}"),
    "scan-accepted": Task("scan", _lay_blocked, _check_accepted, begin=_accept, subject=f"accepted:{_FLAW}"),
    "scan": Task("scan", _lay, _check_scanned, begin=_push),
    "scan.match": Task("scan.match", _lay_scanned, _check_matched, begin=_import),
}
