"""Signatures of S3 requests: AWS Signature Version 4, in the Authorization header.

Only what the multipart client asks is signed here; single requests and presigned addresses are the library's. The
content's own hash is part of what is signed, so a store that checks signatures refuses bytes that changed on the way.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

import msgspec

EMPTY = hashlib.sha256(b"").hexdigest()  # the hash of no content
_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(msgspec.Struct, frozen=True):
    """An access key of the object store; `token` only where it is a temporary one."""

    key_id: str
    secret: str
    token: str = ""


def encode_path(path: str) -> str:
    """Return `path` as it stands in a signed address."""
    return quote(path, safe="/-_.~")


def encode_query(query: Sequence[tuple[str, str]]) -> str:
    """Return `query` as it stands in a signed address: sorted, everything encoded."""
    return "&".join(
        f"{name}={value}"
        for name, value in sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    )


def sign(
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    content_hash: str,
    credentials: Credentials,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """Return `headers` (lower case, `host` among them) with what makes the request count.

    `path` is encoded already, `content_hash` is the hexadecimal SHA-256 of the content, `now` is UTC.
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    signed = {**headers, "x-amz-date": moment, "x-amz-content-sha256": content_hash}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    lines = [method, path, encode_query(query)]
    lines += [f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)]
    canonical = "\n".join([*lines, "", names, content_hash])
    text = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    proof = hmac.digest(key, text.encode(), "sha256").hex()
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={proof}"
    )
    return signed
