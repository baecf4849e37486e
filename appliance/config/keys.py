"""Every key of `scr.toml` by its path, how it is called, and which one was likely meant by another word."""

from collections.abc import Iterator
from typing import get_args, get_origin

import msgspec

from appliance.config.lines import KeyPath
from appliance.config.quantities import Address, Reserve
from appliance.config.sections import Config
from appliance.domain.meant import near
from appliance.domain.ranges import Span
from appliance.domain.schedule import When


def list_keys(section: type[msgspec.Struct] = Config, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key; those of arrays of tables under the array's name."""
    for field in msgspec.structs.fields(section):
        inner = section_of(field.type)
        if inner is None:
            yield (*path, field.name)
        else:
            yield from list_keys(inner[0], (*path, field.name))


def section_of(type_: object) -> tuple[type[msgspec.Struct], bool] | None:
    """Return the section that a field of `type_` holds, and whether it holds many of them; None for a plain key."""
    is_many = get_origin(type_) is tuple
    inner = get_args(type_)[0] if is_many else type_
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and inner not in (Address, Reserve, Span, When):
        return inner, is_many
    return None


TABLES = tuple(
    field.name for field in msgspec.structs.fields(Config) if (found := section_of(field.type)) is not None and found[1]
)
KEYS = frozenset(list_keys())
VARIABLES = {f"SCR_{'__'.join(path).upper()}": path for path in KEYS if path[0] not in TABLES}


def unknown_key(key: str, path: KeyPath, known: tuple[str, ...]) -> str:
    """Say that `key` is none, and which was likely meant: one of the same table, or the same key of another."""
    hint = near(key, known)
    if not hint:
        places = [place for place in list_keys() if place[-1] == key]
        hint = f"; it belongs to {key_text(places[0][:-1])}" if places else f"; known are {', '.join(known)}"
    return f"{key_text(path)} has no key {key}{hint}" if path else f"there is no [{key}]{hint}"


def unknown_variable(name: str) -> str:
    """Say that `name` is no variable of a setting, and which was likely meant."""
    for table in TABLES:
        if name.startswith(f"SCR_{table.upper()}__"):
            return f"{name}: [[{table}]] cannot be set by a variable; write it in scr.toml"
    return f"{name} is the variable of no setting{near(name, list(VARIABLES))}"


def key_text(path: KeyPath) -> str:
    """Return `[server] listen` or `[[user]] name`, as a person finds it in the file; `[server]` for a table."""
    words = [part for part in path if isinstance(part, str)]
    is_key = tuple(words) in KEYS
    table = ".".join(words[:-1] if is_key else words)
    brackets = f"[[{table}]]" if table in TABLES else f"[{table}]"
    return f"{brackets} {words[-1]}" if is_key else brackets


def dotted(path: KeyPath) -> str:
    """Return `server.listen` or `user[0].name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
