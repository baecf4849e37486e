"""What a scan found, in every form: as its schema demands, whole, and the same each time."""

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest
from appliance.domain.vulnerability import (
    Cvss,
    DataVersion,
    Distribution,
    Ecosystem,
    Finding,
    Inventory,
    Package,
    Report,
    Secret,
    Severity,
    Status,
)
from appliance.scan import purl
from appliance.scan.exports import FORMS
from appliance.scan.exports.told import Row, Told
from appliance.scan.feeds import trivy
from appliance.scan.match import match
from tests.scan.expected import FIXTURES, dense_database
from tests.scan.layouts import inventory
from tests.scan.memory_lookup import MemoryLookup

SCHEMAS = FIXTURES.parent / "schemas"
THEN = Timestamp(1_785_542_400_000)
DATA = DataVersion("sha256:d", THEN)
Document = dict[str, Any]
TEXT = st.text(max_size=12)
PACKAGES = st.builds(
    Package,
    st.sampled_from(Ecosystem),
    st.text(min_size=1, max_size=12),
    TEXT,
    purl=st.sampled_from(["", "pkg:npm/a@1", "pkg:deb/debian/b@2?arch=amd64"]),
    licences=st.lists(st.sampled_from(["MIT", "GPL-2.0-only", "something of our own"]), max_size=2).map(tuple),
    found_in=TEXT,
    layer=st.just("sha256:l"),
)
SCORES = st.builds(
    Cvss, TEXT, st.sampled_from("234"), st.just("CVSS:3.1/AV:N"), st.none() | st.floats(0, 10, allow_nan=False)
)
FINDINGS = st.builds(
    Finding,
    st.text(min_size=1, max_size=12),
    PACKAGES,
    st.sampled_from(Severity),
    TEXT,
    st.sampled_from(Status),
    TEXT,
    TEXT,
    st.lists(st.text("ABC-1:", min_size=1, max_size=6), max_size=2).map(tuple),
    TEXT,
    st.none() | SCORES,
)
SECRETS = st.builds(
    Secret, st.text(min_size=1, max_size=8), TEXT, st.sampled_from(Severity), TEXT, st.integers(0, 9), TEXT
)
ROWS = st.builds(Row, FINDINGS, st.sampled_from(["", "accepted", "severity"]), TEXT)


def validator(name: str) -> Callable[[Any], None]:
    """What raises unless a document is as the schema of that name demands."""
    loaded = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    named = [(f"http://cyclonedx.org/schema/{file}", schema) for file, schema in loaded.items()]
    return jsonschema_rs.validator_for(loaded[name], registry=jsonschema_rs.Registry(named)).validate


CYCLONEDX, SARIF = validator("bom-1.6.SNAPSHOT.schema.json"), validator("sarif-2.1.0.json")


def told_of(report: Report, rows: tuple[Row, ...]) -> Told:
    return Told("registry.example.com/pay/api", Digest("sha256:" + "ab" * 32), report, rows, "1.0")


def made(rows: list[Row], packages: list[Package], secrets: list[Secret], data: DataVersion | None) -> Told:
    found = Inventory(Distribution("debian", "12"), tuple(packages), tuple(secrets))
    return told_of(Report(found, tuple(row.finding for row in rows), (), (), data, THEN, THEN), tuple(rows))


ANYTHING = st.builds(
    made,
    st.lists(ROWS, max_size=4),
    st.lists(PACKAGES, max_size=4),
    st.lists(SECRETS, max_size=3),
    st.sampled_from([None, DATA]),
)


@pytest.fixture(scope="module")
def real() -> Told:
    """A real image with findings of close advisories."""
    image = inventory(FIXTURES / "lang/lang-image.tar.gz")
    found = match(image, MemoryLookup(trivy.read(dense_database())), THEN)
    report = Report(image, found.findings, found.unjudged, found.uncovered, DATA, THEN, THEN)
    first = Row(found.findings[0], "accepted", "not reachable")
    return told_of(report, (first, *(Row(finding) for finding in found.findings[1:])))


def document(told: Told, form: str) -> Document:
    read: Document = json.loads(FORMS[form].write(told))
    return read


def check_spdx(bill: Document) -> None:
    """Hold a document against SPDX 2.3: what is demanded, of which shape, and that references lead somewhere."""
    assert (bill["spdxVersion"], bill["dataLicense"], bill["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert bill["name"]
    assert re.fullmatch(r"[a-z]+:[^#\s]+", bill["documentNamespace"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", bill["creationInfo"]["created"])
    assert all(re.fullmatch(r"(Tool|Person|Organization): .+", one) for one in bill["creationInfo"]["creators"])
    ids = [one["SPDXID"] for one in bill["packages"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in ids)
    for one in bill["packages"]:
        assert one["name"]
        assert one["downloadLocation"] == one["licenseConcluded"] == one["copyrightText"] == "NOASSERTION"
        assert one["filesAnalyzed"] is False
        assert re.fullmatch(r"NOASSERTION|[A-Za-z0-9.-]+( AND [A-Za-z0-9.-]+)*", one["licenseDeclared"])
        assert all(ref["referenceLocator"].startswith("pkg:") for ref in one.get("externalRefs", ()))
    known = {"SPDXRef-DOCUMENT", *ids}
    for relation in bill["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= known
        assert relation["relationshipType"] in ("DESCRIBES", "CONTAINS")


def check_openvex(vex: Document) -> None:
    """Hold a document against OpenVEX 0.2.0."""
    assert vex["@context"] == "https://openvex.dev/ns/v0.2.0"
    assert vex["@id"].startswith("urn:uuid:")
    assert vex["author"]
    assert vex["timestamp"]
    assert isinstance(vex["version"], int)
    for one in vex["statements"]:
        assert one["vulnerability"]["name"]
        assert one["products"][0]["@id"].startswith("pkg:oci/")
        assert one["status"] in ("not_affected", "affected", "fixed", "under_investigation")
        assert one["status"] != "affected" or one["action_statement"]
        assert one["status"] != "not_affected" or one["impact_statement"]


@given(ANYTHING)
def test_whatever_was_found_cyclonedx_is_as_its_schema_demands(told: Told) -> None:
    bill = document(told, "cyclonedx")

    CYCLONEDX(bill)
    refs = [one["bom-ref"] for one in [*bill["components"], *bill["vulnerabilities"]]]
    assert len(set(refs)) == len(refs)


@given(ANYTHING)
def test_whatever_was_found_sarif_is_as_its_schema_demands(told: Told) -> None:
    run = document(told, "sarif")["runs"][0]

    SARIF(document(told, "sarif"))
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])
    assert len({one["id"] for one in rules}) == len(rules)


@given(ANYTHING)
def test_whatever_was_found_spdx_and_openvex_are_as_demanded(told: Told) -> None:
    check_spdx(document(told, "spdx"))
    check_openvex(document(told, "openvex"))


@given(ANYTHING)
def test_whatever_was_found_csv_has_a_line_for_each_and_no_formula(told: Told) -> None:
    rows = list(csv.reader(io.StringIO(FORMS["csv"].write(told).decode(), newline="")))

    assert len(rows) == 1 + len(told.rows) + len(told.report.inventory.secrets)
    assert {len(row) for row in rows} == {len(rows[0])}
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)


def test_a_real_image_is_told_whole_in_every_form(real: Told) -> None:
    bill, run, spdx = document(real, "cyclonedx"), document(real, "sarif")["runs"][0], document(real, "spdx")
    plain, vex = document(real, "json"), document(real, "openvex")
    packages, findings = real.report.inventory.packages, real.report.findings

    CYCLONEDX(bill)
    SARIF(document(real, "sarif"))
    check_spdx(spdx)
    check_openvex(vex)
    assert len(plain["packages"]) == len(packages) == len(spdx["packages"]) - 1
    assert len(findings) > 700
    assert {len(found) for found in (plain["vulnerabilities"], run["results"], bill["vulnerabilities"])} == {
        len(findings)
    }
    affected = {one["affects"][0]["ref"] for one in bill["vulnerabilities"]}
    assert affected <= {one["bom-ref"] for one in bill["components"]}


def test_the_same_scan_gives_the_same_bytes(real: Told) -> None:
    for form in FORMS.values():
        assert form.write(real) == form.write(real)


def test_what_somebody_accepted_is_told_with_the_reason(real: Told) -> None:
    assert document(real, "openvex")["statements"][0]["impact_statement"] == "not reachable"
    assert document(real, "cyclonedx")["vulnerabilities"][0]["analysis"]["detail"] == "not reachable"
    suppressed = document(real, "sarif")["runs"][0]["results"][0]["suppressions"]
    assert suppressed[0]["justification"] == "not reachable"


def test_a_scan_without_data_is_not_taken_for_a_clean_one(real: Told) -> None:
    blind = replace(real, report=replace(real.report, data=None, findings=()), rows=())

    invocation = document(blind, "sarif")["runs"][0]["invocations"][0]
    assert not invocation["executionSuccessful"]
    assert "no vulnerability data" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    assert document(blind, "cyclonedx")["compositions"][0]["aggregate"] == "incomplete"
    assert not document(blind, "json")["isComplete"]


def test_an_image_has_a_package_url(real: Told) -> None:
    assert real.purl == (f"pkg:oci/api@sha256%3A{'ab' * 32}?repository_url=registry.example.com%2Fpay%2Fapi")


def test_packages_of_real_images_have_urls(real: Told) -> None:
    some = next(one for one in real.report.inventory.packages if one.ecosystem is Ecosystem.NPM)

    assert some.purl == purl.build(some, real.report.inventory.distribution)


def test_a_finding_that_is_accepted_makes_another_document_of_openvex(real: Told) -> None:
    """One version of a document has one text: another text is another document."""
    other = replace(real, rows=tuple(Row(row.finding) for row in real.rows))

    assert document(real, "openvex")["@id"] == document(real, "openvex")["@id"] != document(other, "openvex")["@id"]
