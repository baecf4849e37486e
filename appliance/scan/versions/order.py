"""What every version order has in common: a key that sorts, and the error for a text that has none."""

import functools
from collections.abc import Callable

import msgspec

Key = tuple[object, ...]  # comparable with the keys of the same scheme only

MAX_LENGTH = 256  # characters; the longest version in the data at hand has 61, and a hostile one must stay cheap
CACHED = 1 << 15  # keys remembered per scheme: one image asks for the same few thousand versions again and again


class VersionInvalid(ValueError):
    """A version, or a constraint on versions, that the scheme cannot read: whoever asked must say so, never guess."""


class Scheme(msgspec.Struct, frozen=True):
    """One way to order versions.

    `key` and `satisfies` raise VersionInvalid. `satisfies(version, constraint)` reads constraints as the
    ecosystem's own tools do, which may be more than order: npm's ranges leave pre-releases out.
    """

    name: str
    key: Callable[[str], Key]
    satisfies: Callable[[str, str], bool]

    def compare(self, left: str, right: str) -> int:
        """Return -1, 0 or 1 as `left` is older than, equal to or newer than `right`. Raises VersionInvalid."""
        one, two = self.key(left), self.key(right)
        return (one > two) - (one < two)


def check_length(text: str) -> str:
    """Return `text`. Raises VersionInvalid: it is too long to be a version."""
    if len(text) > MAX_LENGTH:
        raise VersionInvalid(f"{text[:40]!r}... has {len(text)} characters; a version has at most {MAX_LENGTH}")
    return text


def cached_key(parse: Callable[[str], Key]) -> Callable[[str], Key]:
    """Wrap a key function: refuse what is too long to be a version, remember the rest."""

    @functools.lru_cache(maxsize=CACHED)
    def key(text: str) -> Key:
        return parse(check_length(text))

    return key
