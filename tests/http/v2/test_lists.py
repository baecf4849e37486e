from urllib.parse import quote

import msgspec
import pytest

from appliance.http.v2.listing import PAGE
from tests import make
from tests.make.client import Client, TagList
from tests.make.images import OCI_INDEX, encode

EMPTY = make.index([])
IMAGE = make.image([{"subject": b"of others"}])
ABSENT = "sha256:" + "0" * 64
SBOM, SIGNATURE = "application/vnd.example.sbom+json", "application/vnd.example.signature"


class Catalog(msgspec.Struct):
    repositories: list[str]


class Listed(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, rename="camel"):
    schema_version: int
    media_type: str
    manifests: list[Listed]


def follow(client: Client, path: str) -> list[make.Reply]:
    """Return the answers of `path` and of every page behind it."""
    replies = [client.get(path).expect(200)]
    while link := replies[-1].headers.get("link"):
        address, _, relation = link.partition(">")
        assert (address[0], relation) == ("<", '; rel="next"')
        replies.append(client.get(client.path_of(address[1:])).expect(200))
    return replies


def referrers(client: Client, name: str, digest: str, query: str = "") -> list[Listed]:
    replies = follow(client, f"/v2/{name}/referrers/{digest}{query}")
    for reply in replies:
        assert reply.headers["content-type"] == OCI_INDEX
        assert reply.headers["content-length"] == str(len(reply.body))
    return [one for reply in replies for one in reply.decode(Index).manifests]


@pytest.fixture(scope="module")
def tagged(server: make.Server) -> list[str]:
    """Push an index under tags whose order says something; return them in ASCII order."""
    tags = ["1.10", "1.9", "V1", "v1", "_", "a", "B", "a-b", "a.b", "a_b", "latest", "x" * 128]
    with server.client() as client:
        client.push("list/tags", EMPTY, *tags)
    return sorted(tags)


def test_tags_are_in_ascii_order(client: Client, tagged: list[str]) -> None:
    reply = client.get("/v2/list/tags/tags/list").expect(200)

    assert reply.decode(TagList) == TagList("list/tags", tagged)
    assert reply.headers["content-type"] == "application/json"
    assert "link" not in reply.headers


@pytest.mark.parametrize("count", [1, 2, 5, 11, 12, 13, 1000])
def test_pages_of_any_size_make_the_whole(client: Client, tagged: list[str], count: int) -> None:
    pages = [reply.decode(TagList).tags for reply in follow(client, f"/v2/list/tags/tags/list?n={count}")]

    assert [tag for page in pages for tag in page] == tagged
    assert all(len(page) == count for page in pages[:-1])


@pytest.mark.parametrize("last", ["", "1.10", "a", "aa", "not-there", "~", "zzz", "\0", "é", "A" * 3000])
def test_a_page_begins_behind_last_whether_it_is_a_tag_or_not(client: Client, tagged: list[str], last: str) -> None:
    found = client.list_tags("list/tags", f"?last={quote(last)}")

    assert found == [tag for tag in tagged if tag > last]


def test_no_entries_are_an_empty_list_without_a_link(client: Client, tagged: list[str]) -> None:
    del tagged
    for path in ("list/tags/tags/list", "_catalog"):
        reply = client.get(f"/v2/{path}?n=0").expect(200)
        assert b"[]" in reply.body
        assert "link" not in reply.headers


@pytest.mark.parametrize("count", ["-1", "x", "", "1.5", "%D9%A3", "1e3", "0x10", " 1"])
@pytest.mark.parametrize("path", ["list/tags/tags/list", "_catalog"])
def test_what_is_no_number_of_entries_is_refused(client: Client, path: str, count: str) -> None:
    assert client.get(f"/v2/{path}?n={quote(count, safe='%')}").expect(400).codes == ["PAGINATION_NUMBER_INVALID"]


@pytest.mark.parametrize("count", [10**4, 10**9, 10**20, int("9" * 3000)])
def test_a_huge_number_of_entries_is_a_page(client: Client, tagged: list[str], count: int) -> None:
    assert client.list_tags("list/tags", f"?n={count}") == tagged
    client.get(f"/v2/_catalog?n={count}").expect(200)


def test_more_tags_than_a_page_are_paged_though_nobody_asked(client: Client) -> None:
    client.push("list/many", EMPTY)
    tags = sorted(f"t{number}" for number in range(PAGE + 50))
    for start in range(0, len(tags), 50):
        query = "?" + "&".join(f"tag={tag}" for tag in tags[start : start + 50])
        client.put_manifest("list/many", EMPTY.digest, EMPTY, query).expect(201)

    pages = [reply.decode(TagList).tags for reply in follow(client, "/v2/list/many/tags/list")]

    assert [len(page) for page in pages] == [PAGE, 50]
    assert [tag for page in pages for tag in page] == tags
    assert len(client.list_tags("list/many", "?n=5000")) == PAGE


def test_the_tags_of_what_was_never_pushed_are_unknown(client: Client) -> None:
    client.put_blob("list/hidden", make.Blob(b"a blob alone shows no image")).expect(201)
    client.start_upload("list/begun")

    for name in ("list/none", "list/hidden", "list/begun"):
        assert client.get(f"/v2/{name}/tags/list").expect(404).codes == ["NAME_UNKNOWN"]
    for name in ("list/hidden", "list/begun"):
        assert name not in client.get("/v2/_catalog").decode(Catalog).repositories


def test_the_catalogue_pages_through_all_images(client: Client) -> None:
    for number in range(7):
        client.push(f"list/catalogue-{number}", EMPTY)
    client.push("zz", EMPTY)

    whole = client.get("/v2/_catalog").expect(200).decode(Catalog).repositories
    paged = [name for reply in follow(client, "/v2/_catalog?n=3") for name in reply.decode(Catalog).repositories]

    assert whole == paged == sorted(whole)
    assert {*whole} >= {"library/zz", *(f"list/catalogue-{number}" for number in range(7))}
    assert client.get("/v2/_catalog?last=library/zz").decode(Catalog).repositories[0].startswith("list/")


@pytest.mark.parametrize("name", ["list/never-pushed", "list/tags"])
def test_nothing_refers_to_what_nobody_knows(client: Client, tagged: list[str], name: str) -> None:
    del tagged
    for digest in (ABSENT, "sha512:" + "0" * 128):
        reply = client.get(f"/v2/{name}/referrers/{digest}").expect(200)
        assert reply.decode(Index) == Index(2, OCI_INDEX, [])
        assert reply.headers["content-type"] == OCI_INDEX


def test_what_is_no_digest_has_no_referrers(client: Client) -> None:
    for text in ("x", "sha256:x", "latest"):
        assert client.get(f"/v2/list/tags/referrers/{text}").expect(400).codes == ["DIGEST_INVALID"]


@pytest.fixture(scope="module")
def referred(server: make.Server) -> dict[str, make.Manifest]:
    """Push things that refer to IMAGE, which is not pushed; return them by digest."""
    things = [
        make.artifact(SBOM, b"one", subject=IMAGE, annotations={"kind": "sbom", "größe": "1"}),
        make.artifact(SIGNATURE, b"two", subject=IMAGE),
        make.image([{"with": b"a subject"}], subject=IMAGE),
        make.index([], subject=IMAGE),
        make.index([], subject=IMAGE, artifact_type=SBOM),
        make.chart().variant(subject=IMAGE.descriptor()),
    ]
    with server.client() as client:
        for thing in things:
            client.push("list/referred", thing)
        client.push("list/referred", make.artifact(SBOM, b"of another", subject=EMPTY))
        client.push("list/elsewhere", make.artifact(SBOM, b"elsewhere", subject=IMAGE))
    return {thing.digest: thing for thing in things}


def test_every_referrer_is_listed_with_what_it_says_of_itself(
    client: Client, referred: dict[str, make.Manifest]
) -> None:
    listed = {one.digest: one for one in referrers(client, "list/referred", IMAGE.digest)}

    assert listed.keys() == referred.keys()
    for digest, one in listed.items():
        assert (one.media_type, one.size) == (referred[digest].media_type, len(referred[digest].body))
    assert [one.artifact_type for one in listed.values()] == [
        SBOM,
        SIGNATURE,
        "application/vnd.oci.image.config.v1+json",
        None,
        SBOM,
        "application/vnd.cncf.helm.config.v1+json",
    ]
    assert next(iter(listed.values())).annotations == {"kind": "sbom", "größe": "1"}


@pytest.mark.parametrize("spelling", [quote(SBOM, safe=""), SBOM])
def test_referrers_are_filtered_by_artifact_type(
    client: Client, referred: dict[str, make.Manifest], spelling: str
) -> None:
    reply = client.get(f"/v2/list/referred/referrers/{IMAGE.digest}?artifactType={spelling}").expect(200)

    assert reply.headers["oci-filters-applied"] == "artifactType"
    expected = [digest for digest, thing in referred.items() if thing.artifact_type == SBOM]
    assert [one.digest for one in reply.decode(Index).manifests] == expected


def test_a_filter_that_nothing_passes_gives_an_empty_list(client: Client) -> None:
    reply = client.get(f"/v2/list/referred/referrers/{IMAGE.digest}?artifactType=a/b").expect(200)

    assert (reply.decode(Index).manifests, reply.headers["oci-filters-applied"]) == ([], "artifactType")


def test_a_deleted_referrer_is_listed_no_more(client: Client) -> None:
    gone = make.artifact(SBOM, b"gone soon", subject=EMPTY)
    client.push("list/gone", gone)
    assert len(referrers(client, "list/gone", EMPTY.digest)) == 1

    client.delete(f"/v2/list/gone/manifests/{gone.digest}").expect(202)

    assert referrers(client, "list/gone", EMPTY.digest) == []
    client.push("list/gone", gone)
    assert len(referrers(client, "list/gone", EMPTY.digest)) == 1


def test_what_older_clients_left_under_a_tag_is_listed_too(client: Client) -> None:
    left = make.artifact(SIGNATURE, b"left by an older client")
    known = make.artifact(SBOM, b"pushed with a subject", subject=IMAGE)
    client.push("list/fallback", left)
    client.push("list/fallback", known)
    client.push("list/fallback", make.index([left, known]), IMAGE.digest.replace(":", "-"))

    assert [one.digest for one in referrers(client, "list/fallback", IMAGE.digest)] == [known.digest, left.digest]
    query = f"?artifactType={quote(SIGNATURE, safe='')}"
    assert [one.digest for one in referrers(client, "list/fallback", IMAGE.digest, query)] == [left.digest]


@pytest.mark.parametrize("body", [encode({"manifests": []}), encode({"manifests": [{"digest": ABSENT, "size": 1}]})])
def test_another_kind_of_index_under_that_tag_does_no_harm(client: Client, body: bytes) -> None:
    tag = make.Blob(body).digest.replace(":", "-")
    client.put_manifest("list/odd", tag, make.Manifest(OCI_INDEX, body)).expect(201)

    referrers(client, "list/odd", make.Blob(body).digest)


def test_many_large_referrers_come_in_pages_of_bounded_size(client: Client) -> None:
    size = 1 << 20
    for number in range(7):
        thing = make.artifact(SBOM, subject=EMPTY, annotations={"n": str(number), "filling": "x" * size})
        client.push("list/large", thing)

    for query in ("", f"?artifactType={quote(SBOM, safe='')}"):
        pages = follow(client, f"/v2/list/large/referrers/{EMPTY.digest}{query}")
        listed = [one for page in pages for one in page.decode(Index).manifests]
        assert [(one.annotations or {})["n"] for one in listed] == [str(number) for number in range(7)]
        assert max(len(page.body) for page in pages) < 6 * size


@pytest.mark.parametrize("cursor", ["x", "-1", "1" * 30, "%D9%A3", "1.5"])
def test_a_cursor_of_our_own_making_only(client: Client, cursor: str) -> None:
    client.get(f"/v2/list/tags/referrers/{ABSENT}?last={cursor}").expect(400)
