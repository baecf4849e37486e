"""The pull limit at the door: what is refused, to whom, how it is said, and what is never refused."""

import sqlite3
from collections.abc import Mapping

import msgspec
import pytest

from tests import make
from tests.make.client import Client, Reply
from tests.make.server import Server

CRITICAL = {"severity": "critical", "is_language": False, "is_fixable": True, "findings": 2}


@pytest.fixture(scope="module")
def server_config() -> str:
    """Nobody scans by itself: what was found is written down by hand."""
    return "[defaults.repository.scan]\non_push = false\n"


class Item(msgspec.Struct, frozen=True):
    id: str


class Items(msgspec.Struct, frozen=True):
    items: list[Item]


class Problem(msgspec.Struct, frozen=True):
    message: str
    detail: dict[str, list[str]] | None = None


class Problems(msgspec.Struct, frozen=True):
    errors: list[Problem]


def limit(client: Client, path: str, **fields: object) -> None:
    """Set the pull limit of the image."""
    found = client.get(f"/api/v1/images?path={path}").expect(200).decode(Items).items[0].id
    body = msgspec.json.encode({"policy": {"pullLimit": fields}})
    client.request("PATCH", f"/api/v1/images/{found}", body, {"Content-Type": "application/json"}).expect(200)


def scan(server: Server, manifest: make.Manifest, *counts: Mapping[str, object], state: str = "complete") -> None:
    """Write down a scan of the manifest, as the scanner does, in every image that has it."""
    summary = {"counts": counts, "secrets": 7, "unjudged": 0, "is_complete": True} if state == "complete" else None
    text = msgspec.json.encode(summary).decode() if summary else ""
    database = sqlite3.connect(server.data / "scr.sqlite", timeout=30)
    with database:
        digest = b"\x01" + bytes.fromhex(manifest.digest.partition(":")[2])
        database.execute(
            "INSERT OR REPLACE INTO scan_summaries (manifest_id, state, scanned_at, summary)"
            " SELECT id, ?, 1, ? FROM manifests WHERE digest = ?",
            (state, text, digest),
        )
    database.close()


def said(reply: Reply) -> str:
    return reply.expect(403).decode(Problems).errors[0].message


def image(number: int, platform: str = "linux/amd64") -> make.Manifest:
    return make.image([{"n": str(number).encode()}], platform=platform)


def test_a_manifest_never_scanned_is_refused_where_the_image_says_so(server: Server, client: Client) -> None:
    client.push("limit/scan", image(1), "1")
    limit(client, "limit/scan", refuseUnscanned=True)

    for reference in ("1", image(1).digest):
        refused = client.get_manifest("limit/scan", reference)
        assert refused.codes == ["DENIED"]
        assert "it was never scanned" in said(refused)
        client.head(f"/v2/limit/scan/manifests/{reference}").expect(200)
    scan(server, image(1))

    client.assert_holds("limit/scan", "1", image(1))


@pytest.mark.parametrize("state", ["queued", "failed", "partial", "no data"])
def test_a_scan_that_is_not_complete_is_none(server: Server, client: Client, state: str) -> None:
    client.push("limit/state", image(2), "1")
    limit(client, "limit/state", refuseUnscanned=True)
    scan(server, image(2), state=state)

    assert "the image's pull limit refuses what is not scanned" in said(client.get_manifest("limit/state", "1"))


def test_a_vulnerable_manifest_is_refused_with_count_and_limit(server: Server, client: Client) -> None:
    client.push("limit/bad", image(3), "1")
    scan(server, image(3), CRITICAL)
    limit(client, "limit/bad", refuseCritical=True, critical=2)

    refused = said(client.get_manifest("limit/bad", "1"))
    limit(client, "limit/bad", critical=3)

    assert refused.partition("; why:")[0] == (
        "limit/bad:1 cannot be pulled: it has 2 Critical vulnerabilities, and the image's pull limit refuses at 2 or"
        " more; push a mended image, accept the findings, or raise the limit"
    )
    client.assert_holds("limit/bad", "1", image(3))


def test_the_refusal_names_what_blocks_the_pull(server: Server, client: Client) -> None:
    client.push("limit/named", image(30), "1")
    scan(server, image(30), {**CRITICAL, "names": ["CVE-1 (musl 1.2)"]})
    limit(client, "limit/named", refuseCritical=True)

    refused = client.get_manifest("limit/named", "1")
    client.push("limit/unnamed", image(31), "1")
    limit(client, "limit/unnamed", refuseUnscanned=True)

    assert "refuses at 1 or more: CVE-1 (musl 1.2) and 1 more;" in said(refused)
    assert refused.decode(Problems).errors[0].detail == {"vulnerabilities": ["CVE-1 (musl 1.2)"]}
    assert client.get_manifest("limit/unnamed", "1").expect(403).decode(Problems).errors[0].detail is None


def test_what_has_nothing_to_scan_is_never_refused(client: Client) -> None:
    signature = make.artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"sig", subject=image(4))
    cache = image(5)
    cache = cache.variant(
        config={"mediaType": "application/vnd.buildkit.cacheconfig.v0", **_without_type(cache, "config")}
    )
    for number, manifest in enumerate((make.chart(), signature, cache, make.index([]))):
        client.push("limit/free", manifest, f"t{number}")
    limit(client, "limit/free", refuseUnscanned=True, refuseCritical=True, refuseHigh=True)

    for number in range(4):
        client.get_manifest("limit/free", f"t{number}").expect(200)


def test_an_index_is_refused_only_when_all_its_children_are(server: Server, client: Client) -> None:
    amd, arm = image(6), image(7, "linux/arm64")
    index = make.index([amd, arm])
    client.push("limit/index", index, "1")
    client.push("limit/index", make.index([index]), "nested")
    limit(client, "limit/index", refuseUnscanned=True)

    for tag in ("1", "nested"):
        assert "all its platforms are refused" in said(client.get_manifest("limit/index", tag))
    scan(server, arm)

    for tag in ("1", "nested"):
        client.get_manifest("limit/index", tag).expect(200)
    client.get_manifest("limit/index", arm.digest).expect(200)
    client.get_manifest("limit/index", amd.digest).expect(403)


def test_an_index_whose_children_are_not_here_has_nothing_to_refuse(client: Client) -> None:
    client.put_manifest("limit/sparse", "1", make.index([image(8)])).expect(201)
    limit(client, "limit/sparse", refuseUnscanned=True)

    client.get_manifest("limit/sparse", "1").expect(200)


def test_an_index_larger_than_the_loop_judges_is_judged_too(client: Client) -> None:
    children = [image(100 + number) for number in range(3)]
    index = make.index(children, annotations={"padding": "x" * 100_000})
    client.push("limit/large", index, "1")
    limit(client, "limit/large", refuseUnscanned=True)

    client.get_manifest("limit/large", "1").expect(403)


def test_a_blob_that_only_refused_manifests_need_is_no_source_of_a_mount(server: Server, client: Client) -> None:
    client.push("limit/source", image(9), "1")
    limit(client, "limit/source", refuseUnscanned=True)
    layer = image(9).blobs[1].digest

    for query in (f"?mount={layer}&from=limit/source", f"?mount={layer}"):
        client.request("POST", f"/v2/limit/target/blobs/uploads/{query}", b"").expect(202)
    scan(server, image(9))

    client.request("POST", f"/v2/limit/target/blobs/uploads/?mount={layer}&from=limit/source", b"").expect(201)


def test_another_image_that_holds_the_blob_is_a_source_still(client: Client) -> None:
    for name in ("limit/closed", "limit/open"):
        client.push(name, image(10), "1")
    limit(client, "limit/closed", refuseUnscanned=True)

    query = f"?mount={image(10).blobs[1].digest}"
    client.request("POST", f"/v2/limit/elsewhere/blobs/uploads/{query}", b"").expect(201)


def test_who_has_it_already_is_refused_too(client: Client) -> None:
    client.push("limit/held", image(11), "1")
    limit(client, "limit/held", refuseUnscanned=True)

    held = {"If-None-Match": f'"{image(11).digest}"'}
    client.request("GET", "/v2/limit/held/manifests/1", headers=held).expect(403)


def _without_type(manifest: make.Manifest, part: str) -> dict[str, object]:
    content: dict[str, dict[str, object]] = msgspec.json.decode(manifest.body)
    return {name: value for name, value in content[part].items() if name != "mediaType"}
