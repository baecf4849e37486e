"""Asks for pages as a browser without scripts does, one request at a time."""

import re
import time
import urllib.error
import urllib.request
import urllib.response
from collections.abc import Callable
from urllib.parse import urlencode

from tests.make.server import Server

_PATIENCE_S = 60


class Answer:
    """What came back: status, headers (lower case), text."""

    def __init__(self, response: urllib.response.addinfourl | urllib.error.HTTPError) -> None:
        self.status = response.status or 0
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.content = response.read()

    @property
    def text(self) -> str:
        return self.content.decode()


class _Stay(urllib.request.HTTPRedirectHandler):
    """A browser that stays where it is: redirects are looked at."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay)


def ask(server: Server, path: str, body: str | None = None, **headers: str) -> Answer:
    """Return the answer to a GET, or to a POST of the form `body`."""
    headers.setdefault("Accept", "text/html")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(server.url + path, None if body is None else body.encode(), named)  # noqa: S310 - loopback
    try:
        return Answer(_OPENER.open(request))
    except urllib.error.HTTPError as error:
        return Answer(error)


def token(server: Server, path: str = "/", **headers: str) -> str:
    """Return the token that the forms of a page carry."""
    answer = ask(server, path, **headers)
    if answer.status == 303:  # to the form for signing in
        answer = ask(server, answer.headers["location"], **headers)
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', answer.text)
    assert found is not None
    return found[1]


def send(server: Server, path: str, *, Cookie: str = "", **fields: str) -> Answer:  # noqa: N803 - the header's name
    """Return the answer to a form with these fields and the token of the first page."""
    named = {"Cookie": Cookie} if Cookie else {}
    return ask(
        server,
        path,
        urlencode({"csrf": token(server, "/", **named), **fields}),
        **named,
    )


def until(is_so: Callable[[], bool]) -> bool:
    """Ask again and again until it is so; False if that takes too long."""
    end = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            return False
    return True


def sign_in(server: Server, name: str, password: str) -> str:
    """Return the cookie of a session of the user `name`."""
    answer = send(server, "/sign-in", name=name, secret=password, next="/")
    assert answer.status == 303, answer.text
    return answer.headers["set-cookie"].partition(";")[0]
