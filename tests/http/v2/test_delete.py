import pytest

from tests import make
from tests.make.client import Client

IMAGE = make.image([{"a": b"1"}])
OTHER = make.image([{"b": b"2"}])


def test_deleting_a_tag_leaves_the_manifest_and_other_tags(client: Client) -> None:
    client.push("gone/tag", IMAGE, "1", "2")

    client.delete("/v2/gone/tag/manifests/1").expect(202)

    client.head("/v2/gone/tag/manifests/1").expect(404)
    assert client.list_tags("gone/tag") == ["2"]
    client.assert_holds("gone/tag", IMAGE.digest, IMAGE)


def test_deleting_a_manifest_takes_all_its_tags_and_no_other(client: Client) -> None:
    client.push("gone/manifest", IMAGE, "1", "2")
    client.push("gone/manifest", OTHER, "3")

    client.delete(f"/v2/gone/manifest/manifests/{IMAGE.digest}").expect(202)

    for reference in (IMAGE.digest, "1", "2"):
        client.head(f"/v2/gone/manifest/manifests/{reference}").expect(404)
        assert client.get_manifest("gone/manifest", reference).expect(404).codes == ["MANIFEST_UNKNOWN"]
    assert client.list_tags("gone/manifest") == ["3"]
    client.assert_holds("gone/manifest", "3", OTHER)


def test_deleting_is_of_one_image_alone(client: Client) -> None:
    for name in ("gone/here", "gone/there"):
        client.push(name, IMAGE, "1")

    client.delete(f"/v2/gone/here/manifests/{IMAGE.digest}").expect(202)
    for blob in IMAGE.blobs:
        client.delete(f"/v2/gone/here/blobs/{blob.digest}").expect(202)

    client.assert_holds("gone/there", "1", IMAGE)
    for blob in IMAGE.blobs:  # read there, and then here again
        client.get_blob("gone/here", blob.digest).expect(404)
        client.head(f"/v2/gone/here/blobs/{blob.digest}").expect(404)


def test_a_blob_that_a_manifest_needs_stays(client: Client) -> None:
    client.push("gone/needed", IMAGE, "1")

    for blob in IMAGE.blobs:
        assert client.delete(f"/v2/gone/needed/blobs/{blob.digest}").expect(405).codes == ["UNSUPPORTED"]

    client.assert_holds("gone/needed", "1", IMAGE)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("manifests/none", 404, "MANIFEST_UNKNOWN"),
        ("manifests/sha256:" + "0" * 64, 404, "MANIFEST_UNKNOWN"),
        ("manifests/sha256:x", 400, "DIGEST_INVALID"),
        ("blobs/sha256:" + "0" * 64, 404, "BLOB_UNKNOWN"),
        ("blobs/sha256:x", 400, "DIGEST_INVALID"),
        ("tags/list", 405, "UNSUPPORTED"),
    ],
)
def test_what_is_not_there_cannot_be_deleted(client: Client, path: str, status: int, code: str) -> None:
    client.push("gone/some", OTHER, "1")

    assert client.delete(f"/v2/gone/some/{path}").expect(status).codes == [code]


def test_an_image_that_is_not_there_is_unknown(client: Client) -> None:
    assert client.delete("/v2/gone/never/manifests/1").expect(404).codes == ["NAME_UNKNOWN"]
    assert client.delete(f"/v2/gone/never/blobs/{IMAGE.blobs[0].digest}").expect(404).codes == ["BLOB_UNKNOWN"]


def test_deleting_twice_says_that_it_is_gone(client: Client) -> None:
    client.push("gone/twice", IMAGE, "1")
    for path in ("manifests/1", f"manifests/{IMAGE.digest}", f"blobs/{IMAGE.blobs[0].digest}"):
        client.delete(f"/v2/gone/twice/{path}").expect(202)
        client.delete(f"/v2/gone/twice/{path}").expect(404)


def test_what_was_deleted_can_be_pushed_again(client: Client) -> None:
    for _ in range(3):
        client.push("gone/again", IMAGE, "1")
        client.assert_holds("gone/again", "1", IMAGE)
        client.delete(f"/v2/gone/again/manifests/{IMAGE.digest}").expect(202)


def test_a_referrer_outlives_its_subject(client: Client) -> None:
    signature = make.artifact("application/vnd.example.signature", b"sig", subject=IMAGE)
    client.push("gone/subject", IMAGE, "1")
    client.push("gone/subject", signature, "sig")

    client.delete(f"/v2/gone/subject/manifests/{IMAGE.digest}").expect(202)

    client.assert_holds("gone/subject", "sig", signature)
    assert signature.digest in client.get(f"/v2/gone/subject/referrers/{IMAGE.digest}").expect(200).body.decode()


def test_a_child_can_be_deleted_and_the_index_says_what_it_said(client: Client) -> None:
    index = make.index([IMAGE, OTHER])
    client.push("gone/child", index, "all")

    client.delete(f"/v2/gone/child/manifests/{IMAGE.digest}").expect(202)

    assert client.get_manifest("gone/child", "all").expect(200).body == index.body
    client.get_manifest("gone/child", IMAGE.digest).expect(404)
    client.push("gone/child", IMAGE)
    client.assert_holds("gone/child", "all", index)
