"""Debian's version order: epoch, upstream version, revision; "~" sorts before the end (deb-version(7))."""

import re

from appliance.scan.versions.constraint import plain_operators, satisfies_by
from appliance.scan.versions.order import Key, Scheme, VersionInvalid, cached_key

_VERSION = re.compile(
    r"(?:(?P<epoch>\d{1,10}):)?(?P<upstream>\d[A-Za-z0-9.+:~-]*?)(?:-(?P<revision>[A-Za-z0-9.+~]*))?", re.ASCII
)
_PIECES = re.compile(r"(\D*)(\d*)", re.ASCII)
_LETTERS_FIRST = 256  # added to what is no letter, so that letters sort before it


def _weigh(text: str) -> tuple[int, ...]:
    return (*(-1 if sign == "~" else ord(sign) + (0 if sign.isalpha() else _LETTERS_FIRST) for sign in text), 0)


def _part(text: str) -> Key:
    """Return the key of an upstream version or revision: non-digits and numbers in turn, closed by no digits."""
    key: list[object] = []
    for words, digits in _PIECES.findall(text or "0"):
        if words or digits:
            key += (_weigh(words), int(digits or 0))
    key.append((0,))
    return tuple(key)


def _parse(text: str) -> Key:
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise VersionInvalid(f"{text!r} is no Debian version")
    return int(found["epoch"] or 0), _part(found["upstream"]), _part(found["revision"] or "")


key = cached_key(_parse)
SCHEME = Scheme("deb", key, satisfies_by(key, plain_operators(key)))
