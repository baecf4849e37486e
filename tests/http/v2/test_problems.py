import json

import pytest

from appliance import errors
from appliance.errors import OutOfRange, ScrError
from appliance.http.v2.problems import ANSWERS, answer_to, warnings_of

# distribution-spec 1.1.1, "Error Codes", and what distribution adds for clients that look at them
CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
    "TAG_INVALID",
    "PAGINATION_NUMBER_INVALID",
    "UNAVAILABLE",
    "UNKNOWN",
}


def family(kind: type[ScrError]) -> list[type[ScrError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in family(child))]


@pytest.mark.parametrize("kind", family(ScrError))
def test_every_error_has_an_answer(kind: type[ScrError]) -> None:
    error = kind("what happened", 7) if issubclass(kind, OutOfRange) else kind("what happened")

    status, headers, body = answer_to(error)

    problem = json.loads(body)["errors"][0]
    assert (problem["code"] in CODES, problem["message"]) == (True, "what happened")
    assert 400 <= status < 600
    assert (b"content-type", b"application/json") in headers
    assert (b"retry-after" in dict(headers)) is (status in (429, 503, 507))


def test_the_family_decides_the_status() -> None:
    for kind, statuses in {errors.Unknown: {404}, errors.Denied: {403}, errors.Unsupported: {405}}.items():
        assert {ANSWERS[leaf][0] for leaf in family(kind)} == statuses


def test_a_chunk_out_of_order_tells_where_to_go_on() -> None:
    _, headers, _ = answer_to(OutOfRange("no", 500, "/v2/a/blobs/uploads/x"))

    assert dict(headers)[b"range"] == b"0-499"
    assert dict(headers)[b"location"] == b"/v2/a/blobs/uploads/x"


def test_a_warning_is_a_header_whatever_it_says() -> None:
    headers = warnings_of(['3 "critical"\r\nSet-Cookie: x\\', "größe"])

    assert headers == [
        (b"warning", b"299 - \"3 'critical'''Set-Cookie: x'\""),
        (b"warning", b"299 - \"gr''e\""),
    ]


def test_warnings_have_4096_bytes_in_all() -> None:
    headers = warnings_of(["x" * 1000] * 10)

    assert len(headers) == 4
    assert warnings_of(["x" * 5000]) == []
