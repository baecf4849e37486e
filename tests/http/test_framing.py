"""Request smuggling and malformed HTTP, against the real server: what two parsers could read in two ways is refused."""

import pytest

from tests.http.raw import Raw
from tests.make.server import Server

HOST = b"Host: {host}\r\n"


def _post(headers: bytes, body: bytes) -> bytes:
    return b"POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
MALFORMED = {
    "two Content-Length, alike": _post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    "two Content-Length, different": _post(b"Content-Length: 5\r\nContent-Length: 0\r\n", b"hello"),
    "a list as Content-Length": _post(b"Content-Length: 5, 5\r\n", b"hello"),
    "a signed Content-Length": _post(b"Content-Length: +5\r\n", b"hello"),
    "a Content-Length past 64 bits": _post(b"Content-Length: 99999999999999999999999\r\n", b"hello"),
    "an empty Content-Length": _post(b"Content-Length:\r\n", b"hello"),
    "Content-Length and chunks": _post(b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n"),
    "chunks and Content-Length": _post(CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n"),
    "Transfer-Encoding twice": _post(CHUNKED + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"),
    "a bare LF after the request line": b"GET /v2/ HTTP/1.1\n" + HOST + b"\r\n",
    "a bare LF after a header": b"GET /v2/ HTTP/1.1\r\nX: y\n" + HOST + b"\r\n",
    "a bare CR in a header": b"GET /v2/ HTTP/1.1\r\nX: y\rZ: z\r\n" + HOST + b"\r\n",
    "a space before the colon": b"GET /v2/ HTTP/1.1\r\nX : y\r\n" + HOST + b"\r\n",
    "a header folded over two lines": b"GET /v2/ HTTP/1.1\r\nX: y\r\n  z\r\n" + HOST + b"\r\n",
    "a NUL in a header": b"GET /v2/ HTTP/1.1\r\nX: y\x00z\r\n" + HOST + b"\r\n",
    "a header without a name": b"GET /v2/ HTTP/1.1\r\n: y\r\n" + HOST + b"\r\n",
    "two Hosts": b"GET /v2/ HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no Host": b"GET /v2/ HTTP/1.1\r\n\r\n",
    "two Authorizations": b"GET /v2/ HTTP/1.1\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n"
    + HOST
    + b"\r\n",
    "the absolute form for another host": b"GET http://elsewhere/v2/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT elsewhere:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte past ASCII in the path": b"GET /v2/\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "a NUL in the path": b"GET /v2/\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /v2/#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the path": b"GET /v2/a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get /v2/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET /v2/ HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP at all": b"\x00\x01\x02\x03hello\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_can_be_read_in_two_ways_is_refused_and_ends_the_connection(server: Server, sent: bytes) -> None:
    with Raw(server) as raw:
        answer = raw.ask(sent)

        assert answer.status == 400
        assert answer.headers["connection"] == "close"
        assert raw.is_ended()


REFUSED = {
    "an unknown encoding": (_post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), 501),
    "chunks in HTTP/1.0": (b"POST /v2/ HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n", 501),
    "an encoding under the chunks": (_post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), 501),
    "HTTP/0.9": (b"GET /v2/\r\n\r\n", 505),
    "HTTP/2.0": (b"GET /v2/ HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    "an unknown expectation": (_post(b"Expect: miracles\r\nContent-Length: 0\r\n", b""), 417),
}


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_well_formed_and_not_spoken_is_refused_by_name(server: Server, sent: bytes, status: int) -> None:
    with Raw(server) as raw:
        assert raw.ask(sent).status == status
        assert raw.is_ended()


BAD_CHUNKS = {
    "a bare LF after an extension": b"5;a\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "no end of the chunk": b"5\r\nhello0\r\n\r\n",
    "a size past 64 bits": b"FFFFFFFFFFFFFFFFF\r\nhello\r\n",
    "a size with a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a space behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_a_malformed_chunk_ends_the_request(server: Server, body: bytes) -> None:
    with Raw(server) as raw:
        answer = raw.ask(b"PATCH /v2/a/b/blobs/uploads/none HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + body)

        assert answer.status in (400, 404)
        assert raw.is_ended()


def test_chunk_extensions_are_read_over(server: Server) -> None:
    with Raw(server) as raw:
        answer = raw.ask(
            b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + CHUNKED + b'\r\n2;a=b;c="d"\r\n{}\r\n0\r\n\r\n'
        )

        assert answer.status == 400
        assert b"MANIFEST_INVALID" in answer.body


def test_a_trailer_is_no_header(server: Server) -> None:
    with Raw(server) as raw:
        trailers = b"Authorization: Basic YTpi\r\nVia: 1.1 elsewhere\r\nHost: elsewhere\r\n"
        answer = raw.ask(
            b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n" + trailers + b"\r\n"
        )

        assert b"MANIFEST_INVALID" in answer.body


def test_endless_trailers_are_cut(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n")
        raw.send((b"X: " + b"y" * 8000 + b"\r\n") * 50)

        assert raw.read().status == 431
        assert raw.is_ended()


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(
            b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\nGET /v2/a/b/tags/list HTTP/1.1\r\n" + HOST + b"\r\n"
            b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n"
        )

        assert [raw.read().status for _ in range(3)] == [200, 404, 200]


def test_what_follows_a_good_request_does_not_break_its_answer(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n\x00garbage\r\n\r\n")

        assert raw.read().status == 200
        assert raw.is_ended()


def test_a_request_behind_connection_close_is_not_served(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"GET /v2/ HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\nGET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n")

        assert raw.read().status == 200
        assert raw.is_ended()


def test_a_flood_of_pipelined_requests_is_cut(server: Server) -> None:
    with Raw(server) as raw:
        raw.send((b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n") * 200)
        answered = raw.rest().count(b"HTTP/1.1 200 OK")

        assert 0 < answered < 200


def test_the_absolute_form_for_this_host_is_served(server: Server) -> None:
    with Raw(server) as raw:
        assert raw.ask(b"GET http://{host}/v2/ HTTP/1.1\r\n" + HOST + b"\r\n").status == 200


def test_an_upgrade_is_answered_as_if_nobody_had_asked(server: Server) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    with Raw(server) as raw:
        first = raw.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + upgrade + b"\r\n")
        second = raw.ask(
            b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + upgrade + b"Content-Length: 2\r\n\r\n{}"
            b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n"
        )

        assert first.status == 200
        assert b"MANIFEST_INVALID" in second.body
        assert raw.read().status == 200


@pytest.mark.parametrize("path", [b"/v2/" + b"a" * 20_000, b"/v2/a/b/manifests/1?" + b"x" * 20_000])
def test_a_long_address_is_refused(server: Server, path: bytes) -> None:
    with Raw(server) as raw:
        answer = raw.ask(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")

        assert answer.status == 414
        assert b'"errors"' in answer.body


def test_an_endless_address_is_cut(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"GET /" + b"a" * 500_000)

        assert raw.read().status in (414, 431)
        assert raw.is_ended()


@pytest.mark.parametrize("count", [1, 100])
def test_large_headers_are_refused(server: Server, count: int) -> None:
    header = b"X: " + b"y" * (100_000 // count) + b"\r\n"
    with Raw(server) as raw:
        assert raw.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + header * count + b"\r\n").status == 431
        assert raw.is_ended()


def test_a_hundred_headers_are_taken(server: Server) -> None:
    with Raw(server) as raw:
        assert raw.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n").status == 200


def test_http_1_0_is_refused_without_authentication_and_ends(server: Server) -> None:
    with Raw(server) as raw:
        answer = raw.ask(b"GET /v2/ HTTP/1.0\r\n" + HOST + b"\r\n")

        assert answer.status == 403
        assert raw.is_ended()


def test_a_body_past_the_limit_is_refused_before_it_is_sent(server: Server) -> None:
    with Raw(server) as raw:
        answer = raw.ask(
            b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
        )

        assert answer.status == 413  # and no "100 Continue" before it
        assert answer.headers["connection"] == "close"
        assert raw.is_ended()


def test_a_client_that_waits_is_told_to_go_on(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n")
        assert raw.read().status == 100

        assert b"MANIFEST_INVALID" in raw.ask(b"{}").body
        assert raw.ask(b"GET /v2/ HTTP/1.1\r\n" + HOST + b"\r\n").status == 200


def test_an_endless_chunked_body_that_nobody_wants_is_cut(server: Server) -> None:
    with Raw(server) as raw:
        raw.send(b"PUT /v2/a/b/manifests/1 HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n")
        raw.send(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
        for _ in range(5):
            raw.send(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
        answer = raw.read()

        assert answer.status == 413
        assert raw.is_ended()
