"""Resource tags: key and value pairs that a person gives a registry, repository or image; never an image's tags."""

import re
from collections.abc import Mapping

import msgspec

from appliance.errors import QueryInvalid

MAX_TAGS = 50  # of one resource: manual 2, "tag"
MAX_KEY = 128
MAX_VALUE = 256

ResourceTags = Mapping[str, str]

_KEY = re.compile(r"[^\s=\x00-\x1f\x7f](?:[^=\x00-\x1f\x7f]*[^\s=\x00-\x1f\x7f])?")
_VALUE = re.compile(r"[^\x00-\x1f\x7f]*")


class TagFilter(msgspec.Struct, frozen=True):
    """Resources that have a tag: of that key, and of that value where one is given."""

    key: str
    value: str | None = None


def check_tags(tags: ResourceTags) -> dict[str, str]:
    """Return `tags` as they may be kept. Raises QueryInvalid."""
    if len(tags) > MAX_TAGS:
        raise QueryInvalid(f"{len(tags)} resource tags are too many; a resource has up to {MAX_TAGS}")
    for key, value in tags.items():
        if len(key) > MAX_KEY or not _KEY.fullmatch(key):
            raise QueryInvalid(
                f"{key[:80]!r} is no key of a resource tag; use 1 to {MAX_KEY} characters without '=' and line breaks,"
                " with no space at either end"
            )
        if len(value) > MAX_VALUE or not _VALUE.fullmatch(value):
            raise QueryInvalid(
                f"the value of resource tag {key!r} is none; use up to {MAX_VALUE} characters without line breaks"
            )
    return dict(tags)


def parse_filter(text: str) -> TagFilter:
    """Return what `key` or `key=value` asks for. Raises QueryInvalid."""
    key, equals, value = text.partition("=")
    check_tags({key: value})
    return TagFilter(key, value if equals else None)
