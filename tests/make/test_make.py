"""The hand-made content is the same on every machine: its digests are written here."""

import gzip
import io
import json
import tarfile

from tests import make

MADE = {
    "image": make.image(),
    "docker image": make.docker_image(),
    "two layers": make.image([{"a": b"1"}, {".wh.a": b""}]),
    "index": make.index([make.image(), make.image(platform="linux/arm64")]),
    "nested index": make.index([make.index([make.image()])]),
    "sha512": make.image(algorithm="sha512"),
    "artifact": make.artifact("application/vnd.example.sbom", b"packages", subject=make.image()),
    "chart": make.chart(),
}


def test_every_digest_is_the_one_of_the_first_day() -> None:
    found = {name: manifest.digest[:23] for name, manifest in MADE.items()}

    assert found == {
        "image": "sha256:6e7ef921ae0d6baf",
        "docker image": "sha256:4a321dded6f7ad04",
        "two layers": "sha256:711ca20a1d39663c",
        "index": "sha256:53aa65a22a3f2480",
        "nested index": "sha256:ba0bdd90396c4e4e",
        "sha512": "sha512:9df1e444b25fe81c",
        "artifact": "sha256:610d4846a8c717cb",
        "chart": "sha256:2d1afe82ea5832f9",
    }


def test_stored_gzip_is_gzip() -> None:
    for data in (b"", b"short", b"x" * 0xFFFF, b"y" * 200_000):
        assert gzip.decompress(make.gzip_stored(data)) == data


def test_a_layer_holds_what_was_asked_for() -> None:
    layer = make.tar({"bin/tool": make.executable(b"#!"), "bin/t": make.link("tool"), "var": make.folder()})

    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        members = {member.name: member for member in archive}
    assert members["bin/tool"].mode == 0o755
    assert members["bin/t"].linkname == "tool"
    assert members["var"].isdir()


def test_a_variant_changes_only_what_it_names() -> None:
    plain = make.image()

    changed = plain.variant(mediaType=None, annotations={"a": "b"})

    content = json.loads(plain.body)
    del content["mediaType"]
    assert json.loads(changed.body) == {**content, "annotations": {"a": "b"}}
    assert changed.blobs == plain.blobs
