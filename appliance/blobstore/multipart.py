"""Uploads in parts, with their ids: what the object store's library does not show.

One request at a time in a thread each; who calls decides how many at once. A request says by hash and sum what it
carries, so that bytes that change on the way are refused by the store. Spec: Amazon S3 API, "Multipart upload".
"""

import base64
import datetime as dt
import hashlib
import html
import re
import ssl
import time
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

import msgspec
import urllib3

from appliance.blobstore.bucket import Bucket, Wallet
from appliance.blobstore.signature import EMPTY, encode_path, encode_query, sign
from appliance.blobstore.sums import sum_of
from appliance.errors import BlobUnknown, StoreDown, StoreRefused

_CONNECT_S = 5.0
_LONGEST_ANSWER = 4 << 20  # bytes; a list of a thousand uploads has some hundred thousand
_BLOCK = 1 << 20  # bytes written to the socket at once
_UPLOAD = re.compile(r"<Upload>(.*?)</Upload>", re.DOTALL)
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
DAMAGED = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "RequestTimeout", "InvalidDigest"})


class Part(msgspec.Struct, frozen=True):
    """A part that the store has."""

    number: int
    mark: str  # its ETag


class Unfinished(msgspec.Struct, frozen=True):
    """An upload that the store still waits for; `begun` is unix seconds."""

    key: str
    id: str
    begun: float


class Multipart:
    """Blocking requests about uploads in parts. Keys are whole: with the bucket's prefix."""

    def __init__(self, bucket: Bucket, wallet: Wallet, connections: int, wait_s: float) -> None:
        """Ask `bucket` over up to `connections` connections, none of which may be silent for longer than `wait_s`.

        Raises StoreRefused where its authority cannot be read.
        """
        self._bucket = bucket
        self._wallet = wallet
        self._wait_s = wait_s
        parts = urlsplit(bucket.base)
        self._server = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._path = parts.path
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=False,
            blocksize=_BLOCK,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=wait_s),
            ssl_context=_context(bucket) if parts.scheme == "https" else None,
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()

    def begin(self, key: str) -> str:
        """Begin an upload; return its id."""
        answer = self._ask("POST", key, [("uploads", "")], headers=self._bucket.server_side_headers)
        found = _text(answer.text, "UploadId")
        if not found:
            raise StoreDown("the object store began an upload and named no id for it")
        return found

    def put_part(self, key: str, upload: str, number: int, content: memoryview) -> Part:
        """Store one part, numbered from 1. Raises BlobUnknown where the store does not know the upload any more."""
        total = sum_of(content)
        answer = self._ask(
            "PUT",
            key,
            [("partNumber", str(number)), ("uploadId", upload)],
            content,
            {"x-amz-checksum-crc32": base64.b64encode(total).decode()},
        )
        if not answer.mark:
            raise StoreDown("the object store took a part and named no mark for it")
        return Part(number, answer.mark)

    def complete(self, key: str, upload: str, parts: Sequence[Part]) -> None:
        """Make an object of the parts. Raises BlobUnknown where the store does not know the upload any more."""
        listed = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>{html.escape(part.mark)}</ETag></Part>"
            for part in parts
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        answer = self._ask("POST", key, [("uploadId", upload)], body)
        if "<Error>" in answer.text or "CompleteMultipartUploadResult" not in answer.text:
            # the status is sent before the store is done, so it says nothing
            raise StoreDown(f"the object store did not finish an upload: {_text(answer.text, 'Code') or 'no result'}")

    def abort(self, key: str, upload: str) -> None:
        """Drop an upload; that there is none is no error."""
        try:
            self._ask("DELETE", key, [("uploadId", upload)])
        except BlobUnknown:
            return

    def list_unfinished(self) -> list[Unfinished]:
        """Return every unfinished upload below the prefix."""
        found: list[Unfinished] = []
        markers: list[tuple[str, str]] = []
        while True:
            query = [("uploads", ""), ("prefix", self._bucket.prefix), *markers]
            answer = self._ask("GET", "", query)
            for entry in _UPLOAD.findall(answer.text):
                begun = dt.datetime.fromisoformat(_text(entry, "Initiated")).timestamp()
                found.append(Unfinished(_text(entry, "Key"), _text(entry, "UploadId"), begun))
            following = (_text(answer.text, "NextKeyMarker"), _text(answer.text, "NextUploadIdMarker"))
            if _text(answer.text, "IsTruncated") != "true" or not following[0]:
                return found
            markers = [("key-marker", following[0]), ("upload-id-marker", following[1])]

    def look_at(self, address: str) -> tuple[int, str]:
        """GET an address as it is, unsigned; return the status and the time that the store tells. Raises StoreDown."""
        try:
            answer = self._pool.request("GET", address, preload_content=False, redirect=False)
            answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreDown(f"the object store cannot be reached: {_reason(error)}") from error
        return answer.status, answer.headers.get("date", "")

    def _ask(
        self,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]],
        content: bytes | memoryview = b"",
        headers: dict[str, str] | None = None,
    ) -> "_Answer":
        """Send one signed request; return its answer. Raises StoreDown, StoreRefused, BlobUnknown."""
        path = encode_path(f"{self._path}/{key}")
        hashed = hashlib.sha256(content).hexdigest() if content else EMPTY
        signed = sign(
            method,
            path,
            query,
            {"host": self._host, "content-length": str(len(content)), **(headers or {})},
            hashed,
            self._wallet.find(),
            self._bucket.region,
            dt.datetime.now(dt.UTC),
        )
        try:
            answer = self._pool.request(
                method,
                f"{self._server}{path}?{encode_query(query)}",
                body=cast("bytes", content),  # any buffer does; its annotation knows bytes only
                headers=signed,
                preload_content=False,
                redirect=False,
            )
            text = _read(answer, time.monotonic() + self._wait_s).decode(errors="replace")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreDown(f"the object store cannot be reached: {_reason(error)}") from error
        return _judge(_Answer(answer.status, answer.headers.get("etag", ""), text))


def _read(answer: urllib3.BaseHTTPResponse, ends: float) -> bytes:
    """Return the body of `answer` and let its connection go. Raises StoreDown where it goes on beyond `ends`."""
    found = b""
    is_whole = False
    try:
        while len(found) <= _LONGEST_ANSWER and time.monotonic() < ends and not is_whole:
            piece = answer.read1(_BLOCK, decode_content=False)
            found += piece
            is_whole = not piece
    finally:
        if is_whole:
            answer.release_conn()
        else:
            answer.close()
    if not is_whole:
        raise StoreDown("the object store takes too long to say something")
    return found


class _Answer(msgspec.Struct, frozen=True):
    status: int
    mark: str
    text: str


def _judge(answer: _Answer) -> _Answer:
    """Return an answer that is a success. Raises what the others mean."""
    if 200 <= answer.status < 300:
        return answer
    code = _text(answer.text, "Code")
    said = f"the object store answered {answer.status} {code}".rstrip()
    if code == "NoSuchUpload":
        raise BlobUnknown(said)
    if answer.status in _PASSING or code in DAMAGED:
        raise StoreDown(said)
    raise StoreRefused(f"{said}; see: scr storage check")


def _text(answer: str, name: str) -> str:
    """Return the text of the first element `name`; the answers of this API nest nothing where this is asked."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", answer)
    return html.unescape(found[1]) if found else ""


def _reason(error: Exception) -> str:
    """Return why, without addresses that hold signatures."""
    cause = error.__cause__ or error
    return (str(cause) if isinstance(cause, OSError) and cause.strerror else type(error).__name__)[:200]


def _context(bucket: Bucket) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if bucket.authority is not None:
        try:
            context.load_verify_locations(bucket.authority)
        except OSError as error:
            raise StoreRefused(f"the authority {bucket.authority} cannot be read: {error.strerror or error}") from error
    return context
