"""Fetches a feed from the place that `scr.toml` names: the one thing here that speaks to the outside, when it is asked.

    https://feeds.example.com/trivy/db.tar.gz              a file, by the check sum in <address>.sha256 beside it
    https://feeds.example.com/grype/latest.json            Grype's listing: it names the file and its check sum
    oci://registry.example.com/aquasec/trivy-db:2          an artifact of a registry
    scr://local/aquasec/trivy-db:2                         one of a registry here: pushed, then imported by itself

What is there already is not fetched again: an artifact is known by its digest, a file by the mark (ETag) of its server.
Every byte of an artifact is checked by its digest, a file by its check sum; one that has none is fetched only where
`unverified = true` stands beside its address. Plain HTTP is spoken with this machine only.
"""

import hashlib
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import urllib3
from urllib3.util.request import make_headers

from appliance.domain.vulnerability import Verified
from appliance.errors import FeedInvalid, StoreDown
from appliance.services.feed_source import Input, layer_of, sum_in, write_file

_CONNECT_S, _READ_S = 10.0, 60.0
_REDIRECTS = 5
_SMALL = 4 << 20  # bytes of a manifest, a listing, an answer about a token
_PIECE = 1 << 20
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json"
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({429, 500, 502, 503, 504})
_ARTIFACT = re.compile(
    r"oci://(?P<host>[^/]+)/(?P<repository>[a-z0-9][a-z0-9._/-]*)(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w][\w.-]*))"
)
HERE, OCI = "scr", "oci"

T = TypeVar("T")
GoOn = Callable[[int, int], None]  # told how many bytes of how many are there; raises to end it


class FeedAddress(msgspec.Struct, frozen=True):
    """A source of `scr.toml`."""

    name: str
    address: str
    user: str = ""
    password_file: Path | None = None
    authority: Path | None = None  # a CA to trust beside those of the system
    unverified: bool = False  # a file that nothing speaks for may be taken

    @property
    def scheme(self) -> str:
        """What stands before ://."""
        return self.address.partition("://")[0]


_SUM = re.compile(r"sha256:([0-9a-f]{64})")


class _Listing(msgspec.Struct):
    path: str
    checksum: str = ""


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class _Child(msgspec.Struct):
    digest: str


class _Index(msgspec.Struct):
    manifests: list[_Child] = []


class Fetcher:
    """Fetches one feed, over connections of its own (blocking)."""

    def __init__(self, source: FeedAddress, go_on: GoOn) -> None:
        """Fetch `source`. Raises FeedInvalid for an authority that cannot be read."""
        self._source = source
        self._go_on = go_on
        self._authorization = ""
        self._pool = urllib3.PoolManager(
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            ssl_context=_context(source.authority),
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()

    def fetch(self, folder: Path, known_input: str, known_mark: str) -> Input | None:
        """Bring the feed into `folder`; None where it is what is known: by the digest of its file, or by its mark.

        Raises FeedInvalid, StoreDown where nobody answers, StorageFull.
        """
        if self._source.scheme == OCI:
            return self._fetch_artifact(folder, known_input)
        return self._fetch_file(folder, known_mark)

    def _fetch_file(self, folder: Path, known_mark: str) -> Input | None:
        source = self._source
        if source.user:
            self._authorization = _basic(source)
        address = source.address
        if address.endswith(".json"):
            listing = _decode(self._small(address), _Listing, address)
            found = _SUM.fullmatch(listing.checksum)
            if found is None:  # a listing exists to name it: without, anybody on the way could swap the file
                raise FeedInvalid(f"{address} names no sha256: check sum of its file, so the file is not fetched")
            address, sha256 = urljoin(address, listing.path), found[1]
        else:
            sha256 = sum_in(self._small(f"{address}.sha256", may_lack=True).decode(errors="replace"))
            if not sha256 and not source.unverified:
                raise FeedInvalid(
                    f"nothing says what {address} has to be: there is no check sum in {address}.sha256; publish one, or"
                    f" take it unverified (unverified = true in [[vulndb_source]] {source.name})"
                )
        answer = self._ask(address, {"If-None-Match": known_mark} if known_mark else {})
        if answer.status == 304:
            answer.drain_conn()
            return None
        target, name = folder / "input", urlsplit(address).path.rpartition("/")[2]
        write_file(self._pieces(answer, address), target)
        verified = Verified.CHECKSUM if sha256 else Verified.NONE
        return Input(target, name, source.address, "", sha256, answer.headers.get("etag", ""), verified)

    def _fetch_artifact(self, folder: Path, known_input: str) -> Input | None:
        address = self._source.address
        found = _ARTIFACT.fullmatch(address)
        if found is None:
            raise FeedInvalid(f"{address} names no artifact; write oci://<host>/<repository>:<tag>")
        host, repository, reference = found["host"], found["repository"], found["digest"] or found["tag"]
        start = f"{'http' if _is_here(host) else 'https'}://{host}/v2/{repository}"
        body = self._manifest(f"{start}/manifests/{reference}", reference)
        if children := _decode(body, _Index, address).manifests:
            body = self._manifest(f"{start}/manifests/{children[0].digest}", children[0].digest)
        layer = layer_of(body, address)
        algorithm, _, sha256 = layer.digest.partition(":")
        if algorithm != "sha256":
            raise FeedInvalid(f"{address} has a layer by {algorithm[:20]!r}; only sha256 is checked here")
        if sha256 == known_input:
            return None
        target, blob = folder / "input", f"{start}/blobs/{layer.digest}"
        write_file(self._pieces(self._ask(blob, {}), blob), target)
        return Input(target, f"{repository}:{reference}", address, "", sha256, verified=Verified.DIGEST)

    def _manifest(self, address: str, reference: str) -> bytes:
        """Return a manifest, which is what its digest says where it is asked for by one."""
        body = self._small(address, {"Accept": _MANIFESTS})
        if reference.startswith("sha256:") and f"sha256:{hashlib.sha256(body).hexdigest()}" != reference:
            raise FeedInvalid(f"{address} answered with other bytes than those of that digest")
        return body

    def _small(self, address: str, headers: Mapping[str, str] | None = None, *, may_lack: bool = False) -> bytes:
        """Return the body of a small answer, b"" for one that may lack and does."""
        answer = self._ask(address, headers or {}, may_lack=may_lack)
        body = b""
        if answer.status == 200:
            for piece in self._pieces(answer, address):
                body += piece
                if len(body) > _SMALL:
                    raise FeedInvalid(
                        f"{address} answered with more than {_SMALL} bytes; a small document was asked for"
                    )
        answer.drain_conn()
        return body

    def _pieces(self, answer: urllib3.BaseHTTPResponse, address: str) -> Iterator[bytes]:
        """Yield the body of `answer`. Raises StoreDown where it ends too early."""
        total, done = int(answer.headers.get("content-length") or 0), 0
        try:
            for piece in answer.stream(_PIECE, decode_content=False):
                done += len(piece)
                self._go_on(done, total)
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _down(address, error) from error
        finally:
            answer.release_conn()

    def _ask(self, address: str, headers: Mapping[str, str], *, may_lack: bool = False) -> urllib3.BaseHTTPResponse:
        """Return the answer to a GET, its body still to come. Raises StoreDown, FeedInvalid."""
        answer = self._follow(address, headers)
        if answer.status == 401 and self._authorize(answer.headers.get("www-authenticate", "")):
            answer.drain_conn()
            answer = self._follow(address, headers)
        if answer.status in (200, 304) or (may_lack and answer.status in (401, 403, 404)):
            return answer
        answer.drain_conn()
        if answer.status in _LATER:
            raise StoreDown(f"{address} answered {answer.status}; it will be asked again")
        raise FeedInvalid(f"{address} answered {answer.status}; see [[vulndb_source]] {self._source.name} in scr.toml")

    def _follow(self, address: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """GET `address` and where it leads; credentials are for its own host only."""
        host = urlsplit(address).netloc
        for _ in range(_REDIRECTS):
            _check(address)
            sent = {"Accept-Encoding": "identity", **headers}
            if self._authorization and urlsplit(address).netloc == host:
                sent["Authorization"] = self._authorization
            try:
                answer = self._pool.request("GET", address, headers=sent, preload_content=False, redirect=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise _down(address, error) from error
            if answer.status not in _REDIRECTED:
                return answer
            answer.drain_conn()
            address = urljoin(address, answer.headers.get("location", ""))
        raise FeedInvalid(f"{self._source.address} leads from one address to the next without an end")

    def _authorize(self, challenge: str) -> bool:
        """Get what `challenge` asks for; False: nothing that would change the answer. Spec: distribution, token."""
        scheme, _, rest = challenge.partition(" ")
        if self._authorization or self._source.scheme != OCI:
            return False
        if scheme.lower() == "basic":
            self._authorization = _basic(self._source) if self._source.user else ""
            return bool(self._source.user)
        named = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in named:
            return False
        asked = urlencode({name: named[name] for name in ("service", "scope") if name in named})
        realm = f"{named['realm']}{'&' if '?' in named['realm'] else '?'}{asked}"
        self._authorization = _basic(self._source) if self._source.user else ""
        told = _decode(self._small(realm), _Token, realm)
        self._authorization = f"Bearer {told.token or told.access_token}"
        return True


def _basic(source: FeedAddress) -> str:
    """Return the header for the user of `source`. Raises FeedInvalid where the file of its password cannot be read."""
    try:
        lines = source.password_file.read_text().splitlines() if source.password_file else []
    except (OSError, UnicodeDecodeError) as error:
        raise FeedInvalid(f"{source.password_file} holds no password that can be read: {error}") from error
    return make_headers(basic_auth=f"{source.user}:{lines[0] if lines else ''}")["authorization"]


def _decode(body: bytes, shape: type[T], address: str) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FeedInvalid(f"{address} answered with something else than was asked for: {error}") from error


def _check(address: str) -> None:
    """Refuse to send or take anything that others could read or change on the way. Raises FeedInvalid."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.netloc)):
        return
    raise FeedInvalid(f"{address[:200]} is not fetched: plain HTTP is for this machine only; use https")


def _is_here(netloc: str) -> bool:
    """Whether a host and port are of this machine."""
    host = urlsplit(f"//{netloc}").hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _down(address: str, error: Exception) -> StoreDown:
    return StoreDown(f"{address} cannot be fetched: {error}; it will be asked again")


def _context(authority: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority is not None:
        try:
            context.load_verify_locations(authority)
        except (OSError, ssl.SSLError) as error:
            raise FeedInvalid(f"{authority} holds no certificate that can be trusted: {error}") from error
    return context
