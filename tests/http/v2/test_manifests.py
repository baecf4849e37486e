import json

import pytest

from tests import make
from tests.make.client import Client
from tests.make.images import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, encode

IMAGE = make.image([{"etc/motd": b"hello\n"}])
LIMIT = 4 << 20  # bytes; [limits] manifest_bytes


def put(client: Client, reference: str, body: bytes, content_type: str = OCI_MANIFEST) -> make.Reply:
    return client.request("PUT", f"/v2/put/it/manifests/{reference}", body, {"Content-Type": content_type})


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(make.image([]), id="no layers"),
        pytest.param(IMAGE, id="image"),
        pytest.param(make.image(algorithm="sha512"), id="sha512"),
        pytest.param(make.index([IMAGE, make.image(platform="linux/arm64")]), id="index"),
        pytest.param(make.index([make.index([IMAGE])]), id="nested index"),
        pytest.param(make.docker_image(), id="docker image"),
        pytest.param(make.docker_list([make.docker_image()]), id="docker list"),
        pytest.param(make.chart(), id="chart"),
        pytest.param(make.artifact("application/vnd.example.sbom"), id="artifact"),
        pytest.param(make.artifact("application/vnd.example.sbom", subject=IMAGE), id="with a subject"),
        pytest.param(make.index([IMAGE], subject=IMAGE, artifact_type="a/b"), id="index with a subject"),
        pytest.param(IMAGE.variant(extra={"deep": [1, None, "x"]}), id="fields of its own"),
        pytest.param(make.Manifest("application/vnd.example.thing+json", b' {"a" : 1 }\n'), id="a type of its own"),
        pytest.param(
            make.Manifest(OCI_INDEX, encode({"schemaVersion": 2, "manifests": []})), id="no media type inside"
        ),
    ],
)
def test_whatever_is_pushed_is_kept_as_it_is(client: Client, manifest: make.Manifest) -> None:
    client.push("put/it", manifest)

    reply = client.put_manifest("put/it", "t", manifest).expect(201)

    if manifest.algorithm == "sha256":
        assert reply.headers["docker-content-digest"] == manifest.digest
    location = client.path_of(reply.headers["location"])
    found = client.get(location).expect(200)
    assert (found.body, found.headers["content-type"]) == (manifest.body, manifest.media_type)
    for part in manifest.walk():
        client.assert_holds("put/it", part.digest, part)
    client.delete(f"/v2/put/it/manifests/{manifest.digest}").expect(202)
    client.head(f"/v2/put/it/manifests/{manifest.digest}").expect(404)


def test_parameters_of_the_content_type_are_ignored(client: Client) -> None:
    client.push("put/it", IMAGE)

    put(client, "t", IMAGE.body, f"{OCI_MANIFEST}; charset=utf-8").expect(201)

    assert client.get_manifest("put/it", "t").headers["content-type"] == OCI_MANIFEST


def test_a_subject_is_acknowledged_whether_it_is_there_or_not(client: Client) -> None:
    for subject in (IMAGE, make.image([{"never": b"pushed"}])):
        referrer = make.artifact("a/b", subject=subject)
        assert client.push("put/it", referrer).headers["oci-subject"] == subject.digest
    assert "oci-subject" not in client.push("put/it", IMAGE).headers


def test_several_tags_at_once(client: Client) -> None:
    client.push("put/tags", IMAGE)
    tags = [f"t{number}" for number in range(30)]

    query = "?" + "&".join(f"tag={tag}" for tag in [*tags, "t0"])
    reply = client.put_manifest("put/tags", IMAGE.digest, IMAGE, query).expect(201)

    assert reply.headers["oci-tag"].split(", ") == [*tags, "t0"]
    assert client.list_tags("put/tags") == sorted(tags)
    for tag in tags:
        client.assert_holds("put/tags", tag, IMAGE)


def test_one_wrong_tag_of_several_is_refused_and_none_is_set(client: Client) -> None:
    client.push("put/none", IMAGE)

    reply = client.put_manifest("put/none", IMAGE.digest, IMAGE, "?tag=good&tag=.bad").expect(400)

    assert reply.codes == ["TAG_INVALID"]
    assert client.list_tags("put/none") == []
    many = "?" + "&".join(f"tag=t{number}" for number in range(51))
    client.put_manifest("put/none", IMAGE.digest, IMAGE, many).expect(400)
    client.put_manifest("put/none", IMAGE.digest, IMAGE, many * 3).expect(400)
    assert client.list_tags("put/none") == []


@pytest.mark.parametrize("reference", ["sha256:baddigeststring", "sha256:", "md5:" + "0" * 32, "sha256:" + "0" * 64])
def test_a_wrong_digest_in_the_address_is_refused(client: Client, reference: str) -> None:
    client.push("put/it", IMAGE)

    assert put(client, reference, IMAGE.body).expect(400).codes == ["DIGEST_INVALID"]


@pytest.mark.parametrize("reference", [".x", "-x", "x" * 129, "a:b"])
def test_a_wrong_tag_in_the_address_is_refused(client: Client, reference: str) -> None:
    client.push("put/it", IMAGE)

    assert put(client, reference, IMAGE.body).expect(400).codes in (["TAG_INVALID"], ["DIGEST_INVALID"])


def test_a_missing_layer_is_named(client: Client) -> None:
    manifest = make.image([{"never": b"pushed before its manifest"}])

    reply = put(client, "t", manifest.body).expect(400)

    assert reply.codes == ["MANIFEST_BLOB_UNKNOWN"]
    assert manifest.blobs[0].digest in reply.body.decode()


def test_missing_children_are_taken_and_warned_of(client: Client) -> None:
    index = make.index([make.image([{"a child": b"that never came"}])])

    reply = put(client, "sparse", index.body, OCI_INDEX).expect(201)

    assert reply.headers["warning"].startswith('299 - "1 manifests of this index')
    client.get_manifest("put/it", "sparse").expect(200)
    client.get_manifest("put/it", index.children[0].digest).expect(404)


def test_non_distributable_layers_need_no_push(client: Client) -> None:
    body = json.loads(make.image().body)
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    body["layers"].append(make.Blob(b"never pushed").descriptor(kind) | {"urls": ["https://example.com/layer"]})
    client.push("put/it", make.image())

    put(client, "foreign", encode(body)).expect(201)


def test_a_descriptor_that_carries_its_content_needs_no_blob(client: Client) -> None:
    config = make.Blob(b"{}").descriptor("application/vnd.oci.empty.v1+json")
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "a/b", "layers": []}

    put(client, "itself", encode(body | {"config": config | {"data": "e30="}})).expect(201)
    other = make.Blob(b"[]").descriptor("application/vnd.oci.empty.v1+json") | {"data": "e30="}
    put(client, "not-itself", encode(body | {"config": other})).expect(400)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", OCI_MANIFEST),
        (b"not json", OCI_MANIFEST),
        (b"[]", OCI_MANIFEST),
        (IMAGE.body, OCI_INDEX),
        (IMAGE.body, DOCKER_MANIFEST),
        (IMAGE.variant(mediaType=None).body, DOCKER_LIST),
        (b'{"schemaVersion":1,"name":"x"}', "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (b'{"schemaVersion":1,"name":"x"}', "application/vnd.docker.distribution.manifest.v1+json"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "a/b"),
        (IMAGE.body.replace(b'"size":', b'"size":1e400,"x":', 1), OCI_MANIFEST),
        (IMAGE.body.replace(b'"size":', b'"size":1' + b"0" * 400, 1), OCI_MANIFEST),
        (IMAGE.body.replace(b'"size":', b'"size":9223372036854775807,"x":', 1), OCI_MANIFEST),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(client: Client, body: bytes, content_type: str) -> None:
    client.push("put/it", IMAGE)

    reply = put(client, "bad", body, content_type).expect(400)

    assert reply.codes == ["MANIFEST_INVALID"]
    client.head("/v2/put/it/manifests/bad").expect(404)


def large(size: int) -> bytes:
    """Return a manifest of `size` bytes."""
    body = IMAGE.body[:-1] + b',"filling":"'
    return body + b"x" * (size - len(body) - 2) + b'"}'


def test_a_manifest_of_the_limit_is_taken_and_one_byte_more_is_413(client: Client) -> None:
    client.push("put/it", IMAGE)

    put(client, "large", large(LIMIT)).expect(201)
    refused = put(client, "larger", large(LIMIT + 1)).expect(413)

    assert client.get_manifest("put/it", "large").expect(200).body == large(LIMIT)
    assert str(LIMIT) in refused.body.decode()
    client.close()
    client.head("/v2/put/it/manifests/larger").expect(404)


def test_a_manifest_without_a_length_is_cut_off_at_the_limit(client: Client) -> None:
    pieces = (b"x" * 65536 for _ in range((LIMIT >> 16) + 2))

    client.request("PUT", "/v2/put/it/manifests/endless", pieces, {"Content-Type": OCI_MANIFEST}).expect(413)


def test_a_push_that_was_acknowledged_may_be_sent_again(client: Client) -> None:
    first = client.push("put/again", IMAGE, "1")

    again = client.put_manifest("put/again", "1", IMAGE).expect(201)

    assert again.headers["location"] == first.headers["location"]
    assert client.list_tags("put/again") == ["1"]


def test_a_name_of_one_component_is_in_the_library(client: Client) -> None:
    reply = client.push("alone", IMAGE, "1")

    assert reply.headers["location"] == f"/v2/alone/manifests/{IMAGE.digest}"
    client.assert_holds("library/alone", "1", IMAGE)
    client.assert_holds("alone", "1", IMAGE)
