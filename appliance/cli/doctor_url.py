"""The part of `scr doctor` that uses the registry from outside, as a client would, and explains what a proxy breaks."""

import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from appliance.cli.client import Answer, Client
from appliance.cli.diagnosis import Finding, State, problem, skipped, warning, well
from appliance.domain.manifest import OCI_MANIFEST, digest_of
from appliance.errors import ScrError

_ANY = tuple(range(400, 600))
_SMALL = 2 << 20  # bytes; more than the megabyte that nginx lets through unasked
_LARGE = 64 << 20
_SKEW_S = 60
_WARN_DAYS = 21  # before a certificate ends
_DAY_S = 86_400


class Url(msgspec.Struct, frozen=True):
    """The address that clients use, and the CA that is trusted beside the system's."""

    text: str
    ca: Path | None

    @property
    def host(self) -> str:
        """The name or address in it."""
        return urlsplit(self.text).hostname or ""

    @property
    def port(self) -> int:
        """The port in it."""
        parts = urlsplit(self.text)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_tls(self) -> bool:
        """Whether it is https."""
        return urlsplit(self.text).scheme == "https"


def look_at_name(url: Url) -> Finding:
    """Look the host name up."""
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return problem(
            "name",
            f"{url.host} does not resolve here: {error.strerror}",
            "add it to DNS, or to /etc/hosts of each client",
        )
    addresses = ", ".join(dict.fromkeys(str(one[4][0]) for one in found))
    return well("name", f"{url.host} is {addresses}" if addresses != url.host else url.host)


def look_at_certificate(url: Url) -> Finding:
    """Look whether clients can trust the certificate, and for how long."""
    name = "certificate"
    if not url.is_tls:
        return skipped(name, "plain HTTP", "clients other than on this host want TLS: scr tls init")
    context = ssl.create_default_context()
    if url.ca is not None:
        context.load_verify_locations(url.ca)
    try:
        with (
            socket.create_connection((url.host, url.port), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname=url.host) as secured,
        ):
            told = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        if "self-signed" in error.verify_message or "local issuer" in error.verify_message:
            cure = "clients have to trust its CA: scr trust; check with --ca FILE"
        elif "ostname" in error.verify_message or "IP address" in error.verify_message:
            cure = f"make one that covers {url.host}: scr tls init {url.host}"
        else:
            cure = "renew it, or check the clocks of both sides"
        return problem(name, f"it is not trusted: {error.verify_message}", cure)
    except ssl.SSLError as error:
        return problem(name, f"no TLS there: {error.reason}", "https:// was asked for: does the port speak plain HTTP?")
    except OSError as error:
        return problem(name, f"{url.host}:{url.port} cannot be reached: {error.strerror}", "is the proxy running?")
    left = (ssl.cert_time_to_seconds(str(told["notAfter"])) - time.time()) / _DAY_S
    if left < _WARN_DAYS:
        return warning(name, f"it ends in {left:.0f} days", "renew it; scr loads the new file by itself")
    return well(name, f"trusted, covers {url.host}, {left:.0f} days left")


class Journey:
    """One push and pull of a scratch image through the public address."""

    def __init__(self, client: Client, url: Url, image: str, *, is_large: bool) -> None:
        """Go through `client`; `image` is made and may be deleted afterwards."""
        self.image = image
        self.has_pushed = False
        self._client = client
        self._url = url
        self._size = _LARGE if is_large else _SMALL

    def look(self) -> Iterator[Finding]:
        """Yield what comes of each step; a step that fails ends the journey."""
        try:
            for step in (self._ping, self._upload_small, self._upload_chunked, self._upload_large, self._manifest):
                found = step()
                yield found
                if found.state in (State.PROBLEM, State.SKIPPED):
                    return
            yield self._range()
        except ScrError as error:
            yield problem("public address", error.message, "is the proxy, or the server, running?")

    def _ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.ask(method, path, body, sent, accept=_ANY)

    def _ping(self) -> Finding:
        name = "ping"
        answer = self._ask("GET", "/v2/")
        if answer.status == 421:
            return problem(
                name,
                f"the server does not know itself as {self._url.host}",
                f'add it: names = ["{self._url.host}"] under [server] in scr.toml, and let the proxy pass Host on',
            )
        if answer.status == 401:
            cure = "give a user: $SCR_USER and $SCR_PASSWORD, or --credentials FILE"
            if "www-authenticate" not in answer.headers:
                return problem(
                    name, "401 without WWW-Authenticate: no client can sign in", "let the proxy pass that header on"
                )
            return skipped(name, "it asks for a user, so push and pull were not tried", cure)
        if answer.status != 200 or "docker-distribution-api-version" not in answer.headers:
            kind = answer.headers.get("content-type", "nothing")
            return problem(
                name,
                f"GET /v2/ answers {answer.status} with {kind}, and not as a registry: {_sentence(answer)}",
                "let the proxy send all of /v2/ to scr, unchanged (nginx: location /v2/ { proxy_pass http://…; })",
            )
        skew = _skew(answer)
        if abs(skew) > _SKEW_S:
            return warning(
                name, f"it answers; its clock is {skew:.0f} s from ours", "set both clocks by the same source"
            )
        return well(name, "it answers as a registry")

    def _upload_small(self) -> Finding:
        name = "upload"
        blob = secrets.token_bytes(1000)
        began = self._ask("POST", f"/v2/{self.image}/blobs/uploads/", b"")
        if began.status != 202:
            return self._refused(name, began)
        self.has_pushed = True
        location = began.headers.get("location", "")
        if (fault := self._fault_of(location)) is not None:
            return fault
        join = "&" if "?" in location else "?"
        done = self._ask("PUT", f"{_path(location)}{join}digest={quote(digest_of(blob))}", blob)
        if done.status != 201:
            return self._refused(name, done)
        if done.headers.get("docker-content-digest") != digest_of(blob):
            return problem(
                name,
                "the answer has no Docker-Content-Digest: older clients stop at that",
                "let the proxy pass on all headers of answers",
            )
        return well(name, "a small blob arrived; Location is relative, as it was sent")

    def _fault_of(self, location: str) -> Finding | None:
        """Return what is wrong with a Location; None where a client can follow it."""
        parts = urlsplit(location)
        if not location:
            return problem("upload", "the answer to POST has no Location", "let the proxy pass that header on")
        if not parts.netloc:
            return None
        own = urlsplit(self._url.text)
        if (parts.scheme, parts.netloc.lower()) == (own.scheme, own.netloc.lower()):
            return warning("upload", "a proxy makes Location absolute", "leave it alone (nginx: proxy_redirect off;)")
        return problem(
            "upload",
            f"scr sends a relative Location, and a proxy makes it {location[:120]}: clients push to the wrong place",
            "leave it alone (nginx: proxy_redirect off; Apache: no ProxyPassReverse; others: no header rewriting)",
        )

    def _upload_chunked(self) -> Finding:
        """Send a chunk of no announced length, as docker does."""
        name = "chunked upload"
        blob = secrets.token_bytes(100_000)
        began = self._ask("POST", f"/v2/{self.image}/blobs/uploads/", b"")
        pieces = iter([blob[:40_000], blob[40_000:]])
        sent = self._client.ask("PATCH", _path(began.headers.get("location", "")), pieces, accept=_ANY)
        if sent.status != 202:
            if sent.status in (411, 501):
                return problem(
                    name,
                    f"{sent.status}: a proxy wants lengths announced, and docker announces none",
                    "let it pass chunked requests on (nginx: proxy_http_version 1.1; proxy_request_buffering off;)",
                )
            return self._refused(name, sent)
        location = sent.headers.get("location", "")
        join = "&" if "?" in location else "?"
        done = self._ask("PUT", f"{_path(location)}{join}digest={quote(digest_of(blob))}", b"")
        return well(name, "arrived") if done.status == 201 else self._refused(name, done)

    def _upload_large(self) -> Finding:
        name = f"{self._size >> 20} MiB body"
        blob = secrets.token_bytes(1 << 20) * (self._size >> 20)
        began = self._ask("POST", f"/v2/{self.image}/blobs/uploads/", b"")
        location = began.headers.get("location", "")
        join = "&" if "?" in location else "?"
        done = self._ask("PUT", f"{_path(location)}{join}digest={quote(digest_of(blob))}", blob)
        if done.status == 413:
            return problem(
                name,
                "a proxy refuses bodies of that size (413)",
                "lift its limit (nginx: client_max_body_size 0; Caddy: no request_body max_size; ingress-nginx:"
                ' nginx.ingress.kubernetes.io/proxy-body-size: "0")',
            )
        if done.status in (408, 502, 504):
            return problem(
                name,
                f"a proxy gave up ({done.status})",
                "raise its times and do not buffer (nginx: proxy_read_timeout 900s; proxy_request_buffering off;)",
            )
        return well(name, "arrived") if done.status == 201 else self._refused(name, done)

    def _manifest(self) -> Finding:
        name = "push and pull"
        config = b"{}"
        began = self._ask("POST", f"/v2/{self.image}/blobs/uploads/?digest={quote(digest_of(config))}", config)
        if began.status != 201:
            return self._refused(name, began)
        self._blob = digest_of(config)
        part = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(config), "size": 2}
        body = msgspec.json.encode(
            {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": part, "layers": [part], "annotations": {"a": "é"}}
        )
        done = self._ask("PUT", f"/v2/{self.image}/manifests/doctor", body, Content_Type=OCI_MANIFEST)
        if done.status != 201:
            return self._refused(name, done)
        back = self._ask("GET", f"/v2/{self.image}/manifests/doctor", Accept=OCI_MANIFEST)
        head = self._ask("HEAD", f"/v2/{self.image}/manifests/doctor", Accept=OCI_MANIFEST)
        return self._refused(name, back) if back.status != 200 else _compare(name, body, back, head)

    def _range(self) -> Finding:
        name = "range requests"
        answer = self._ask("GET", f"/v2/{self.image}/blobs/{self._blob}", Range="bytes=1-1")
        if answer.status == 206 and answer.body == b"}":
            return well(name, "work")
        return warning(
            name,
            f"bytes 1-1 of a blob answer {answer.status} with {len(answer.body)} bytes: broken downloads begin anew",
            "let the proxy pass Range on, and the 206 that answers it",
        )

    def _refused(self, name: str, answer: Answer) -> Finding:
        sentence = _sentence(answer)
        if answer.status in (401, 403):
            return problem(
                name, f"{answer.status}: {sentence}", "give a user who may push, or a proxy strips Authorization"
            )
        if answer.status == 405:
            return problem(name, f"405: {sentence}", "let the proxy pass POST, PATCH, PUT, DELETE and HEAD on")
        return problem(name, f"{answer.status}: {sentence}", "see the logs of the proxy and of scr")


class _Refusal(msgspec.Struct):
    message: str


class _Refusals(msgspec.Struct):
    errors: list[_Refusal]


def _sentence(answer: Answer) -> str:
    try:
        return "; ".join(one.message for one in msgspec.json.decode(answer.body, type=_Refusals).errors)
    except msgspec.DecodeError:
        text = answer.body[:80].decode(errors="replace")
        return f"not an answer of scr: {text!a}" if text else "an empty answer"


def _path(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _skew(answer: Answer) -> float:
    """Return how many seconds the clock there is ahead of ours; 0 where the answer has no date."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return 0.0


def _compare(name: str, body: bytes, back: Answer, head: Answer) -> Finding:
    """Return what a proxy made of the manifest `body` on its way back."""
    if back.body != body:
        return problem(
            name,
            "the manifest that comes back has other bytes: its digest no longer holds",
            "turn off whatever rewrites bodies in the proxy (filters, compression, 'optimisation')",
        )
    if not back.headers.get("content-type", "").startswith(OCI_MANIFEST):
        kind = back.headers.get("content-type", "no type")
        return problem(name, f"a proxy turned the media type into {kind}", "let it pass Content-Type on unchanged")
    if head.status != 200 or head.headers.get("content-length") != str(len(body)):
        return problem(
            name,
            f"HEAD answers {head.status} with Content-Length {head.headers.get('content-length', 'missing')}",
            "let the proxy pass HEAD on as HEAD, and turn compression off for /v2/",
        )
    return well(name, "a manifest went there and back, byte for byte")
