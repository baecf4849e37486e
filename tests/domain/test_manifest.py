import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.manifest import (
    DOCKER_LIST,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    carries_itself,
    parse_manifest,
)
from appliance.errors import ManifestInvalid
from tests import make
from tests.make.images import OCI_EMPTY, encode

ZERO = "sha256:" + "0" * 64
_CONFIG = {"mediaType": "application/vnd.example.config", "digest": ZERO, "size": 2}


def image(**fields: object) -> bytes:
    """Return the body of an image without layers; `fields` come on top, None takes one away."""
    content = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": _CONFIG, "layers": []} | fields
    return encode({key: value for key, value in content.items() if value is not None})


def parse(body: bytes, content_type: str = OCI_MANIFEST) -> Manifest:
    return parse_manifest(body, content_type)


def test_an_image_names_its_config_and_layers() -> None:
    made = make.image([{"a": b"1"}, {"b": b"2"}], annotations={"org.opencontainers.image.title": "t"})

    found = parse(made.body)

    assert (found.digest, found.body) == (made.digest, made.body)
    assert [blob.digest for blob in found.blobs] == [blob.digest for blob in made.blobs]
    assert found.content_size == sum(len(blob.data) for blob in made.blobs)
    assert found.annotations == {"org.opencontainers.image.title": "t"}
    assert not found.is_index


def test_an_index_names_its_children_and_no_blobs() -> None:
    children = [make.image(), make.image(platform="linux/arm64")]
    made = make.index(children)

    found = parse(made.body, OCI_INDEX)

    assert [child.digest for child in found.children] == [child.digest for child in children]
    assert found.blobs == ()
    assert found.is_index


@pytest.mark.parametrize(
    ("made", "artifact_type"),
    [
        (make.artifact("application/vnd.example.sbom"), "application/vnd.example.sbom"),
        (make.chart(), "application/vnd.cncf.helm.config.v1+json"),
        (make.index([]), ""),
        (make.index([], artifact_type="application/vnd.example.set"), "application/vnd.example.set"),
    ],
)
def test_the_artifact_type_falls_back_to_the_configs_media_type(made: make.Manifest, artifact_type: str) -> None:
    assert parse(made.body, made.media_type).artifact_type == artifact_type


def test_non_distributable_layers_need_not_be_pushed() -> None:
    kinds = [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ]

    found = parse(image(layers=[{"mediaType": kind, "digest": ZERO, "size": 1} for kind in kinds]))

    assert [blob.media_type for blob in found.foreign] == kinds
    assert len(found.blobs) == 1  # the config


def test_a_sha512_manifest_has_a_sha512_digest() -> None:
    made = make.image(algorithm="sha512")

    assert parse_manifest(made.body, OCI_MANIFEST, "sha512").digest == made.digest


@pytest.mark.parametrize(
    ("content_type", "inner", "expected"),
    [
        ("application/vnd.oci.image.manifest.v1+json; charset=utf-8", OCI_MANIFEST, OCI_MANIFEST),
        ("Application/VND.oci.image.manifest.v1+JSON", OCI_MANIFEST, OCI_MANIFEST),
        (OCI_MANIFEST, None, OCI_MANIFEST),
        ("", OCI_MANIFEST, OCI_MANIFEST),
        ("application/json", OCI_MANIFEST, OCI_MANIFEST),
        ("", None, OCI_MANIFEST),
        ("application/vnd.example+json", None, "application/vnd.example+json"),
    ],
)
def test_the_media_type_comes_from_the_body_else_from_the_header(
    content_type: str, inner: str | None, expected: str
) -> None:
    assert parse(image(mediaType=inner), content_type).media_type == expected


def test_an_index_without_any_media_type_is_an_oci_index() -> None:
    assert parse(encode({"schemaVersion": 2, "manifests": []}), "application/octet-stream").media_type == OCI_INDEX


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        pytest.param(b"", OCI_MANIFEST, "not a manifest", id="empty"),
        pytest.param(b"[]", OCI_MANIFEST, "object", id="no object"),
        pytest.param(b"{}", "", "media type", id="nothing in it"),
        pytest.param(b"{" * 100_000, OCI_MANIFEST, "not a manifest", id="cut off"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, OCI_MANIFEST, "nested", id="deep objects"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", OCI_MANIFEST, "nested", id="deep lists"),
        pytest.param(image().decode().encode("utf-16"), OCI_MANIFEST, "not a manifest", id="UTF-16"),
        pytest.param(b"\xff" + image(), OCI_MANIFEST, "not a manifest", id="no UTF-8"),
        pytest.param(image()[:-1] + b',"layers":[]}', OCI_MANIFEST, "repeats", id="a key twice"),
        pytest.param(image()[:-1] + b',"x":{"a":1,"a":2}}', OCI_MANIFEST, "repeats", id="a key twice inside"),
        pytest.param(image()[:-1] + b',"Layers":[]}', OCI_MANIFEST, "two ways", id="a key in capitals too"),
        pytest.param(image()[:-1] + ',"layer\u017f":[]}'.encode(), OCI_MANIFEST, "two ways", id="a key with a long s"),
        pytest.param(image(config=_CONFIG | {"Digest": ZERO}), OCI_MANIFEST, "two ways", id="a digest twice"),
        pytest.param(image(manifests=[_CONFIG]), OCI_MANIFEST, "both", id="image and index"),
        pytest.param(image(manifests=[]), OCI_MANIFEST, "both", id="image and empty index"),
        pytest.param(
            encode({"mediaType": OCI_INDEX, "manifests": [], "layers": []}), OCI_INDEX, "both", id="index with layers"
        ),
        pytest.param(
            encode({"mediaType": DOCKER_LIST, "manifests": [], "config": _CONFIG}),
            DOCKER_LIST,
            "both",
            id="list with a config",
        ),
        pytest.param(image(mediaType=OCI_INDEX), OCI_MANIFEST, "make them equal", id="header against body"),
        pytest.param(image(layers=None), OCI_MANIFEST, "lacks one", id="no layers"),
        pytest.param(image(config=None), OCI_MANIFEST, "lacks one", id="no config"),
        pytest.param(encode({"mediaType": OCI_INDEX}), OCI_INDEX, "needs a list", id="no children"),
        pytest.param(image(config=_CONFIG | {"size": -1}), OCI_MANIFEST, "size", id="negative size"),
        pytest.param(image(config=_CONFIG | {"size": 1 << 63}), OCI_MANIFEST, "size", id="size past 63 bits"),
        pytest.param(image(config=_CONFIG | {"size": 10**400}), OCI_MANIFEST, "size", id="size of 400 digits"),
        pytest.param(image(layers=[_CONFIG | {"size": (1 << 62)}] * 3), OCI_MANIFEST, "add up", id="sizes add up"),
        pytest.param(image(config=_CONFIG | {"digest": "sha256:../.."}), OCI_MANIFEST, "digest", id="no digest"),
        pytest.param(image(config=_CONFIG | {"digest": "md5:" + "0" * 32}), OCI_MANIFEST, "digest", id="md5"),
        pytest.param(image(subject=_CONFIG | {"digest": ""}), OCI_MANIFEST, "digest", id="no subject digest"),
        pytest.param(image(annotations={"a": 1}), OCI_MANIFEST, "annotations", id="annotation is a number"),
        pytest.param(image()[:-1] + b',"annotations":{"a":"\\ud800"}}', OCI_MANIFEST, "not a man", id="half a pair"),
        pytest.param(encode({"mediaType": "a/b; c=d"}), "", "media type", id="media type with a parameter"),
        pytest.param(encode({"mediaType": "a/b\r\nx: y"}), "", "media type", id="media type with a line end"),
        pytest.param(encode({"mediaType": "a/" + "b" * 300}), "", "media type", id="media type too long"),
        pytest.param(encode({"mediaType": "words"}), "", "media type", id="media type without a slash"),
        pytest.param(
            encode({"schemaVersion": 1}),
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "schema 1",
            id="schema 1 by header",
        ),
        pytest.param(
            encode({"mediaType": "application/vnd.docker.distribution.manifest.v1+json"}), "", "schema 1", id="schema 1"
        ),
    ],
)
def test_what_readers_could_understand_differently_is_refused(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(ManifestInvalid, match=reason):
        parse(body, content_type)


def test_annotations_may_differ_in_capitals_only() -> None:
    assert parse(image(annotations={"key": "1", "Key": "2"})).annotations == {"key": "1", "Key": "2"}


def test_numbers_that_nobody_reads_may_be_of_any_length() -> None:
    assert parse(image()[:-1] + b',"x":' + b"9" * 4000 + b"}").media_type == OCI_MANIFEST


@pytest.mark.parametrize(
    ("data", "size", "expected"), [("e30=", 2, True), ("e30=", 3, False), ("e3w=", 2, False), ("{}", 2, False)]
)
def test_embedded_content_counts_only_if_it_is_the_content(data: str, size: int, *, expected: bool) -> None:
    part = make.Blob(b"{}").descriptor(OCI_EMPTY) | {"data": data, "size": size}

    assert carries_itself(parse(image(config=part)).blobs[0]) is expected


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_PART = st.fixed_dictionaries(
    {"digest": st.sampled_from([ZERO, "sha512:" + "1" * 128, "sha256:x"]), "size": st.integers()},
    optional={"mediaType": st.text(max_size=10), "data": _ANY, "annotations": _ANY, "platform": _ANY},
)
_CONTENT = st.fixed_dictionaries(
    {},
    optional={
        "mediaType": st.sampled_from([OCI_MANIFEST, OCI_INDEX, "a/b", "A/B", " a/b ", ""]) | st.text(max_size=9) | _ANY,
        "artifactType": st.text(max_size=10) | _ANY,
        "config": _PART | _ANY,
        "layers": st.lists(_PART, max_size=3) | _ANY,
        "blobs": st.lists(_PART, max_size=3) | _ANY,
        "manifests": st.lists(_PART, max_size=3) | _ANY,
        "subject": _PART | _ANY,
        "annotations": _ANY,
    },
)


@given(_CONTENT, st.sampled_from([OCI_MANIFEST, OCI_INDEX, "a/b", "A/B; c=d", "", "application/json"]) | st.text())
def test_a_manifest_is_refused_or_understood_the_same_whenever_it_is_read(
    content: dict[str, object], content_type: str
) -> None:
    body = json.dumps(content).encode()
    try:
        found = parse(body, content_type)
    except ManifestInvalid:
        return

    again = parse(body, found.media_type)  # as collection reads what was stored

    assert msgspec.structs.replace(again, annotations={}) == msgspec.structs.replace(found, annotations={})
    assert 0 <= found.content_size < 1 << 63
    assert found.media_type.isascii()
    assert found.media_type.isprintable()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_refused(body: bytes) -> None:
    try:
        found = parse(body, "")
    except ManifestInvalid:
        return
    assert found.body == body
