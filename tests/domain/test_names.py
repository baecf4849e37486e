import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.names import (
    Digest,
    ImagePath,
    algorithm_of,
    from_bytes,
    hex_of,
    is_digest,
    natural_key,
    parse_digest,
    parse_image_path,
    parse_registry_name,
    parse_repository_name,
    parse_tag,
    to_bytes,
)
from appliance.errors import DigestInvalid, NameInvalid, TagInvalid

SHA256, SHA512 = "sha256:" + "0f" * 32, "sha512:" + "0f" * 64
_COMPONENT = st.from_regex(
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", fullmatch=True, alphabet=string.ascii_letters + "0123456789._-"
)


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_a_digest_survives_the_way_into_the_database_and_back(text: str) -> None:
    digest = parse_digest(text)

    assert from_bytes(to_bytes(digest)) == digest
    assert f"{algorithm_of(digest)}:{hex_of(digest)}" == text


@given(st.sampled_from([("sha256", 32), ("sha512", 64)]), st.data())
def test_every_digest_survives(kind: tuple[str, int], data: st.DataObject) -> None:
    algorithm, length = kind
    digest = Digest(f"{algorithm}:{data.draw(st.binary(min_size=length, max_size=length)).hex()}")

    assert parse_digest(from_bytes(to_bytes(digest))) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "0" * 128,
        "sha512:" + "0" * 64,
        "sha256:" + "0" * 63 + "g",
        "SHA256:" + "0" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 64 + "\n",
        " sha256:" + "0" * 64,
        "sha256:../../../../etc/passwd",
        "sha256:" + "\u0660" * 64,  # digits, but not ours
        "sha256:" + "0" * 31 + "/" + "0" * 32,
        "md5:" + "0" * 32,
        "sha384:" + "0" * 96,
        "sha256:" + "0" * 10_000,
        "sha256:" + "0" * 63 + "\0",
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid):
        parse_digest(text)


@pytest.mark.parametrize("text", ["1", "latest", "V1.0_b-2", "_x", "a" * 128, "sha256-" + "0" * 64 + ".sig", "1..2--"])
def test_a_tag_is_a_tag(text: str) -> None:
    assert parse_tag(text) == text
    assert not is_digest(text)


@pytest.mark.parametrize(
    "text", ["", ".a", "-a", "a" * 129, "a:b", "a/b", "a b", "a\n", "..", "é", "a\0", "a%2f", "a+b", "a\\b"]
)
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(text)


@pytest.mark.parametrize(
    ("text", "repository", "image"),
    [
        ("alpine", "library", "alpine"),
        ("library/alpine", "library", "alpine"),
        ("pay/api", "pay", "api"),
        ("pay/api/cache", "pay", "api/cache"),
        ("a.b_c__d---e/f", "a.b_c__d---e", "f"),
        ("0/1/2/3/4/5", "0", "1/2/3/4/5"),
        ("a/blobs/uploads", "a", "blobs/uploads"),
        ("a" * 255, "library", "a" * 255),
    ],
)
def test_a_name_is_a_repository_and_an_image(text: str, repository: str, image: str) -> None:
    path = parse_image_path(text)

    assert (path.repository, path.image) == (repository, image)
    assert str(path) == f"{repository}/{image}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "A/b",
        "a/B",
        ".a",
        "a.",
        "a..b",
        "a___b",
        "a._b",
        "-a",
        "a-",
        "a/../b",
        "a/./b",
        "..",
        "a\\b",
        "a%2fb",
        "a b",
        "a\n",
        "a\0b",
        "é/b",
        "a/\u0430",  # Cyrillic
        "localhost:5000/a",
        "a" * 256,
        "a/" * 5000 + "a",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(NameInvalid):
        parse_image_path(text)


@given(st.lists(_COMPONENT, min_size=1, max_size=4).map("/".join))
def test_every_name_of_the_grammar_is_taken_up_to_255_characters(text: str) -> None:
    if len(text) > 255:
        with pytest.raises(NameInvalid):
            parse_image_path(text)
    else:
        assert str(parse_image_path(text)) in (text, f"library/{text}")


@given(st.text("ab0._-/", max_size=300))
def test_no_name_leaves_its_place(text: str) -> None:
    try:
        path = parse_image_path(text)
    except NameInvalid:
        return

    parts = str(path).split("/")
    assert len(parts) > 1
    assert all(part[0].isalnum() and part[-1].isalnum() for part in parts)


def test_a_long_run_of_separators_is_refused_at_once() -> None:
    with pytest.raises(NameInvalid):
        parse_repository_name("a" + "-" * 200)
    with pytest.raises(NameInvalid):
        parse_image_path("a" * 100 + "-" * 100 + "/" + "_" * 20)


@pytest.mark.parametrize("text", ["ab/c", "a_b/c", "alpine", "a" * 31 + "/c", "a.bc/d"])
def test_strict_names_follow_the_manual(text: str) -> None:
    with pytest.raises(NameInvalid, match="scr_strict"):
        parse_image_path(text, strict=True)


def test_a_strict_name_is_taken() -> None:
    assert parse_image_path("pay-2/a_b/c", strict=True) == ImagePath(parse_repository_name("pay-2"), "a_b/c")  # type: ignore[arg-type]  # an ImageName as text


@pytest.mark.parametrize("text", ["ab", "a" * 26, "1ab", "a-b", "Abc", "a.b", "abc\n", ""])
def test_registry_names_always_follow_the_manual(text: str) -> None:
    with pytest.raises(NameInvalid):
        parse_registry_name(text)


def test_natural_order_counts_as_people_do() -> None:
    names = ["1.10", "1.9", "1.2", "v2", "v10", "1.9.1", "a", "10", "9", "0", "1.02"]

    assert sorted(names, key=natural_key) == ["0", "1.2", "1.02", "1.9", "1.9.1", "1.10", "9", "10", "a", "v2", "v10"]


@given(st.integers(0, 10**90), st.integers(0, 10**90))
def test_natural_order_of_numbers_is_the_order_of_numbers(one: int, other: int) -> None:
    assert (natural_key(f"v{one}.x") < natural_key(f"v{other}.x")) == (one < other)
