"""Documents of OpenVEX, read: what counts of them, what is not clear, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.exclusion import Judgement, Product
from appliance.domain.names import Digest
from appliance.errors import VexInvalid
from appliance.scan import vex
from appliance.scan.exports import FORMS
from appliance.scan.exports.told import Told
from appliance.scan.vex import Untaken
from tests.scan.outcome import outcome
from tests.scan.test_exports import real

__all__ = ["real"]  # a fixture
DIGEST = "sha256:" + "ab" * 32
IMAGE = f"pkg:oci/api@{DIGEST}?repository_url=registry.example.com/pay/api"
ZLIB = "pkg:apk/alpine/zlib@1.3-r0?arch=x86_64"


def statement(status: str = "not_affected", **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "vulnerability": {"name": "CVE-2026-1"},
        "products": [{"@id": IMAGE}],
        "status": status,
        "justification": "vulnerable_code_not_present" if status == "not_affected" else "",
    } | changed


def document(*statements: object, **changed: object) -> bytes:
    whole = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex/1",
        "author": "Somebody",
        "timestamp": "2026-08-01T10:00:00Z",
        "version": 1,
        "statements": statements,
    }
    return json.dumps(whole | changed).encode()


def products(*said: object) -> tuple[Product, ...] | str:
    """Return what the products of one statement stand for, or why it is not taken."""
    read = vex.read(document(statement(products=said)))
    return read.statements[0].products if read.statements else read.untaken[0].reason


def test_a_document_is_read_with_its_origin() -> None:
    said = statement(
        vulnerability={"name": "CVE-2026-1", "aliases": ["ghsa-1"]},
        impact_statement="the parser is left out",
        timestamp="2026-08-02T10:00:00+02:00",
    )

    read = vex.read(document(said, statement("affected", action_statement="upgrade"), version=3))

    assert (read.id, read.version, read.author) == ("https://example.com/vex/1", 3, "Somebody")
    assert read.issued_at == 1_785_578_400_000
    first, second = read.statements
    assert first.vulnerabilities == ("CVE-2026-1", "GHSA-1")
    assert (first.judgement, first.reason) == (
        Judgement.NOT_AFFECTED,
        "vulnerable code not present: the parser is left out",
    )
    assert first.said_at == 1_785_657_600_000
    assert (second.judgement, second.reason, second.said_at) == (Judgement.AFFECTED, "upgrade", read.issued_at)
    assert read.untaken == ()


def test_a_product_is_an_image_by_its_digest_its_path_or_the_hash_of_it() -> None:
    digest = Digest(DIGEST)

    assert products({"@id": IMAGE}) == (Product(digest),)
    assert products({"@id": IMAGE.replace(":", "%3A").replace("pkg%3A", "pkg:")}) == (Product(digest),)
    assert products({"@id": f"{IMAGE}&arch=arm64"}) == (Product(digest, "arm64"),)
    assert products({"@id": "x", "hashes": {"sha-256": "AB" * 32}}) == (Product(digest),)
    assert products({"@id": f"registry.example.com/pay/api@{DIGEST}"}) == (Product(digest),)
    assert products({"@id": "pkg:oci/api"}) == (Product(path="api"),)
    assert products({"@id": "pkg:oci/api?repository_url=example.com/pay/api"}) == (Product(path="pay/api"),)
    assert products({"@id": "pkg:oci/api?repository_url=example.com/pay"}) == (Product(path="pay/api"),)


def test_a_product_is_a_package_or_a_package_in_an_image() -> None:
    assert products({"@id": "api", "identifiers": {"purl": "pkg:npm/left-pad@1"}}) == (
        Product(purl="pkg:npm/left-pad@1"),
    )
    assert products({"@id": IMAGE, "subcomponents": [{"@id": ZLIB}, {"@id": "pkg:npm/a"}]}) == (
        Product(Digest(DIGEST), purl=ZLIB),
        Product(Digest(DIGEST), purl="pkg:npm/a"),
    )
    assert products("pkg:npm/left-pad@1") == (Product(purl="pkg:npm/left-pad@1"),)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"@id": "https://example.com/product"}, "neither a package URL nor a digest"),
        ({}, "neither a package URL nor a digest"),
        ({"@id": "pkg:oci/api?tag=1"}, "names a tag, which moves"),
        ({"@id": "pkg:oci/api@1.2"}, "names no digest as its version"),
        ({"@id": "pkg:oci/api?arch=arm64"}, "an architecture without a digest"),
        ({"@id": "pkg:npm/a", "subcomponents": [{"@id": "pkg:npm/b"}]}, "only of images are subcomponents taken"),
        ({"@id": IMAGE, "subcomponents": [{"@id": "zlib"}]}, "neither a package URL nor a digest"),
        ({"@id": IMAGE, "subcomponents": [{"@id": IMAGE}]}, "is no package URL of a package"),
        ({"@id": "pkg:npm/" + "a" * 600}, "neither a package URL nor a digest"),
    ],
)
def test_a_product_that_is_not_clear_is_not_taken(said: object, reason: str) -> None:
    told = products(said)

    assert isinstance(told, str)
    assert reason in told


def test_what_is_clear_of_a_statement_is_taken_and_the_rest_is_told() -> None:
    read = vex.read(document(statement(products=[{"@id": "pkg:npm/a"}, {"@id": "b"}])))

    assert read.statements[0].products == (Product(purl="pkg:npm/a"),)
    assert read.untaken == (Untaken(1, "'b' is neither a package URL nor a digest"),)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"justification": ""}, "without justification or impact_statement"),
        ({"justification": "we think so"}, "is no justification of OpenVEX"),
        ({"products": []}, "it names no product"),
        ({"vulnerability": {"name": " "}}, "it names no vulnerability"),
        ({"vulnerability": ""}, "it names no vulnerability"),
        ({"vulnerability": {"name": "a" * 600}}, "it names no vulnerability"),
    ],
)
def test_a_statement_that_says_too_little_is_not_taken(changed: dict[str, Any], reason: str) -> None:
    read = vex.read(document(statement(**changed)))

    assert read.statements == ()
    assert reason in read.untaken[0].reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        document(**{"@context": "https://example.com"}),
        document(**{"@context": 1}),
        document(**{"@id": ""}),
        document(author="a" * 600),
        document(timestamp="yesterday"),
        document(timestamp="2026-08-01T10:00:00"),  # nobody knows when that is
        document(version=0),
        document(version="1.2"),
        document(version=10**30),
        document(statement("not affected")),
        document(statement(products=[1])),
        document(statement(timestamp="soon")),
        document(*[statement()] * (vex.MOST_STATEMENTS + 1)),
        document(*[statement(products=[{"@id": f"pkg:npm/a{n}"} for n in range(1000)])] * 51),
        b'{"@context": "https://openvex.dev/ns", "a": ' + b"[" * 200_000,
        document(statement()).replace(b'"statements": [', b'"statements": [' + b'{"a":' * 100_000),
        b" " * (vex.LARGEST + 1),
    ],
    ids=lambda body: body[:40].decode(errors="replace") + f" {len(body)}",
)
def test_what_is_no_openvex_is_refused(body: bytes) -> None:
    with pytest.raises(VexInvalid):
        vex.read(body)


def test_a_document_as_long_as_is_read_is_read() -> None:
    said = [statement(products=[{"@id": f"pkg:npm/a{n}"} for n in range(5)])] * vex.MOST_STATEMENTS

    assert len(vex.read(document(*said)).statements) == vex.MOST_STATEMENTS


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert isinstance(outcome(lambda: vex.read(body)), str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([IMAGE, ZLIB, "fixed"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["@id", "name", "purl", "hashes", "subcomponents", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["vulnerability", "products", "status", "timestamp", "justification"]), JSON))
def test_any_statement_is_read_told_or_refused(changed: dict[str, Any]) -> None:
    read = outcome(lambda: vex.read(document(statement(**changed))))

    assert isinstance(read, str) or read.statements or read.untaken


def test_what_is_written_here_is_read_back(real: Told) -> None:
    read = vex.read(FORMS["openvex"].write(real))

    first = real.rows[0].finding
    assert read.untaken == ()
    assert len(read.statements) == len(real.rows)
    assert read.statements[0].judgement is Judgement.NOT_AFFECTED
    assert read.statements[0].vulnerabilities == (first.id,)
    assert read.statements[0].reason == "not reachable"
    assert read.statements[0].products == (Product(real.digest, purl=first.package.purl),)
    assert {one.judgement for one in read.statements[1:]} <= {Judgement.AFFECTED, Judgement.UNDER_INVESTIGATION}


FAR = ("0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-23:59")


@pytest.mark.parametrize("at", FAR)
def test_a_time_that_nobody_means_is_not_kept(at: str) -> None:
    with pytest.raises(VexInvalid, match="between 1970 and 2200"):
        vex.read(document(statement(), timestamp=at))

    read = vex.read(document(statement(timestamp=at), statement()))

    assert [one.number for one in read.untaken] == [1]
    assert len(read.statements) == 1


@pytest.mark.parametrize("version", ["9" * 5000, "00000000001", 10**11, 0, "-1"])
def test_a_version_is_a_number_of_ten_digits_at_most(version: object) -> None:
    with pytest.raises(VexInvalid, match="version"):
        vex.read(document(statement(), version=version))
