"""What jobs find to do, and what must be true when they have done it."""

import argparse
import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from appliance.cli.client import Client as Operator
from appliance.cli.client import connect
from appliance.services.backup_check import check_backup, find_backup
from tests.crash.server import CrashingServer
from tests.make import images, stores
from tests.make.client import Client
from tests.make.images import Blob, Manifest
from tests.scan.feeds.feed_files import osv_zip

_FEW = 8  # images that are kept
_ENDED = ("done", "failed", "cancelled")


class Job(msgspec.Struct, rename="camel"):
    """A job as the API shows it."""

    id: str
    kind: str
    state: str
    reason: str
    created_by: str
    report: dict[str, object] | None = None


class Jobs(msgspec.Struct):
    """A page of them."""

    items: list[Job]


class Ground:
    """The server's folder and what lies in it: images that stay, and for each round something to do."""

    def __init__(self, server: CrashingServer, outside: Path) -> None:
        self.server = server
        self.outside = outside
        self.kept: dict[str, Manifest] = {}
        self.blobs = 0
        self.encrypts = False
        self.feeds = 0

    def keep(self, client: Client, name: str) -> None:
        """Push an image that no job may touch, while there are few: steps that grow each time have no last one."""
        if len(self.kept) >= _FEW:
            return
        self.kept[name] = image = images.image([{"etc/motd": name.encode() * 50}])
        client.push(name, image, "1")
        self.blobs += len(image.blobs)

    def restart_encrypting(self, *, is_on: bool) -> None:
        """Let the server encrypt what is new from now on, or no more."""
        self.encrypts = is_on
        self.server.stop()
        self.server.environment |= stores.variables("folder-encrypted" if is_on else "folder", stores.no_bucket)
        self.server.start()

    def check(self, client: Client) -> None:
        """Fail unless all that was kept is there, whole."""
        for name, image in self.kept.items():
            client.assert_holds(name, "1", image)


class Task(msgspec.Struct, frozen=True):
    """A kind of job: what it is ordered with, what is laid out for it, and what must be true afterwards.

    `lay` returns what `check` is given; `check` gets the report of the job.
    """

    kind: str
    lay: Callable[[Ground, Client, str], object]
    check: Callable[[Ground, object, dict[str, object]], None]
    order: Callable[[Ground], dict[str, object]] = lambda _: {}
    begin: Callable[[Operator, "Task", Ground, object], Job] = lambda client, task, ground, _: order(
        client, task, ground
    )
    subject: str = ""  # of the job, where others of the kind are about


def _lay_garbage(ground: Ground, client: Client, name: str) -> list[str]:
    """Push what is deleted again, and what no manifest names; return the digests of the blobs that must go."""
    image, loose = images.image([{"gone": name.encode() * 40}, {"too": name.encode()}]), Blob(f"loose {name}".encode())
    client.push(f"garbage/{name}", image, "1")
    client.put_blob(f"garbage/{name}", loose).expect(201)
    client.delete(f"/v2/garbage/{name}/manifests/{image.digest}").expect(202)
    del ground
    return [blob.digest for blob in (*image.blobs, loose)]


def _check_garbage(ground: Ground, laid: object, report: dict[str, object]) -> None:
    assert isinstance(laid, list)
    assert not [one for one in laid if list((ground.server.data / "blobs").rglob(f"{one[7:]}.*"))]
    assert report["blobs"] == len(laid)  # nothing is counted twice, and nothing is forgotten


def _lay_sessions(ground: Ground, client: Client, name: str) -> int:
    for _ in range(2):
        client.start_upload(f"idle/{name}")
    del ground
    return 2


def _check_sessions(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del laid, report
    assert list((ground.server.data / "uploads").iterdir()) == []


def _lay_strays(ground: Ground, client: Client, name: str) -> list[Path]:
    """Lay files that no row owns, as a crash between naming and commit leaves them."""
    del client
    strays = []
    for kind in ("blobs", "manifests"):
        digest = Blob(f"{kind} {name}".encode()).digest[7:]
        path = ground.server.data / kind / "sha256" / digest[:2] / f"{digest}.0badcafe"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stray")
        strays.append(path)
    return strays


def _check_strays(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del ground, report
    assert isinstance(laid, list)
    assert not [path for path in laid if path.exists()]


def _lay_image(ground: Ground, client: Client, name: str) -> None:
    ground.keep(client, f"kept/{name}")


def _check_scrub(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del laid
    assert (report["blobs"], report["broken"], report["unread"]) == (ground.blobs, [], 0)


def _check_measured(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del laid
    with closing(sqlite3.connect(ground.server.data / "scr.sqlite")) as database:
        (there,) = database.execute("SELECT count(*) FROM repositories WHERE removed_at IS NULL").fetchone()
        kept = database.execute(
            "SELECT r.name, m.live + m.untagged + m.leaving > 0 FROM repository_measures m"
            " JOIN repositories r ON r.id = m.repository_id WHERE r.removed_at IS NULL"
        ).fetchall()
    assert report["repositories"] == there == len(kept)
    assert ("kept", 1) in kept  # others hold nothing any more


def _check_check(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del laid
    assert (report["blobs"], report["faults"]) == (ground.blobs, 0), report["listed"]


def _lay_snapshot(ground: Ground, client: Client, name: str) -> set[str]:
    ground.keep(client, f"kept/{name}")
    return {one.name for one in (ground.server.data / "backups").iterdir()}


def _check_snapshot(ground: Ground, laid: object, report: dict[str, object]) -> None:
    folder = ground.server.data / "backups"
    names = sorted(one.name for one in folder.iterdir())
    assert isinstance(laid, set)
    assert set(names) - laid == {report["name"]}  # one, however often it was begun
    assert all(name.endswith(".sqlite") for name in names), names
    assert check_backup(find_backup(folder / str(report["name"])), deep=True, progress=lambda _, __: None).faults == 0


def _lay_backup(ground: Ground, client: Client, name: str) -> set[str]:
    ground.keep(client, f"kept/{name}")
    return {str(one) for one in ground.outside.glob("*")}


def _check_backup(ground: Ground, laid: object, report: dict[str, object]) -> None:
    assert isinstance(laid, set)
    assert {str(one) for one in ground.outside.glob("*")} - laid == {report["path"]}  # one, however often it was begun
    found = check_backup(find_backup(ground.outside), deep=True, progress=lambda _, __: None)
    assert found.backup == report["path"]
    assert (found.faults, found.blobs, report["missing"]) == (0, ground.blobs, []), found.listed
    assert not list(ground.outside.glob("*.part"))


def _lay_nothing(ground: Ground, client: Client, name: str) -> None:
    del ground, client, name


def _check_pruned(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del ground, laid
    assert set(report) == {"spans", "records", "lines"}


def _lay_elsewhere(ground: Ground, client: Client, name: str) -> None:
    """Let all that is there lie in another form than what is new: plain, or encrypted."""
    ground.keep(client, f"kept/{name}")
    client.close()
    ground.restart_encrypting(is_on=not ground.encrypts)


def _check_moved(ground: Ground, laid: object, report: dict[str, object]) -> None:
    del laid
    assert (report["blobs"], report["manifests"], report["left"]) == (ground.blobs, len(ground.kept), 0)
    with operator(ground.server) as client:
        assert follow(client, order(client, TASKS["upload-expiry"], ground)).state == "done"
    assert list((ground.server.data / "uploads").iterdir()) == []  # what a death has left staged


def _lay_feed(ground: Ground, client: Client, name: str) -> Path:
    """Write an archive of advisories, other ones than the last time."""
    del client
    ground.feeds += 1
    path = ground.outside.parent / f"{name}.zip"
    path.write_bytes(osv_zip("pypi" if ground.feeds % 2 else "go"))
    return path


def _import(client: Operator, task: "Task", ground: Ground, laid: object) -> Job:
    del task, ground
    return client.post("/api/v1/vulndb/imports", {"path": str(laid), "name": "feed"}, Job)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@contextmanager
def feeds_in(folder: Path) -> Iterator[str]:
    """Serve the files of `folder`; yield the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _lay_published(ground: Ground, client: Client, name: str) -> Path:
    """Publish an archive of advisories, other ones than the last time, with its check sum beside it."""
    published = ground.outside.parent / "fetched.zip"
    _lay_feed(ground, client, name).replace(published)
    whole = hashlib.sha256(published.read_bytes()).hexdigest()
    published.with_name("fetched.zip.sha256").write_text(f"{whole}  fetched.zip\n")
    return published


def _fetch(client: Operator, task: "Task", ground: Ground, laid: object) -> Job:
    del task, ground, laid
    return client.post("/api/v1/vulndb/fetches", {"name": "fetched"}, Jobs).items[0]


def _check_feed(ground: Ground, laid: object, report: dict[str, object]) -> None:
    with operator(ground.server) as client:
        sources = client.get("/api/v1/vulndb/sources", Sources).items
    assert isinstance(laid, Path)
    whole = hashlib.sha256(laid.read_bytes()).hexdigest()
    (source,) = [one for one in sources if one.name == report["name"]]
    assert (source.input, source.advisories) == (whole, report["advisories"])
    folder = ground.server.data / "vulndb"
    named = msgspec.json.decode((folder / "current.json").read_bytes())["sources"]
    kept = {"current.json", *(f"{one['digest']}.sqlite" for one in named)}  # two sources may share a file
    assert {path.name for path in folder.iterdir()} == kept


class Source(msgspec.Struct):
    """A source of vulnerability data as the API shows it."""

    name: str
    input: str
    advisories: int


class Sources(msgspec.Struct):
    """All of them."""

    items: list[Source]


class _Leaving(msgspec.Struct):
    """What is to be deleted, and the blobs that must go with it."""

    kind: str  # registries or repositories
    id: str
    name: str
    digests: list[str]


class _Made(msgspec.Struct):
    id: str


def _lay_repository(ground: Ground, client: Client, name: str) -> _Leaving:
    del ground
    name = name.replace("-", "")
    digests = []
    for number in range(3):
        image = images.image([{"leaves": f"{name}{number}".encode() * 40}])
        client.push(f"{name}/image{number}", image, "1")
        digests += [blob.digest for blob in image.blobs]
    found = client.get(f"/api/v1/repositories?path={name}").expect(200)
    made = msgspec.json.decode(found.body, type=dict[str, object])["items"]
    return _Leaving("repositories", msgspec.convert(made, list[_Made])[0].id, name, digests)


def _lay_registry(ground: Ground, client: Client, name: str) -> _Leaving:
    """Make a registry with repositories in it; that a registry's images go is the same code as for a repository's."""
    del ground
    name = "r" + hashlib.sha256(name.encode()).hexdigest()[:10]
    headers = {"Content-Type": "application/json"}
    made = client.request("POST", "/api/v1/registries", b'{"name": "%b"}' % name.encode(), headers).expect(201)
    for number in range(3):
        order = b'{"name": "pay%d", "registry": "%b"}' % (number, name.encode())
        client.request("POST", "/api/v1/repositories", order, headers).expect(201)
    return _Leaving("registries", made.decode(_Made).id, name, [])


def _delete(client: Operator, task: "Task", ground: Ground, laid: object) -> Job:
    """Delete what was laid, which orders the job; a second time changes nothing."""
    del ground
    assert isinstance(laid, _Leaving)
    force = "&force=true" if laid.kind == "registries" else ""
    client.ask("DELETE", f"/api/v1/{laid.kind}/{laid.id}?confirm={laid.name}{force}", accept=(404, 409))
    job = find_newest(client, task.kind)
    assert job is not None
    return job


def _check_left(ground: Ground, laid: object, report: dict[str, object]) -> None:
    """The collection that the job has ordered takes all of it."""
    assert isinstance(laid, _Leaving)
    del report
    with operator(ground.server) as client:
        assert follow(client, order(client, TASKS["gc"], ground)).state == "done"
        assert client.ask("GET", f"/api/v1/{laid.kind}/{laid.id}", accept=(404,)).status == 404
    assert not [one for one in laid.digests if list((ground.server.data / "blobs").rglob(f"{one[7:]}.*"))]


TASKS = {
    "gc": Task("gc", _lay_garbage, _check_garbage),
    "upload-expiry": Task("upload-expiry", _lay_sessions, _check_sessions),
    "sweep": Task("sweep", _lay_strays, _check_strays),
    "scrub": Task("scrub", _lay_image, _check_scrub),
    "check": Task("check", _lay_image, _check_check),
    "roll-up": Task("roll-up", _lay_nothing, _check_pruned),
    "measure": Task("measure", _lay_image, _check_measured),
    "move": Task("move", _lay_elsewhere, _check_moved),
    "vulndb.import": Task("vulndb.import", _lay_feed, _check_feed, begin=_import),
    "vulndb.fetch": Task("vulndb.fetch", _lay_published, _check_feed, begin=_fetch, subject="fetched"),
    "repository-deletion": Task("repository-deletion", _lay_repository, _check_left, begin=_delete),
    "registry-deletion": Task("registry-deletion", _lay_registry, _check_left, begin=_delete),
    "snapshot": Task("backup", _lay_snapshot, _check_snapshot),
    "backup": Task("backup", _lay_backup, _check_backup, lambda ground: {"folder": str(ground.outside)}),
}


def operator(server: CrashingServer) -> Operator:
    """Return a client over the control socket: who may name folders of the host."""
    return connect(argparse.Namespace(server="", config=None, data_dir=str(server.data), listen=None))


def order(client: Operator, task: Task, ground: Ground) -> Job:
    """Order the job. Raises Unavailable where the server ends before it answers."""
    return client.post("/api/v1/jobs", {"kind": task.kind, "order": task.order(ground)}, Job)


def find_newest(client: Operator, kind: str, subject: str = "") -> Job | None:
    """Return the newest job of `kind`, about `subject` if one is named, or None."""
    items = client.get("/api/v1/jobs", Jobs, kind=kind, subject=subject, limit="1").items
    return items[0] if items else None


def follow(client: Operator, job: Job) -> Job:
    """Wait for the end of the job. Raises Unavailable where the server ends before it."""
    while job.state not in _ENDED:
        job = client.get(f"/api/v1/jobs/{job.id}", Job, wait="10")
    return job
