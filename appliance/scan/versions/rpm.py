"""The order of rpm: [epoch:]version[-release], each compared piece by piece (rpm-version(7)).

"~" sorts before the end of a version, "^" after the end but before anything else; numbers are newer than letters.
"""

import re

from appliance.scan.versions.constraint import plain_operators, satisfies_by
from appliance.scan.versions.order import Key, Scheme, VersionInvalid, cached_key

_VERSION = re.compile(r"(?:(?P<epoch>\d{0,10}):)?(?P<version>.+?)(?:-(?P<release>[^-]*))?", re.ASCII)
_PIECES = re.compile(r"\d+|[a-zA-Z]+|~|\^", re.ASCII)  # all else only separates

_TILDE, _END, _CARET, _LETTERS, _NUMBER = range(5)


def _part(text: str) -> Key:
    key: list[object] = []
    for piece in _PIECES.findall(text):
        if piece == "~":
            key.append((_TILDE,))
        elif piece == "^":
            key.append((_CARET,))
        elif piece.isdigit():
            key.append((_NUMBER, int(piece)))
        else:
            key.append((_LETTERS, piece))
    key.append((_END,))
    return tuple(key)


def _parse(text: str) -> Key:
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise VersionInvalid(f"{text!r} is no rpm version")
    return int(found["epoch"] or 0), _part(found["version"]), _part(found["release"] or "")


key = cached_key(_parse)
SCHEME = Scheme("rpm", key, satisfies_by(key, plain_operators(key)))
