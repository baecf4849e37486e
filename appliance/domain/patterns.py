"""Patterns of tags, as a shell has them: `*` any characters, `?` one, `[a-z]` one of these, `[!a-z]` one of the others.

Matching takes time in proportion to pattern times tag, whatever the pattern: each part between two stars is looked for
once, from where the last one ended, and never again (`(?>...)`).
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from appliance.domain.names import Tag
from appliance.errors import ImagePolicyInvalid

MAX_PATTERN = 128  # characters, as many as a tag has at most
_PATTERN = re.compile(r"(?:[A-Za-z0-9_.*?-]|\[!?(?:[A-Za-z0-9_.]|-(?!-))+\])+")
_PIECE = re.compile(r"\[!?[^\]]+\]|\*+|\?|[^*?\[]+")


def parse_pattern(text: str) -> str:
    """Return `text`, which can be used as a pattern. Raises ImagePolicyInvalid."""
    if len(text) > MAX_PATTERN or not _PATTERN.fullmatch(text):
        raise ImagePolicyInvalid(
            f"{text[:140]!r} is no pattern of tags; use up to {MAX_PATTERN} letters, digits, '_', '.' and '-',"
            " with '*', '?' and '[a-z]' for what may differ"
        )
    try:
        _compile(text)
    except re.error as error:
        raise ImagePolicyInvalid(f"{text!r} is no pattern of tags: a range in [...] runs backwards") from error
    return text


def matcher(patterns: Iterable[str]) -> Callable[[Tag], bool]:
    """Return whether a tag matches one of `patterns`, each of which `parse_pattern` took."""
    compiled = [_compile(one) for one in patterns]
    return lambda tag: any(one.fullmatch(tag) for one in compiled)


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    first, *rest = _split(pattern)
    if not rest:
        return re.compile(first)
    last = rest.pop()
    return re.compile(first + "".join(f"(?>.*?{part})" for part in rest) + ".*" + last)


def _split(pattern: str) -> list[str]:
    """Return the parts between stars, each as an expression of a fixed length."""
    parts = [""]
    for piece in _PIECE.findall(pattern):
        if piece.startswith("*"):
            parts.append("")
        elif piece == "?":
            parts[-1] += "."
        elif piece.startswith("["):
            parts[-1] += piece.replace("[!", "[^", 1)
        else:
            parts[-1] += re.escape(piece)
    return parts
