"""The import of OSV records: real ones, checked against the versions they list; and each part by hand."""

import io
import mmap
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.vulnerability import (
    Advisory,
    Cvss,
    Ecosystem,
    FeedRecord,
    Severity,
    Span,
    VendorSeverity,
    Vulnerability,
)
from appliance.errors import FeedInvalid
from appliance.scan.feeds import osv
from appliance.scan.matching.verdict import is_vulnerable
from appliance.scan.versions import SCHEMES, VersionInvalid
from tests.scan.expected import FIXTURES

PYPI = (FIXTURES / "osv/pypi.jsonl").read_bytes().splitlines()
GO = (FIXTURES / "osv/go.jsonl").read_bytes().splitlines()


class _Listed(msgspec.Struct):
    versions: list[str]


class _Listing(msgspec.Struct):
    affected: list[_Listed]


def _read(**record: object) -> list[FeedRecord]:
    return list(osv.read_record(msgspec.json.encode({"id": "GHSA-1", **record}), "record"))


def _affected(ecosystem: str, *events: dict[str, str], name: str = "left-pad", **more: object) -> list[object]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    return [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, **more}]


def _advisory(records: list[FeedRecord]) -> Advisory:
    [advisory] = [record for record in records if isinstance(record, Advisory)]
    return advisory


def _is_vulnerable(version: str, advisory: Advisory) -> bool | None:
    try:
        return is_vulnerable(SCHEMES[Ecosystem.PYPI], version, advisory)
    except VersionInvalid:
        return None


def test_of_every_real_record_exactly_the_listed_versions_are_vulnerable() -> None:
    listed: dict[str, set[str]] = {}
    advisories: list[tuple[Advisory, set[str]]] = []
    for line in PYPI:
        found = [record for record in osv.read_record(line, "record") if isinstance(record, Advisory)]
        listing = msgspec.json.decode(line, type=_Listing).affected
        for advisory, one in zip(found, listing, strict=False):  # a record that was withdrawn has no advisory
            listed.setdefault(advisory.name, set()).update(one.versions)
            advisories.append((advisory, set(one.versions)))

    wrong = [
        (advisory.id, version)
        for advisory, versions in advisories
        for version in listed[advisory.name]
        if (answer := _is_vulnerable(version, advisory)) is not None and answer is not (version in versions)
    ]

    assert sum(len(listed[advisory.name]) for advisory, _versions in advisories) > 50_000
    assert wrong == []


def test_every_real_go_record_that_stands_is_read() -> None:
    records = list(osv.read_lines(GO))

    assert sum(isinstance(record, Advisory) for record in records) == 419
    assert {record.namespace for record in records if isinstance(record, Advisory)} == {"golang"}


def test_a_flaw_goes_by_its_cve_and_keeps_its_other_names() -> None:
    records = _read(aliases=["SNYK-1", "CVE-2020-1"], affected=_affected("npm", {"introduced": "0"}))

    advisory = _advisory(records)
    assert (advisory.id, advisory.aliases, advisory.vendor_ids) == ("CVE-2020-1", ("GHSA-1", "SNYK-1"), ("GHSA-1",))
    assert [record.id for record in records if isinstance(record, Vulnerability)] == ["CVE-2020-1"]


def test_a_flaw_without_a_cve_goes_by_its_own_name() -> None:
    advisory = _advisory(_read(affected=_affected("npm", {"introduced": "0"})))

    assert (advisory.id, advisory.feed, advisory.vendor_ids) == ("GHSA-1", "ghsa", ())


def test_an_erratum_of_a_distribution_counts_for_each_flaw_it_mends() -> None:
    body = {"id": "ALSA-1", "related": ["CVE-1", "CVE-2"], "affected": _affected("AlmaLinux:8", {"introduced": "0"})}

    records = list(osv.read_record(msgspec.json.encode(body), "record"))

    found = [record for record in records if isinstance(record, Advisory)]
    assert [(one.namespace, one.id, one.vendor_ids, one.aliases) for one in found] == [
        ("alma 8", "CVE-1", ("ALSA-1",), ()),
        ("alma 8", "CVE-2", ("ALSA-1",), ()),
    ]


def test_a_record_that_was_withdrawn_says_nothing() -> None:
    assert _read(withdrawn="2024-01-01T00:00:00Z", affected=_affected("npm", {"introduced": "0"})) == []


@pytest.mark.parametrize(
    ("ecosystem", "namespace"),
    [
        ("PyPI", "pypi"),
        ("Packagist", "composer"),
        ("RubyGems", "gem"),
        ("NuGet", "nuget"),
        ("Maven", "maven"),
        ("Go", "golang"),
        ("Debian:12", "debian 12"),
        ("Ubuntu:22.04:LTS", "ubuntu 22.04"),
        ("Ubuntu:24.10", "ubuntu 24.10"),
        ("Alpine:v3.20", "alpine 3.20"),
        ("AlmaLinux:9", "alma 9"),
        ("Wolfi", "wolfi"),
    ],
)
def test_an_ecosystem_has_its_namespace(ecosystem: str, namespace: str) -> None:
    assert _advisory(_read(affected=_affected(ecosystem, {"introduced": "0"}))).namespace == namespace


@pytest.mark.parametrize("ecosystem", ["Linux", "Ubuntu:Pro:18.04:LTS", "Rocky Linux:8", "Android", "GIT", "Debian"])
def test_an_ecosystem_that_no_detector_or_rule_knows_is_left_out(ecosystem: str) -> None:
    assert _read(affected=_affected(ecosystem, {"introduced": "0"})) == []


@pytest.mark.parametrize(
    ("events", "spans"),
    [
        ([{"introduced": "0"}], (Span(),)),
        ([{"introduced": "0"}, {"fixed": "1.2.0"}], (Span("", "1.2.0"),)),
        ([{"introduced": "1.0.0"}, {"last_affected": "1.2.0"}], (Span("1.0.0", last="1.2.0"),)),
        ([{"introduced": "0"}, {"limit": "2.0.0"}], (Span("", "2.0.0"),)),
        ([{"introduced": "1.0.0"}, {"limit": "*"}], (Span("1.0.0"),)),
        (
            [{"fixed": "1.10.0"}, {"introduced": "1.9.0"}, {"introduced": "0"}, {"fixed": "1.2.0"}],
            (Span("", "1.2.0"), Span("1.9.0", "1.10.0")),
        ),
        ([{"introduced": "0"}, {"introduced": "1.0.0"}, {"fixed": "2.0.0"}], (Span("", "2.0.0"),)),
        ([{"introduced": "0"}, {"fixed": "1.0.0"}, {"fixed": "2.0.0"}], (Span("", "1.0.0"),)),
        ([{"introduced": "0"}, {"fixed": "not a version"}], (Span("", "not a version"),)),
    ],
)
def test_events_make_spans_in_the_order_of_their_versions(
    events: list[dict[str, str]], spans: tuple[Span, ...]
) -> None:
    assert _advisory(_read(affected=_affected("npm", *events))).spans == spans


def test_listed_versions_are_kept_where_no_span_covers_them() -> None:
    affected = _affected("npm", {"introduced": "2.0.0"}, versions=["1.0.0", "2.0.0", "odd"])

    assert _advisory(_read(affected=affected)).versions == ("1.0.0", "odd")


def test_a_range_of_commits_is_no_span() -> None:
    affected = [
        {
            "package": {"ecosystem": "npm", "name": "left-pad"},
            "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}],
            "versions": ["1.0.0"],
        }
    ]

    advisory = _advisory(_read(affected=affected))

    assert (advisory.spans, advisory.versions) == ((), ("1.0.0",))


def test_severities_scores_and_texts_are_kept() -> None:
    records = _read(
        summary="title",
        details="text",
        severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/x"}, {"type": "CVSS_V4", "score": "CVSS:4.0/x"}],
        references=[{"type": "WEB", "url": "https://example.com"}],
        database_specific={"severity": "MODERATE", "cwe_ids": ["CWE-79"]},
        affected=_affected("npm", {"introduced": "0"}),
    )

    assert records[-1] == Vulnerability(
        "GHSA-1",
        "title",
        "text",
        vendor_severities=(VendorSeverity("ghsa", Severity.MEDIUM),),
        cvss=(Cvss("ghsa", "3", "CVSS:3.1/x"), Cvss("ghsa", "4", "CVSS:4.0/x")),
        cwes=("CWE-79",),
        references=("https://example.com",),
    )


def test_ubuntus_negligible_is_kept_as_a_level_of_its_own() -> None:
    affected = _affected("Ubuntu:22.04:LTS", {"introduced": "0"}, severity=[{"type": "Ubuntu", "score": "negligible"}])

    assert _advisory(_read(affected=affected)).severity is Severity.NEGLIGIBLE


def test_what_another_database_adds_for_itself_is_no_fault() -> None:
    affected = _affected("npm", {"introduced": "0"})

    assert _read(database_specific={"severity": ["?"]}, affected=affected) == _read(affected=affected)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 1}', b"\xff", b'{"id": "x", "affected": [{"package": 1}]}'])
def test_what_is_no_record_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(FeedInvalid, match=r"GO-1\.json"):
        list(osv.read_record(body, "GO-1.json"))


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()  # the same bytes always: they are in the names of tests


def test_an_archive_gives_the_records_of_its_json_files(tmp_path: Path) -> None:
    data = _zip({"README.md": b"not JSON", **{f"{number}.json": line for number, line in enumerate(GO[:20])}})
    path = tmp_path / "all.zip"
    path.write_bytes(data)

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        from_map = list(osv.read_archive(mapped))

    assert from_map == list(osv.read_archive(data)) == list(osv.read_lines(GO[:20]))


@pytest.mark.parametrize("data", [b"", b"PK", _zip({"a.json": b"{}"})[:-30], b"PK\x03\x04" + b"\0" * 200])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(FeedInvalid):
        list(osv.read_archive(data))


def test_a_bomb_in_an_archive_is_refused() -> None:
    with pytest.raises(FeedInvalid, match="too large"):
        list(osv.read_archive(_zip({"a.json": b"\0" * (65 << 20)})))


SMALL = _zip({f"{number}.json": line for number, line in enumerate(GO[:4])})


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_archive_is_read_or_refused(data: st.DataObject) -> None:
    broken = bytearray(SMALL)
    for _change in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))

    try:
        records = list(osv.read_archive(bytes(broken)))
    except FeedInvalid:
        return
    assert len(records) < 100


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from(
    ["id", "aliases", "affected", "severity", "ranges", "events", "package", "versions", "introduced", "fixed", "type"]
)


@settings(deadline=None)
@given(record=st.dictionaries(_fields, _json, max_size=6))
def test_any_document_is_read_or_refused(record: dict[str, object]) -> None:
    try:
        records = list(osv.read_record(msgspec.json.encode(record), "record"))
    except FeedInvalid:
        return
    assert all(isinstance(one, Advisory | Vulnerability) for one in records)
