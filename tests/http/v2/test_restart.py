import pytest

from tests import make
from tests.make.client import Client

DATA = bytes(range(256)) * 5000  # 1.28 MB: more than one chunk of the store
IMAGE = make.image([{"etc/motd": b"hello\n"}])


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_upload_goes_on_after_a_restart(server: make.Server, end: str, algorithm: str) -> None:
    blob = make.Blob(f"{end} {algorithm}".encode() + DATA, algorithm)
    with server.client() as client:
        location = client.start_upload("restart/it", f"?digest-algorithm={algorithm}")
        client.request("PATCH", location, blob.data[:1_100_000], {"Content-Range": "0-1099999"}).expect(202)

    getattr(server, end)()
    server.start()

    with server.client() as client:
        told = client.get(location).expect(204)
        offset = int(told.headers["scr-upload-offset"])
        assert (offset, told.headers["range"]) == (1_100_000, "0-1099999")
        client.request("PATCH", location, b"again", {"Content-Range": "0-4"}).expect(416)
        rest = {"Content-Range": f"{offset}-{len(blob.data) - 1}"}
        client.request("PATCH", location, blob.data[offset:], rest).expect(202)
        client.request("PUT", f"{location}?digest={blob.digest}", b"").expect(201)
        assert client.get_blob("restart/it", blob.digest).expect(200).body == blob.data


def test_a_cancelled_upload_does_not_come_back(server: make.Server) -> None:
    with server.client() as client:
        location = client.start_upload("restart/it")
        client.delete(location).expect(204)

    server.stop()
    server.start()

    with server.client() as client:
        client.get(location).expect(404)


@pytest.mark.parametrize("change", ["{", "", "[]", '{"id": 1}', "\xff"])
def test_a_session_whose_notes_are_damaged_is_unknown(server: make.Server, change: str) -> None:
    with server.client() as client:
        location = client.start_upload("restart/it")
    server.kill()
    notes = server.data / "uploads" / (location.rpartition("/")[2] + ".json")
    notes.write_bytes(change.encode("latin-1"))
    server.start()

    with server.client() as client:
        assert client.get(location).expect(404).codes == ["BLOB_UPLOAD_UNKNOWN"]
        client.delete(location).expect(404)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_everything_acknowledged_is_there_after_a_restart(server: make.Server, client: Client, end: str) -> None:
    index = make.index([IMAGE, make.image([{end: b""}])])
    client.push(f"restart/{end}", index, "1", "2")
    client.delete(f"/v2/restart/{end}/manifests/2").expect(202)
    client.close()

    getattr(server, end)()
    server.start()

    with server.client() as again:
        again.assert_holds(f"restart/{end}", "1", index)
        assert again.list_tags(f"restart/{end}") == ["1"]
