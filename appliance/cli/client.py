"""Asks the running server: over the control socket of its data folder, or at --server URL with user and password."""

import argparse
import base64
import http.client
import os
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from appliance import __version__
from appliance.cli import settings
from appliance.cli.parser import Parser
from appliance.errors import ConfigInvalid, Denied, ScrError, Unauthorized, Unavailable, Unknown

T = TypeVar("T")

_AGENT = f"scr/{__version__}"
_TIMEOUT_S = 3600.0  # a scrub answers when it has read everything
_FAMILIES: dict[int, type[ScrError]] = {401: Unauthorized, 403: Denied, 404: Unknown}


class _Problem(msgspec.Struct):
    detail: str


class _Refusal(msgspec.Struct):
    message: str


class _Refusals(msgspec.Struct):
    errors: list[_Refusal]


def add_options(parser: Parser) -> None:
    """Add what says which server is meant."""
    group = parser.add_argument_group("which server")
    group.add_argument("--config", type=Path, metavar="FILE", help="the scr.toml it runs with (else ./scr.toml)")
    group.add_argument("--data-dir", metavar="DIR", help="its data folder, where the control socket is")
    group.add_argument(
        "--server",
        metavar="URL",
        help="ask at URL instead, as the user of $SCR_USER and $SCR_PASSWORD or --credentials",
    )
    group.add_argument("--credentials", type=Path, metavar="FILE", help="a file with one line: user:password")
    group.add_argument("--ca", type=Path, metavar="FILE", help="trust this CA's certificates too (PEM)")
    parser.set_defaults(listen=None)


def connect(options: argparse.Namespace) -> "Client":
    """Return a client of the server that `options` mean; nothing is sent yet. Raises ConfigInvalid."""
    if options.server:
        return connect_url(options.server, credentials_of(options.credentials), options.ca)
    return connect_folder(settings.load_from(options).config.storage.data_dir)


def connect_folder(folder: Path) -> "Client":
    """Return a client of the server that serves the data folder; nothing is sent yet."""
    path = folder / "control.sock"
    return Client(lambda: _ControlConnection(path), f"the server of {folder}", {})


def connect_url(url: str, credentials: str, ca: Path | None) -> "Client":
    """Return a client of the server at `url`; `credentials` is user:password or "". Raises ConfigInvalid."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if parts.scheme not in ("http", "https") or not host or parts.path.strip("/") or parts.query or parts.username:
        raise ConfigInvalid(f"{url!r} is no address of a server; write http://host:port or https://host:port")
    headers = {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()} if credentials else {}
    if parts.scheme == "http":
        return Client(lambda: http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S), url, headers)
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigInvalid(f"{ca} holds no certificate that can be trusted: {error}") from error
    return Client(lambda: http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context), url, headers)


class Answer(msgspec.Struct, frozen=True):
    """One answer, read whole. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Requests over one kept-alive connection. Use as a context manager."""

    def __init__(self, dial: Callable[[], http.client.HTTPConnection], name: str, headers: Mapping[str, str]) -> None:
        """Connect with `dial` at the first request; `name` is what messages call the server."""
        self.name = name
        self._dial = dial
        self._headers = headers
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self.close()

    def close(self) -> None:
        """Hang up; the next request connects anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """Send one request and read its answer; an iterable body needs a Content-Length header.

        Statuses from 400 on raise the error of their family with the server's own sentence, unless in `accept`.
        Raises Unavailable where no server answers.
        """
        response = self._send(method, path, body, headers or {})
        try:
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(f"{self.name} hung up: {error}; see its log") from error
        told = {name.lower(): value for name, value in response.getheaders()}
        if response.status >= 400 and response.status not in accept:
            raise refusal(response.status, content, method, path)
        return Answer(response.status, told, content)

    def stream(self, path: str) -> http.client.HTTPResponse:
        """Return the answer to a GET for the caller to read to its end. Raises what `ask` raises."""
        response = self._send("GET", path, None, {})
        if response.status >= 400:
            raise refusal(response.status, response.read(), "GET", path)
        return response

    def get(self, address: str, shape: type[T], /, **query: str) -> T:
        """Return the JSON answer to a GET with these query parameters (empty ones left out) as `shape`."""
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items() if value)
        return msgspec.json.decode(self.ask("GET", f"{address}?{asked}" if asked else address).body, type=shape)

    def post(self, path: str, order: object, shape: type[T]) -> T:
        """Return the JSON answer to a POST of `order` as `shape`."""
        answer = self.ask("POST", path, msgspec.json.encode(order), {"Content-Type": "application/json"})
        return msgspec.json.decode(answer.body, type=shape)

    def change(self, method: str, path: str, order: object, shape: type[T]) -> T:
        """Return the JSON answer to a PUT or PATCH of `order` as `shape`."""
        answer = self.ask(method, path, msgspec.json.encode(order), {"Content-Type": "application/json"})
        return msgspec.json.decode(answer.body, type=shape)

    def _send(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._dial()
            self._reach(self._connection)
        connection = self._connection
        try:
            try:
                connection.request(method, path, body, {"User-Agent": _AGENT, **self._headers, **headers})
            except (BrokenPipeError, ConnectionResetError):
                if body is None:
                    raise
                # refused before it was sent whole: the reason may already be there
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(f"{self.name} hung up: {error}; see its log") from error

    def _reach(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            self._connection = None
            raise Unavailable(
                f"no server runs for {self.name.removeprefix('the server of ')}; start it with: scr serve"
            ) from error
        except OSError as error:  # names that do not resolve and certificates that do not hold are OSErrors too
            self._connection = None
            raise Unavailable(f"{self.name} cannot be reached: {error.strerror or error}") from error


class _ControlConnection(http.client.HTTPConnection):
    """HTTP over the control socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        # through the folder's descriptor: the address of a socket has room for 107 bytes only
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        except OSError:
            self.sock.close()
            raise
        finally:
            os.close(folder)


def refusal(status: int, body: bytes, method: str, path: str) -> ScrError:
    """Return the error of the family of `status`, with the sentence of a problem document or of the /v2 error list."""
    text = ""
    try:
        text = msgspec.json.decode(body, type=_Problem).detail
    except msgspec.DecodeError:
        try:
            text = "; ".join(one.message for one in msgspec.json.decode(body, type=_Refusals).errors)
        except msgspec.DecodeError:
            text = ""
    return _FAMILIES.get(status, ScrError)(text or f"the server answered {status} to {method} {path}; see its log")


def credentials_of(path: Path | None) -> str:
    """Return user:password from a file or the environment, "" for none. Raises ConfigInvalid."""
    if path is not None:
        try:
            text = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigInvalid(f"{path} cannot be read: {error}") from error
        if ":" not in text or "\n" in text:
            raise ConfigInvalid(f"{path} has to hold one line: user:password")
        return text
    user = os.environ.get("SCR_USER", "")
    return f"{user}:{os.environ.get('SCR_PASSWORD', '')}" if user else ""
