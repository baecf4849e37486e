"""Manifests by the API: a row a digest, all of one, referrers, tags, deletion together and its undo."""

import json

import msgspec
import pytest

from tests import make
from tests.http.api.conftest import List, find, problem
from tests.http.api.test_images import change
from tests.make import images
from tests.make.client import Client, Reply
from tests.make.server import Server

AMD = images.image([{"a": b"1"}, {"b": b"22"}])
ARM = images.image([{"a": b"3"}], platform="linux/arm64")
INDEX = images.index([AMD, ARM])
ZEROS = "sha256:" + "0" * 64


class Platform(msgspec.Struct, frozen=True, rename="camel"):
    platform: str
    digest: str
    size: int | None
    is_here: bool


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    digest: str
    kind: str
    state: str
    tags: list[dict[str, str | bool]]
    tag_count: int
    platforms: list[Platform]
    size: int
    is_listed: bool
    pulls: int
    subject: str | None


class Step(msgspec.Struct, frozen=True, rename="camel"):
    created_by: str
    size: int
    is_empty: bool


class Build(msgspec.Struct, frozen=True, rename="camel"):
    platform: str
    command: list[str]
    history: list[Step]


class Chart(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    version: str
    description: str
    dependencies: list[dict[str, str]]
    values: str | None


class Full(Manifest, frozen=True, rename="camel"):
    config: dict[str, str | int] | None
    layers: list[dict[str, str | int]]
    annotations: dict[str, str]
    build: Build | None
    chart: Chart | None
    notes: list[str]


class Manifests(msgspec.Struct, frozen=True):
    items: list[Manifest]
    next: str | None


class Referrer(msgspec.Struct, frozen=True, rename="camel"):
    digest: str
    kind: str
    tag: str
    referrers: list["Referrer"]


class Command(msgspec.Struct, frozen=True):
    endpoint: str
    tool: str
    command: str


class Commands(msgspec.Struct, frozen=True):
    items: list[Command]


class Tree(msgspec.Struct, frozen=True):
    items: list[Referrer]


class Report(msgspec.Struct, frozen=True):
    deleted: list[str]
    tags: int
    refused: list[dict[str, str]]
    freed: int
    undo: str


def manifests_of(client: Client, path: str) -> str:
    return f"/api/v1/images/{find(client, 'images', path)}/manifests"


def size_of(manifest: images.Manifest) -> int:
    return sum(len(blob.data) for blob in manifest.blobs)


def delete_several(client: Client, where: str, **order: object) -> Reply:
    headers = {"Content-Type": "application/json"}
    return client.request("POST", f"{where}/deletions", msgspec.json.encode(order), headers)


def test_each_digest_is_a_row_with_its_tags_platforms_and_size(admin: Client) -> None:
    admin.push("rows/api", INDEX, "1", "latest")
    where = manifests_of(admin, "rows/api")

    rows = {row.digest: row for row in admin.get(where).expect(200).decode(Manifests).items}

    index, amd = rows[INDEX.digest], rows[AMD.digest]
    assert (index.kind, index.state, index.tag_count, index.is_listed) == ("index", "Active", 2, False)
    assert [tag["name"] for tag in index.tags] == ["1", "latest"]
    assert index.platforms == [
        Platform("linux/amd64", AMD.digest, size_of(AMD), is_here=True),
        Platform("linux/arm64", ARM.digest, size_of(ARM), is_here=True),
    ]
    assert index.size == size_of(AMD) + size_of(ARM)
    assert (amd.kind, amd.size, amd.tag_count, amd.is_listed) == ("image", size_of(AMD), 0, True)
    assert [one.platform for one in amd.platforms] == ["linux/amd64"]


def test_rows_come_in_pages_newest_first_and_can_be_told_apart_by_tags(admin: Client) -> None:
    made = [images.image([{"n": str(number).encode()}]) for number in range(5)]
    for number, manifest in enumerate(made):
        admin.push("paged/rows", manifest, *([f"t{number}"] if number % 2 else []))
    where, found = manifests_of(admin, "paged/rows"), []
    cursor: str | None = ""

    while cursor is not None:
        page = admin.get(f"{where}?limit=2&cursor={cursor}").expect(200).decode(Manifests)
        found += [row.digest for row in page.items]
        cursor = page.next

    assert found == [manifest.digest for manifest in reversed(made)]
    tagged = admin.get(f"{where}?tagged=true&sort=pushed").decode(Manifests).items
    assert [row.digest for row in tagged] == [made[1].digest, made[3].digest]
    assert len(admin.get(f"{where}?tagged=false").decode(Manifests).items) == 3
    assert [row.digest for row in admin.get(f"{where}?name=3").decode(Manifests).items] == [made[3].digest]
    assert admin.get(f"{where}?name=%25").decode(Manifests).items == []
    admin.get(f"{where}?cursor=eA").expect(400)


def test_an_image_is_told_in_full_with_the_history_of_its_build(admin: Client) -> None:
    config = json.loads(AMD.blobs[0].data)
    config["history"] = [
        {"created_by": "ADD rootfs"},
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "COPY tool"},
    ]
    config["config"] = {"Cmd": ["/tool"], "Labels": {"org": "till"}}
    blob = images.Blob(images.encode(config))
    body = json.loads(AMD.body)
    manifest = AMD.variant(config=blob.descriptor(body["config"]["mediaType"]))
    manifest = msgspec.structs.replace(manifest, blobs=(blob, *AMD.blobs[1:]))
    admin.push("full/api", manifest, "1")

    shown = admin.get(f"{manifests_of(admin, 'full/api')}/{manifest.digest}").expect(200).decode(Full)

    assert shown.build is not None
    assert (shown.build.platform, shown.build.command) == ("linux/amd64", ["/tool"])
    sizes = [len(layer.data) for layer in AMD.blobs[1:]]
    assert [(step.created_by, step.size, step.is_empty) for step in shown.build.history] == [
        ("ADD rootfs", sizes[0], False),
        ("ENV A=b", 0, True),
        ("COPY tool", sizes[1], False),
    ]
    assert [layer["size"] for layer in shown.layers] == sizes
    assert shown.config is not None
    assert shown.config["digest"] == blob.digest
    assert (shown.chart, shown.notes) == (None, [])


def test_a_chart_tells_its_name_version_and_values(admin: Client) -> None:
    admin.push("charts/greeting", make.chart("greeting", "1.2.3"), "1.2.3")

    shown = admin.get(f"{manifests_of(admin, 'charts/greeting')}/{make.chart('greeting', '1.2.3').digest}")

    full = shown.expect(200).decode(Full)
    assert (full.kind, full.build) == ("chart", None)
    assert full.chart == Chart("greeting", "1.2.3", "", [], "greeting: hello\n")


def test_the_commands_that_pull_it_are_told_for_each_endpoint(server: Server, admin: Client) -> None:
    admin.push("commands/api", AMD, "1")
    where = f"{manifests_of(admin, 'commands/api')}/{AMD.digest}/commands"

    by_tag = admin.get(f"{where}?tag=1").expect(200).decode(Commands).items
    by_digest = admin.get(where).expect(200).decode(Commands).items

    assert {one.tool for one in by_tag} == {"docker", "podman", "kubernetes", "oras"}
    assert f"docker pull {server.address}/commands/api:1" in {one.command for one in by_tag}
    assert f"docker pull {server.address}/commands/api@{AMD.digest}" in {one.command for one in by_digest}
    assert {one.endpoint for one in by_tag} == {"private"}


def test_what_refers_to_a_manifest_is_a_tree(admin: Client) -> None:
    sbom = images.artifact("application/spdx+json", b"{}", subject=AMD)
    signature = images.artifact("application/vnd.dev.sigstore.bundle.v0.3+json", b"s", subject=sbom)
    old = images.artifact("application/vnd.dev.cosign.artifact.sig.v1+json", b"x")
    admin.push("tree/api", AMD, "1")
    for manifest in (sbom, signature):
        admin.push("tree/api", manifest)
    tag = AMD.digest.replace(":", "-") + ".sig"
    admin.push("tree/api", old, tag)

    tree = admin.get(f"{manifests_of(admin, 'tree/api')}/{AMD.digest}/referrers").expect(200).decode(Tree).items

    assert tree == [
        Referrer(sbom.digest, "sbom", "", [Referrer(signature.digest, "signature", "", [])]),
        Referrer(old.digest, "signature", tag, []),
    ]


def test_tags_of_a_manifest_are_renamed_all_or_nothing(admin: Client) -> None:
    admin.push("rename/api", AMD, "old", "kept")
    admin.push("rename/api", ARM, "taken")
    where = f"{manifests_of(admin, 'rename/api')}/{AMD.digest}"

    refused = change(admin, where, {"add": ["new", "taken"], "remove": ["old"]}).expect(409)
    done = change(admin, where, {"add": ["new"], "remove": ["old"]}).expect(200).decode(Manifest)

    assert "tag taken names another manifest" in problem(refused.body).detail
    assert [tag["name"] for tag in done.tags] == ["kept", "new"]
    assert admin.list_tags("rename/api") == ["kept", "new", "taken"]


def test_several_go_together_after_a_look_at_what_that_takes(admin: Client) -> None:
    shared = {"shared": b"s" * 1000}
    one, two, stays = (images.image([shared, {"several": str(number).encode()}]) for number in range(3))
    for number, manifest in enumerate((one, two, stays)):
        admin.push("several/api", manifest, f"t{number}")
    where, digests = manifests_of(admin, "several/api"), [one.digest, two.digest]

    preview = delete_several(admin, where, digests=digests, dryRun=True).expect(200).decode(Report)
    assert admin.list_tags("several/api") == ["t0", "t1", "t2"]
    done = delete_several(admin, where, digests=digests).expect(200).decode(Report)

    alone = {blob.digest: len(blob.data) for blob in (*one.blobs, *two.blobs)}
    for blob in stays.blobs:
        alone.pop(blob.digest, None)
    assert preview.freed == sum(alone.values())
    assert (preview.deleted, preview.tags, preview.refused) == (digests, 2, [])
    assert (done.deleted, done.freed) == (digests, preview.freed)
    assert admin.list_tags("several/api") == ["t2"]
    admin.assert_holds("several/api", "t2", stays)

    admin.request("POST", f"/api/v1/deletions/{done.undo}/undo", b"").expect(200)
    assert admin.list_tags("several/api") == ["t0", "t1", "t2"]
    admin.assert_holds("several/api", "t0", one)


def test_one_that_is_refused_keeps_them_all_unless_told_otherwise(admin: Client) -> None:
    admin.push("partly/api", AMD, "free")
    admin.push("partly/api", ARM, "held")
    where, digests = manifests_of(admin, "partly/api"), [AMD.digest, ARM.digest, ZEROS]
    change(admin, where.replace("/manifests", "/tags/held"), {"locked": True}).expect(200)

    refused = delete_several(admin, where, digests=digests).expect(409)
    preview = delete_several(admin, where, digests=digests, dryRun=True).expect(200).decode(Report)
    assert admin.list_tags("partly/api") == ["free", "held"]
    done = delete_several(admin, where, digests=digests, skipRefused=True).expect(200).decode(Report)

    assert "2 of 3 digests are refused" in problem(refused.body).detail
    reasons = {ARM.digest: "tag held is locked", ZEROS: "partly/api has no such manifest"}
    for report in (preview, done):
        assert {one["digest"]: one["reason"] for one in report.refused} == reasons
        assert report.deleted == [AMD.digest]
    assert admin.list_tags("partly/api") == ["held"]


@pytest.mark.parametrize("digests", [[], ["x"], [f"sha256:{number:064}" for number in range(51)]])
def test_none_too_many_and_no_digests_are_a_400(admin: Client, digests: list[str]) -> None:
    admin.push("many/api", AMD, "1")

    delete_several(admin, manifests_of(admin, "many/api"), digests=digests).expect(400)


def test_a_deleted_image_is_listed_and_comes_back(admin: Client, viewer: Client) -> None:
    admin.push("back/api", INDEX, "1")
    admin.delete(f"/api/v1/images/{find(admin, 'images', 'back/api')}").expect(204)

    listed = admin.get("/api/v1/deletions?path=back/api").expect(200).decode(List).items
    assert [one.path for one in listed] == ["back/api"]
    viewer.request("POST", f"/api/v1/deletions/{listed[0].id}/undo", b"").expect(403)
    admin.request("POST", f"/api/v1/deletions/{listed[0].id}/undo", b"").expect(200)

    admin.assert_holds("back/api", "1", INDEX)
    assert admin.get("/api/v1/deletions?path=back/api").decode(List).items == []
    admin.request("POST", f"/api/v1/deletions/{listed[0].id}/undo", b"").expect(404)


def test_the_manifest_itself_is_shown_byte_for_byte_to_whoever_may_view_the_image(
    admin: Client, viewer: Client, nobody: Client
) -> None:
    admin.push("bytes/api", INDEX, "1")
    where = f"{manifests_of(admin, 'bytes/api')}/{INDEX.digest}/content"

    reply = viewer.get(where).expect(200)

    assert reply.body == INDEX.body
    assert reply.headers["content-type"].startswith("application/json")
    assert nobody.get(where).status == 404
