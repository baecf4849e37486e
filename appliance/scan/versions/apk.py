"""Alpine's version order, as apk-tools defines it: 1.2.3b_rc1_p2~cafe-r4 (apk-package(5), "pkgver").

Where two versions differ in kind at the same place, the one that goes on with a number, a letter or a suffix is newer
than the one that ends, except that a suffix of a pre-release makes it older.
"""

import re

from appliance.scan.versions.constraint import plain_operators, satisfies_by
from appliance.scan.versions.order import Key, Scheme, VersionInvalid, cached_key

_VERSION = re.compile(r"\d+(?:\.\d+)*(?:[a-z]\d+(?:\.\d+)*)*[a-z]?(?:_[a-z]+\d*)*(?:~[0-9a-f]+)?(?:-r\d+)?", re.ASCII)
_TOKEN = re.compile(
    r"\.(?P<fraction>\d+)|(?P<number>(?<![a-z_.~-])\d+|(?<=[a-z])\d+)|_(?P<suffix>[a-z]+)(?P<count>\d*)"
    r"|~(?P<commit>[0-9a-f]+)|-r(?P<revision>\d+)|(?P<letter>[a-z])",
    re.ASCII,
)

_BEFORE = {"alpha": -4, "beta": -3, "pre": -2, "rc": -1}
_AFTER = {"cvs": 0, "svn": 1, "git": 2, "hg": 3, "p": 4}

# Which kind is newer where the kinds differ: the order in which apk-tools expects its tokens, reversed.
_PRE_RELEASE, _END, _REVISION, _COMMIT, _COUNT, _SUFFIX, _LETTER, _NUMBER, _FRACTION = range(9)


def _suffix(name: str, version: str) -> tuple[int, int]:
    if name in _BEFORE:
        return _PRE_RELEASE, _BEFORE[name]
    if name in _AFTER:
        return _SUFFIX, _AFTER[name]
    raise VersionInvalid(f"{version!r} has an unknown suffix _{name}")


def _fraction(digits: str) -> list[object]:
    """Return the key of a number behind a point: leading zeros make it smaller, as in 1.01 < 1.1."""
    rest = digits.lstrip("0")
    if len(rest) == len(digits):
        return [(_FRACTION, int(digits))]
    return [(_FRACTION, len(rest) - len(digits)), (_NUMBER, int(rest or 0))]


def _parse(text: str) -> Key:
    if _VERSION.fullmatch(text) is None:
        raise VersionInvalid(f"{text!r} is no Alpine version")
    key: list[object] = []
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "fraction":
            key += _fraction(token["fraction"])
        elif kind == "number":
            key.append((_NUMBER, int(token["number"])))
        elif kind == "letter":
            key.append((_LETTER, ord(token["letter"])))
        elif kind == "revision":
            key.append((_REVISION, int(token["revision"])))
        elif kind == "commit":
            key.append((_COMMIT, token["commit"]))
        else:
            key.append(_suffix(token["suffix"], text))
            if token["count"]:
                key.append((_COUNT, int(token["count"])))
    key.append((_END,))
    return tuple(key)


key = cached_key(_parse)
SCHEME = Scheme("apk", key, satisfies_by(key, plain_operators(key)))
