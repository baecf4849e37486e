"""JSON and TOML from a layer: decoded into a type or refused, never trusted to be what their names say."""

import re
import tomllib
from typing import TypeVar

import msgspec

from appliance.scan.limits import LimitReached, Unreadable

Document = TypeVar("Document")

_BOM = b"\xef\xbb\xbf"
_DEEPEST = 100  # brackets in one line of TOML: tomllib recurses for each, and honest lock files need three
_NESTED = re.compile(rb"[\[{]")


def decode_json(decoder: "msgspec.json.Decoder[Document]", content: bytes) -> Document:
    """Return `content` as `decoder` types it.

    Raises Unreadable where it is no JSON or not of that form, LimitReached where it nests too deep.
    """
    try:
        return decoder.decode(content.removeprefix(_BOM))
    except RecursionError as error:
        raise LimitReached("it nests too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"it is not the JSON that its name promises: {error}") from error


def decode_toml(kind: type[Document], content: bytes) -> Document:
    """Return `content` as a `kind`, a msgspec.Struct. Raises like `decode_json`."""
    if any(len(_NESTED.findall(line)) > _DEEPEST for line in content.splitlines()):
        raise LimitReached("it nests too deep")
    try:
        return msgspec.convert(tomllib.loads(content.removeprefix(_BOM).decode()), kind)
    except RecursionError as error:
        raise LimitReached("it nests too deep") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise Unreadable(f"it is not the TOML that its name promises: {error}") from error
