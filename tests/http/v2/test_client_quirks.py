"""What real clients do on the wire beyond the specification, each under the client's name."""

import socket
import threading
from urllib.parse import quote

import pytest

from tests import make
from tests.http.raw import Raw
from tests.make.client import Client
from tests.make.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, encode

IMAGE = make.image([{"etc/motd": b"hello\n"}])
DATA = bytes(range(256)) * 40
SIG_TAG = IMAGE.digest.replace(":", "-") + ".sig"


@pytest.fixture
def blob(request: pytest.FixtureRequest) -> make.Blob:
    """A blob that no other test has pushed."""
    return make.Blob(request.node.name.encode() + DATA)


def test_docker_streams_one_patch_in_chunks_and_closes_with_an_empty_put(client: Client, blob: make.Blob) -> None:
    client.head(f"/v2/quirk/docker/blobs/{blob.digest}").expect(404)
    location = client.start_upload("quirk/docker", f"?from=quirk%2Fnone&mount={quote(blob.digest)}")

    stream = (blob.data[start : start + 1000] for start in range(0, len(blob.data), 1000))
    reply = client.request("PATCH", location, stream).expect(202)
    location = client.path_of(reply.headers["location"])
    client.request("PUT", f"{location}?digest={quote(blob.digest)}", b"").expect(201)

    assert client.get_blob("quirk/docker", blob.digest).body == blob.data


def test_docker_keeps_query_parameters_of_its_own(client: Client, blob: make.Blob) -> None:
    location = client.start_upload("quirk/docker")
    state = "_state=" + quote("eyJ8=+/", safe="")

    client.request("PATCH", f"{location}?{state}", blob.data).expect(202)
    client.request("PUT", f"{location}?{state}&digest={quote(blob.digest)}", b"").expect(201)


def test_docker_uploads_five_layers_and_downloads_three_at_once(server: make.Server, client: Client) -> None:
    manifest = make.image([{f"layer-{number}": b"x" * 300_000} for number in range(5)])
    failures: list[BaseException] = []

    def on_its_own(work: list[make.Blob], way: str) -> None:
        try:
            with server.client() as one:
                for blob in work:
                    if way == "up":
                        one.put_blob("quirk/parallel", blob).expect(201)
                    else:
                        assert one.get_blob("quirk/parallel", blob.digest).expect(200).body == blob.data
        except BaseException as error:  # noqa: BLE001 - reported by the test's own thread
            failures.append(error)

    for way, width in (("up", 5), ("down", 3)):
        shares = [list(manifest.blobs[start::width]) for start in range(width)]
        threads = [threading.Thread(target=on_its_own, args=(share, way)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        if way == "up":
            client.put_manifest("quirk/parallel", "1", manifest).expect(201)
    assert failures == []


def test_docker_of_2016_sends_accept_headers_one_by_one_and_gets_what_was_pushed(
    server: make.Server, client: Client
) -> None:
    client.push("quirk/old", IMAGE, "1")

    with Raw(server) as raw:
        accepts = b"".join(
            b"Accept: %s\r\n" % kind.encode()
            for kind in (DOCKER_MANIFEST, DOCKER_LIST, "application/vnd.docker.distribution.manifest.v1+prettyjws")
        )
        reply = raw.ask(b"GET /v2/quirk/old/manifests/1 HTTP/1.1\r\nHost: {host}\r\n" + accepts + b"\r\n")

    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, IMAGE.body, OCI_MANIFEST)


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/json", "garbage;;;,,"])
def test_any_accept_header_gets_the_manifest(client: Client, accept: str) -> None:
    client.push("quirk/accept", IMAGE, "1")

    assert client.get_manifest("quirk/accept", "1", {"Accept": accept}).expect(200).body == IMAGE.body


def test_containerd_asks_for_manifests_with_a_range_and_an_encoding(client: Client) -> None:
    client.push("quirk/containerd", IMAGE, "1")
    headers = {"Range": "bytes=0-", "Accept-Encoding": "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"}

    for path in ("manifests/1", f"manifests/{IMAGE.digest}", f"blobs/{IMAGE.blobs[0].digest}"):
        reply = client.get(f"/v2/quirk/containerd/{path}", headers).expect(200, 206)
        assert reply.body == (IMAGE.body if path.startswith("m") else IMAGE.blobs[0].data)
        assert "content-encoding" not in reply.headers
        assert reply.headers["content-length"] == str(len(reply.body))


def test_containerd_resumes_a_layer_where_it_stopped(client: Client, blob: make.Blob) -> None:
    client.put_blob("quirk/containerd", blob).expect(201)

    rest = client.get_blob("quirk/containerd", blob.digest, {"Range": f"bytes={len(blob.data) - 9}-"}).expect(206)

    assert rest.body == blob.data[-9:]


def test_containerd_names_the_mirrored_host(client: Client) -> None:
    client.push("quirk/mirror", IMAGE, "1")

    for method in ("HEAD", "GET"):
        client.request(method, "/v2/quirk/mirror/manifests/1?ns=docker.io").expect(200)
        client.request(method, "/v2/quirk/not-mirrored/manifests/1?ns=docker.io").expect(404)


def test_stargz_asks_for_many_small_ranges_and_takes_one_of_several(client: Client, blob: make.Blob) -> None:
    client.put_blob("quirk/lazy", blob).expect(201)

    for start in range(0, 5000, 50):
        asked = f"bytes={start}-{start + 9},{start + 20}-{start + 29}"
        reply = client.get_blob("quirk/lazy", blob.digest, {"Range": asked}).expect(206)
        assert reply.body == blob.data[start : start + 10]
        assert reply.headers["content-range"] == f"bytes {start}-{start + 9}/{len(blob.data)}"


def test_oras_py_counts_the_end_of_a_chunk_too_far_and_recovers_from_the_416(client: Client, blob: make.Blob) -> None:
    location = client.start_upload("quirk/oras-py")
    wrong = {"Content-Range": f"0-{len(blob.data)}"}

    reply = client.request("PATCH", location, blob.data, wrong).expect(416)

    assert (client.path_of(reply.headers["location"]), reply.headers["range"]) == (location, "0-0")
    client.request("PATCH", location, blob.data, {"Content-Range": f"0-{len(blob.data) - 1}"}).expect(202)
    client.request("PUT", f"{location}?digest={blob.digest}", b"").expect(201)


def test_tart_sends_a_content_range_with_the_whole_blob(client: Client, blob: make.Blob) -> None:
    location = client.start_upload("quirk/tart")

    headers = {"Content-Range": f"0-{len(blob.data) - 1}"}
    client.request("PUT", f"{location}?digest={blob.digest}", blob.data, headers).expect(201)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_jib_and_curl_wait_for_100_continue_before_they_send(
    server: make.Server, client: Client, blob: make.Blob, method: str
) -> None:
    location = client.start_upload("quirk/jib")
    path = location if method == "PATCH" else f"{location}?digest={blob.digest}"

    with Raw(server) as raw:
        raw.send(
            f"{method} {path} HTTP/1.1\r\nHost: {raw.host}\r\nExpect: 100-continue\r\n"
            f"Content-Length: {len(blob.data)}\r\n\r\n".encode()
        )
        assert raw.read().status == 100
        final = raw.ask(blob.data)

    assert final.status == (202 if method == "PATCH" else 201)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/quirk/jib/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=sha256:" + "0" * 64, 404),
        ("/v2/quirk/jib/manifests/large", 413),
        ("/v2/quirk/JIB/manifests/x", 400),
    ],
)
def test_jib_and_curl_are_refused_before_they_send(server: make.Server, path: str, status: int) -> None:
    with Raw(server) as raw:
        head = f"PUT {path} HTTP/1.1\r\nHost: {raw.host}\r\nExpect: 100-continue\r\n"
        raw.send(f"{head}Content-Length: 99999999\r\n\r\n".encode())
        assert raw.read().status == status  # and no 100 before it
        assert raw.is_ended()  # what would follow could not be told from the body


def test_buildkit_lists_layers_in_an_index(client: Client, blob: make.Blob) -> None:
    config = make.Blob(b'{"layers":[{"blob":"x"}]}')
    for part in (blob, config):
        client.put_blob("quirk/cache", part).expect(201)
    layers = [
        blob.descriptor("application/vnd.oci.image.layer.v1.tar+gzip"),
        config.descriptor("application/vnd.buildkit.cacheconfig.v0"),
    ]
    cache = make.Manifest(OCI_INDEX, encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": layers}))

    reply = client.put_manifest("quirk/cache", "cache", cache).expect(201)

    assert "warning" not in reply.headers
    client.assert_holds("quirk/cache", "cache", cache)
    client.delete(f"/v2/quirk/cache/blobs/{blob.digest}").expect(405)


def test_buildkit_writes_attestations_for_an_unknown_platform(client: Client) -> None:
    attestation = make.artifact("application/vnd.in-toto+json", b"{}")
    child = attestation.descriptor() | {
        "platform": {"architecture": "unknown", "os": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    index = make.index([IMAGE]).variant(manifests=[IMAGE.descriptor(), child])
    client.push("quirk/attested", IMAGE)
    client.push("quirk/attested", attestation)

    client.put_manifest("quirk/attested", "1", index).expect(201)


def test_kaniko_tries_its_push_right_and_abandons_the_session(client: Client) -> None:
    client.head("/v2/quirk/kaniko/cache/manifests/0123abc").expect(404)

    for _ in range(5):
        client.delete(client.start_upload("quirk/kaniko/cache")).expect(204)

    client.get("/v2/quirk/kaniko/cache/tags/list").expect(404)
    assert "quirk/kaniko" not in client.get("/v2/_catalog").body.decode()


def test_crane_needs_digest_type_and_length_of_a_head(client: Client) -> None:
    reply = client.push("quirk/crane", IMAGE, "1")
    assert reply.headers["docker-content-digest"] == IMAGE.digest

    told = client.head("/v2/quirk/crane/manifests/1").expect(200)

    assert told.headers["docker-content-digest"] == IMAGE.digest
    assert told.headers["content-type"] == OCI_MANIFEST
    assert told.headers["content-length"] == str(len(IMAGE.body))
    client.head("/v2/quirk/crane/manifests/2").expect(404)


@pytest.mark.parametrize(
    "source", ["quirk/unknown", "gcr.io/other/registry", "index.docker.io/library/alpine", "a/b/c"]
)
def test_crane_mounts_from_another_registry_with_an_origin(client: Client, blob: make.Blob, source: str) -> None:
    query = f"?from={quote(source)}&mount={quote(blob.digest)}&origin=gcr.io"

    reply = client.request("POST", f"/v2/quirk/copied/blobs/uploads/{query}", b"").expect(202)

    location = client.path_of(reply.headers["location"])
    client.request("PATCH", location, iter([blob.data])).expect(202)
    client.request("PUT", f"{location}?digest={quote(blob.digest)}", b"").expect(201)


def test_cosign_looks_for_a_signature_and_moves_its_tag(client: Client) -> None:
    client.push("quirk/signed", IMAGE, "1")
    assert client.get_manifest("quirk/signed", SIG_TAG).expect(404).codes == ["MANIFEST_UNKNOWN"]

    for number in range(2):
        kind = "application/vnd.dev.cosign.simplesigning.v1+json"
        signature = make.artifact("a/b", b"signature %d" % number, media_type=kind)
        client.push("quirk/signed", signature, SIG_TAG)
        client.assert_holds("quirk/signed", SIG_TAG, signature)

    assert client.list_tags("quirk/signed") == sorted(["1", SIG_TAG])


def test_skopeo_wants_a_missing_signature_to_be_an_unknown_manifest(client: Client) -> None:
    for name in ("quirk/unsigned", "quirk/never-pushed"):
        client.push("quirk/unsigned", IMAGE, "1")
        assert client.get_manifest(name, SIG_TAG).expect(404).codes == ["MANIFEST_UNKNOWN"]


def test_skopeo_looks_for_blobs_where_nothing_was_pushed(client: Client) -> None:
    client.head(f"/v2/quirk/never/was/here/blobs/{IMAGE.blobs[0].digest}").expect(404)


def test_podman_pushes_zstd_layers_in_docker_manifests(client: Client, blob: make.Blob) -> None:
    manifest = make.docker_image()
    client.push("quirk/zstd", manifest)
    client.put_blob("quirk/zstd", blob).expect(201)
    layer = blob.descriptor("application/vnd.docker.image.rootfs.diff.tar.zstd")

    client.put_manifest("quirk/zstd", "1", manifest.variant(layers=[layer])).expect(201)


def test_oras_go_refuses_answers_without_a_length(client: Client) -> None:
    client.push("quirk/lengths", IMAGE, "1")

    for path in ("manifests/1", "tags/list", f"referrers/{IMAGE.digest}", f"blobs/{IMAGE.blobs[0].digest}"):
        reply = client.get(f"/v2/quirk/lengths/{path}").expect(200)
        assert reply.headers["content-length"] == str(len(reply.body))
        assert "transfer-encoding" not in reply.headers


def test_helm_turns_plus_into_underscore_and_keeps_the_order_of_its_layers(client: Client) -> None:
    chart = make.chart("app", "1.0.0+build.5")
    client.push("quirk/charts/app", chart, "1.0.0_build.5")

    assert client.list_tags("quirk/charts/app") == ["1.0.0_build.5"]
    client.assert_holds("quirk/charts/app", "1.0.0_build.5", chart)


def test_notation_keeps_referrers_under_a_tag_and_deletes_the_old_index(client: Client) -> None:
    tag = IMAGE.digest.replace(":", "-")
    client.push("quirk/notation", IMAGE, "1")
    old, new = make.index([], annotations={"n": "1"}), make.index([], annotations={"n": "2"})
    client.push("quirk/notation", old, tag)

    client.push("quirk/notation", new, tag)
    client.delete(f"/v2/quirk/notation/manifests/{old.digest}").expect(202)

    client.assert_holds("quirk/notation", tag, new)


def test_the_net_sdk_asks_where_its_session_stands_and_goes_on(client: Client, blob: make.Blob) -> None:
    location = client.start_upload("quirk/net")
    client.request("PATCH", location, blob.data[:777], {"Content-Range": "0-776"}).expect(202)
    client.request("PATCH", location, b"a retry", {"Content-Range": "0-6"}).expect(416)

    stands = client.get(location).expect(204)
    offset = int(stands.headers["range"].partition("-")[2]) + 1
    rest = {"Content-Range": f"{offset}-{len(blob.data) - 1}"}
    client.request("PATCH", location, blob.data[offset:], rest).expect(202)

    client.request("PUT", f"{location}?digest={blob.digest}", b"").expect(201)


def test_pollers_ask_hundreds_of_times_and_get_304(client: Client) -> None:
    client.push("quirk/polled", IMAGE, "latest")
    etag = client.head("/v2/quirk/polled/manifests/latest").headers["etag"]

    for method in ("HEAD", "GET"):
        for _ in range(100):
            reply = client.request(method, "/v2/quirk/polled/manifests/latest", headers={"If-None-Match": etag}).expect(
                304
            )
            assert reply.body == b""


def test_tags_that_look_like_digests_are_tags(client: Client) -> None:
    for tag in ("sha256-" + "0" * 64, "sha256", "0" * 64, "sha512-" + "0" * 121):
        client.push("quirk/tags", IMAGE, tag)
        client.assert_holds("quirk/tags", tag, IMAGE)
        client.delete(f"/v2/quirk/tags/manifests/{tag}").expect(202)
    client.assert_holds("quirk/tags", IMAGE.digest, IMAGE)


def test_docker_images_are_never_converted(client: Client) -> None:
    manifest = make.docker_list([make.docker_image()])
    client.push("quirk/docker-types", manifest, "1")

    for accept in (OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, DOCKER_LIST):
        reply = client.get_manifest("quirk/docker-types", "1", {"Accept": accept}).expect(200)
        assert (reply.body, reply.headers["content-type"]) == (manifest.body, DOCKER_LIST)


def test_locations_are_relative_whatever_host_the_client_used(server: make.Server) -> None:
    port = server.address.rpartition(":")[2]
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        with Raw(server) as raw:
            reply = raw.ask(
                f"POST /v2/quirk/location/blobs/uploads/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode()
            )
        assert reply.headers["location"].startswith("/v2/quirk/location/blobs/uploads/")


def test_a_client_that_leaves_mid_chunk_finds_its_bytes_in_the_session(server: make.Server, client: Client) -> None:
    location = client.start_upload("quirk/left")
    with Raw(server) as raw:
        raw.send(f"PATCH {location} HTTP/1.1\r\nHost: {raw.host}\r\nContent-Length: 200000\r\n\r\n".encode())
        raw.socket.sendall(b"x" * 100_000)
        raw.socket.shutdown(socket.SHUT_WR)
        raw.is_ended()

    while client.request("PATCH", location, b"").status == 409:  # what had come is still written
        continue
    offset = int(client.get(location).expect(204).headers["scr-upload-offset"])
    assert 0 <= offset <= 100_000
    rest = make.Blob(b"x" * 100_000 + b"y")
    client.request("PATCH", location, rest.data[offset:], {"Content-Range": f"{offset}-100000"}).expect(202)
    client.request("PUT", f"{location}?digest={rest.digest}", b"").expect(201)
