"""The pages of storage: bytes by what keeps them, what collection will free, snapshots."""

import re

import msgspec

from tests import make
from tests.http.ui.asking import ask, send
from tests.make.server import Server

ONE, OTHER = make.image([{"a": b"1" * 5000}]), make.image([{"b": b"2" * 9000}])


class Use(msgspec.Struct, rename="camel"):
    """The bytes of one repository."""

    name: str
    live: int
    untagged: int
    unclaimed: int
    shared: int
    leaving: int
    staged: int


class Uses(msgspec.Struct):
    """A page of them."""

    items: list[Use]


def use_of(server: Server, name: str) -> Use:
    """Return what the API says of the repository `name`."""
    answer = ask(server, "/api/v1/storage/repositories", Accept="application/json")
    return next(one for one in msgspec.json.decode(answer.content, type=Uses).items if one.name == name)


def test_each_byte_is_counted_by_what_keeps_it(server: Server) -> None:
    size = sum(len(blob.data) for blob in ONE.blobs)
    with server.client() as client:
        client.push("kept/a", ONE, "1")
        client.push("kept/b", ONE, "1")
        client.push("twin/a", ONE, "1")
        client.push("loose/a", OTHER, "1")
        client.push("loose/a", make.image([{"c": b"3"}]), "1")
        place = client.start_upload("kept/a")
        client.request("PATCH", place, b"x" * 123, {"Content-Type": "application/octet-stream"}).expect(202)

    kept, twin, loose = (use_of(server, name) for name in ("kept", "twin", "loose"))

    assert (kept.live, kept.shared, kept.untagged, kept.staged) == (size, size, 0, 123)
    assert (twin.live, twin.shared) == (size, size)
    assert loose.untagged == sum(len(blob.data) for blob in OTHER.blobs)
    assert loose.shared == 0


def test_children_of_a_tagged_index_and_what_refers_to_it_are_live(server: Server) -> None:
    child = make.image([{"d": b"4" * 3000}])
    whole = make.index([child])
    note = make.artifact("application/vnd.example.note", subject=whole)
    with server.client() as client:
        client.push("many/a", child)
        client.push("many/a", whole, "1")
        client.push("many/a", note)

    assert use_of(server, "many").untagged == 0


def test_what_was_deleted_waits_for_collection_with_its_reason(server: Server) -> None:
    gone = make.image([{"e": b"5" * 7000}])
    with server.client() as client:
        client.push("gone/a", gone, "1")
        client.delete(f"/v2/gone/a/manifests/{gone.digest}").expect(202)

    assert use_of(server, "gone").leaving == sum(len(blob.data) for blob in gone.blobs)
    assert "gone/a" in ask(server, "/storage/leaving").text


def test_the_page_shows_it_and_the_last_reports(server: Server) -> None:
    place = send(server, "/jobs", kind="scrub", full_speed="on").headers["location"]
    assert ask(server, f"/api/v1{place}?wait=30", Accept="application/json").status == 200

    text = ask(server, "/storage").text

    assert re.search(r'href="/repositories/[a-z0-9]+">kept<', text)
    assert place in text


def test_a_snapshot_is_taken_by_a_button(server: Server) -> None:
    assert "scr backup /var/backups/scr" in ask(server, "/storage/snapshots").text

    place = send(server, "/jobs", kind="backup").headers["location"]
    assert ask(server, f"/api/v1{place}?wait=30", Accept="application/json").status == 200

    assert re.search(r'<td class="mono">[^<]+</td>', ask(server, "/storage/snapshots").text)
