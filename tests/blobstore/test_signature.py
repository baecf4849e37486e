"""The signature against the vendor's published example: https requests of their documentation, byte for byte."""

import datetime as dt

from appliance.blobstore.signature import EMPTY, Credentials, encode_path, encode_query, sign

CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = dt.datetime(2013, 5, 24, tzinfo=dt.UTC)
HOST = {"host": "examplebucket.s3.amazonaws.com"}


def test_a_get_of_a_range() -> None:
    """Amazon S3 API Reference, "Authorization Header", example "GET Object"."""
    signed = sign("GET", "/test.txt", [], {**HOST, "range": "bytes=0-9"}, EMPTY, CREDENTIALS, "us-east-1", NOW)

    assert signed["authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def test_a_list_with_a_query() -> None:
    """The same, example "Get Bucket (List Objects)"."""
    query = [("prefix", "J"), ("max-keys", "2")]

    signed = sign("GET", "/", query, HOST, EMPTY, CREDENTIALS, "us-east-1", NOW)

    assert signed["authorization"].endswith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")


def test_a_token_is_signed_too() -> None:
    signed = sign("GET", "/", [], HOST, EMPTY, Credentials("a", "b", "token"), "us-east-1", NOW)

    assert signed["x-amz-security-token"] == "token"
    assert "x-amz-security-token" in signed["authorization"]


def test_addresses_are_encoded_as_they_are_signed() -> None:
    assert encode_path("/a b/ü+~") == "/a%20b/%C3%BC%2B~"
    assert encode_query([("uploads", ""), ("a", "/ +")]) == "a=%2F%20%2B&uploads="
