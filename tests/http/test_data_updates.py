"""Vulnerability data that change while images are scanned and looked at: no half result is shown, none is forgotten."""

import io
import itertools
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.cli.main import main
from tests import make
from tests.crash.scan_labour import advisory
from tests.http.api.conftest import JSON, List
from tests.make.client import Client
from tests.make.images import Manifest
from tests.make.server import Server

IMAGES = 12
VERSIONS = 6  # of the data: the n-th knows n flaws of the package


def package(name: str) -> dict[str, bytes]:
    """Return the files of an installed package of Python."""
    said = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    return {f"usr/lib/python3/dist-packages/{name}-1.0.dist-info/METADATA": said.encode()}


def zip_of(folder: Path, name: str, flaws: int, of: str) -> Path:
    """Write an archive of OSV with so many flaws of a package; return where."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for number in range(flaws):
            flaw = {**advisory(of), "id": f"PYSEC-2026-{of}-{number}"}
            archive.writestr(f"{number}.json", msgspec.json.encode(flaw))
    (folder / name).write_bytes(body.getvalue())
    return folder / name


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "server") as running:
        yield running


def told(client: Client, address: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(client.get(address).expect(200).body)


def settle(client: Client) -> None:
    """Wait until no job is left to do."""
    while running := [job for job in told(client, "/api/v1/jobs")["items"] if job["endedAt"] is None]:
        client.get(f"/api/v1/jobs/{running[-1]['id']}?wait=5").expect(200)


def place_of(client: Client, name: str, image: Manifest) -> str:
    found = client.get(f"/api/v1/images?path={name}").expect(200).decode(List).items[0].id
    return f"/api/v1/images/{found}/manifests/{image.digest}/scan"


class Looker(threading.Thread):
    """Looks at images again and again: with which data each was matched, and how many findings it then has."""

    def __init__(self, server: Server, places: list[str]) -> None:
        super().__init__()
        self.seen: set[tuple[str | None, int, int]] = set()
        self.ended = threading.Event()
        self._server, self._places = server, places

    def run(self) -> None:
        with self._server.client() as client:
            while not self.ended.is_set():
                for place in self._places:
                    scan = told(client, place)
                    data = scan["matchedWith"]
                    counted = sum(one["found"] for one in scan["counts"])
                    self.seen.add((data["digest"] if data else None, scan["found"], counted))


def image_of(number: int) -> Manifest:
    return make.image([package("till"), {"n": b"%d" % number}])


def test_data_that_change_while_images_are_scanned_show_nothing_half_and_forget_nothing(
    server: Server, tmp_path: Path
) -> None:
    names = [f"changing/app{number}" for number in range(IMAGES)]
    folder = ("--data-dir", str(server.data))
    knows: dict[str | None, int] = {None: 0}
    with server.client() as client:
        for number, name in enumerate(names):
            client.push(name, image_of(number), "1")
        places = [place_of(client, name, image_of(number)) for number, name in enumerate(names)]
        looker = Looker(server, places)
        looker.start()
        try:
            for flaws in range(1, VERSIONS + 1):
                feed = zip_of(tmp_path, f"{flaws}.zip", flaws, "till")
                assert main(["vulndb", "import", str(feed), "--name", "feed", *folder]) == 0
                knows[told(client, "/api/v1/vulndb")["digest"]] = flaws
                for place in places[flaws % 2 :: 2]:  # half of them are scanned again while all are matched again
                    image = place.split("/")[4]
                    order = json.dumps({"digests": [place.split("/")[6]]}).encode()
                    client.request("POST", f"/api/v1/images/{image}/scans", order, JSON).expect(202)
            settle(client)
        finally:
            looker.ended.set()
            looker.join()
        current = told(client, "/api/v1/vulndb")["digest"]
        results = [told(client, place) for place in places]
        jobs = told(client, "/api/v1/jobs?limit=200")["items"]

    assert len(knows) == VERSIONS + 1
    assert looker.seen
    assert {(data, knows[data], knows[data]) for data, _, _ in looker.seen} == looker.seen
    assert {(one["matchedWith"]["digest"], one["found"], one["isStale"]) for one in results} == {
        (current, VERSIONS, False)
    }
    assert {job["state"] for job in jobs} == {"done"}


def test_two_updates_at_once_replace_what_is_theirs_and_all_images_are_matched_with_both(
    server: Server, tmp_path: Path
) -> None:
    image = make.image([package("till"), package("mill")])
    door = f"{server.data}"
    feeds = {name: zip_of(tmp_path, f"{name}.zip", flaws, name) for name, flaws in (("till", 2), ("mill", 3))}
    later = zip_of(tmp_path, "later.zip", 4, "till")
    with server.client() as client:
        client.push("twice/app", image, "1")
        settle(client)
        codes: list[int] = []

        def update(*words: str) -> None:
            codes.append(main(["vulndb", "import", *words, "--data-dir", door]))

        updates = [threading.Thread(target=update, args=(str(path), "--name", name)) for name, path in feeds.items()]
        updates += [threading.Thread(target=update, args=(str(later), "--name", "later"))]
        updates += [threading.Thread(target=update, args=(str(feeds["till"]), "--name", "till"))]  # the very same again
        for one in updates:
            one.start()
        for one in updates:
            one.join()
        settle(client)
        sources = {one["name"]: one["advisories"] for one in told(client, "/api/v1/vulndb/sources")["items"]}
        scan = told(client, place_of(client, "twice/app", image))
        current = told(client, "/api/v1/vulndb")["digest"]
        imports = told(client, "/api/v1/jobs?kind=vulndb.import")["items"]

    assert codes == [0, 0, 0, 0]
    assert sources == {"till": 2, "mill": 3, "later": 4}
    assert (scan["matchedWith"]["digest"], scan["isStale"]) == (current, False)
    assert scan["found"] == 4 + 3  # two of the till's are in both of its feeds
    spans = sorted((job["startedAt"], job["endedAt"]) for job in imports)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))  # one waits for the other
    assert {job["state"] for job in imports} == {"done"}


def test_an_update_of_the_same_in_another_way_is_told_that_it_waits(server: Server, tmp_path: Path) -> None:
    feed = zip_of(tmp_path, "feed.zip", 20_000, "till")
    other = zip_of(tmp_path, "other.zip", 1, "mill")
    words = ("--data-dir", str(server.data), "--detach")
    with server.client() as client:
        assert main(["vulndb", "import", str(feed), *words]) == 0  # takes a while
        assert main(["vulndb", "import", str(other), "--name", "one", *words]) == 0  # waits for it
        refused = main(["vulndb", "import", str(other), "--name", "two", *words])
        settle(client)
        sources = [one["name"] for one in told(client, "/api/v1/vulndb/sources")["items"]]

    assert refused == 1
    assert sources == ["one", "osv-feed"]
