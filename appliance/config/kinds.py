"""What the value of a key may be: how it is read from TOML, what is expected in words, how it is written.

A kind belongs to the type of a field in `sections.py`; a field of a type without a kind fails at import.
"""

import enum
import json
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from appliance.config.accounts import (
    PASSWORD_HASH,
    SECRET_HASH,
    AccessKeyName,
    AccountName,
    OwnerName,
    PasswordHash,
    Place,
    SecretHash,
    Statements,
    UserName,
    parse_account,
    parse_key,
    parse_owner,
    parse_user,
)
from appliance.config.declared import DeclaredRegistry, DeclaredRepository, TagText
from appliance.config.quantities import (
    Address,
    Duration,
    Interval,
    Reserve,
    Size,
    duration_text,
    parse_address,
    parse_duration,
    parse_interval,
    parse_reserve,
    parse_size,
    parse_when,
    reserve_text,
    size_text,
    when_text,
)
from appliance.config.sections import (
    Domain,
    FeedName,
    FeedUrl,
    GroupName,
    HostName,
    Network,
    OwnRegistry,
    Pattern,
    SecretLiteral,
    Url,
)
from appliance.domain.allowlist import GROUP, explain, read_entry
from appliance.domain.meant import near
from appliance.domain.names import parse_registry_name, parse_repository_name
from appliance.domain.policy_document import convert_form
from appliance.domain.ranges import Span
from appliance.domain.resource_tags import check_tags
from appliance.domain.schedule import When
from appliance.errors import NameInvalid, PolicyInvalid, QueryInvalid

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_FEED = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_FEED_SCHEMES = ("https", "http", "oci", "scr")
LONGEST_DOMAIN = 253 - 37  # characters; `<name>-<id>.` stands before it in a host name
SHORTEST_LITERAL = 3  # characters: shorter ones are in every file
HIDDEN = "(hidden)"  # stands for a secret wherever settings are shown


class Wrong(Exception):
    """A value is not of its kind; caught where file, line and key are known.

    `expected` is in words, `hint` begins with "; " where there is one, `index` is the element of an array it is about.
    """

    def __init__(self, expected: str, hint: str = "", index: int | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint
        self.index = index


class Kind(msgspec.Struct, frozen=True):
    """Values of one type: `read` takes what TOML gives and a folder for relative paths, `write` gives what JSON takes.

    `read` raises Wrong. What is secret is shown nowhere.
    """

    form: Literal["text", "switch", "number", "array", "secret"]
    read: Callable[[object, Path], object]
    write: Callable[[object], object]


def text_of(kind: Kind, value: object) -> str:
    """Return `value` as `scr.toml` would hold it; nothing is `""`."""
    return json.dumps(kind.write(value), ensure_ascii=False)


def from_variable(kind: Kind, text: str) -> object:
    """Return what TOML would give for the text of an environment variable; elements are separated by commas."""
    if kind.form == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind.form == "switch":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind.form == "number" and re.fullmatch(r"\d{1,18}", text):
        return int(text)
    return text


def shown(raw: object) -> str:
    """Return a value that is wrong as an error shows it: as written, with its type where that may be the mistake."""
    if isinstance(raw, str):
        return json.dumps(raw[:80], ensure_ascii=False)
    names: dict[type, str] = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "an array",
        dict: "a table",
    }
    text = json.dumps(raw, default=str)[:80]
    return f"{text} ({names.get(type(raw), 'a date')})"


def kind_of(type_: object) -> Kind:
    """Return the kind of a field's type."""
    if type_ in _KINDS:
        return _KINDS[type_]
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is tuple:
        return _array(kind_of(arguments[0]))
    if origin is Literal:
        return _choice([str(one) for one in arguments], str)
    if origin is Annotated:
        return _number(arguments[1])
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return _choice([member.value for member in type_], type_)
    raise TypeError(f"no kind of value for {type_}")


def _text(parse: Callable[[str], object], write: Callable[..., object] = str, expected: str = "") -> Kind:
    """Return the kind of what is written as text.

    `parse` raises ValueError with what it expects, or `expected` says it.
    """

    def read(raw: object, folder: Path) -> object:
        del folder
        try:
            return parse(raw) if isinstance(raw, str) else parse("\0")  # no kind takes that: it says what it takes
        except ValueError as error:
            raise Wrong(expected or str(error)) from None

    return Kind("text", read, write)


def _matching(pattern: re.Pattern[str], expected: str, *, fold: bool = False) -> Kind:
    def parse(text: str) -> str:
        text = text.lower().rstrip(".") if fold else text
        if not pattern.fullmatch(text):
            raise ValueError(expected)
        return text

    return _text(parse)


def _choice(values: Sequence[str], make: Callable[[str], object] = str) -> Kind:
    def read(raw: object, folder: Path) -> object:
        del folder
        if not isinstance(raw, str) or raw not in values:
            listed = ", ".join(f'"{value}"' for value in values)
            raise Wrong(f"one of {listed}", near(raw, values) if isinstance(raw, str) else "")
        return make(raw)

    return Kind("text", read, lambda value: value.value if isinstance(value, enum.Enum) else value)


def _array(element: Kind) -> Kind:
    def read(raw: object, folder: Path) -> tuple[object, ...]:
        if not isinstance(raw, list):
            try:
                element.read(raw, folder)
            except Wrong as error:
                raise Wrong(f"an array, each element {error.expected}") from None
            raise Wrong(f"an array: [{shown(raw)}]")
        found = []
        for index, one in enumerate(raw):
            try:
                found.append(element.read(one, folder))
            except Wrong as error:
                raise Wrong(error.expected, error.hint, index) from None
        return tuple(found)

    def write(value: object) -> list[object]:
        return [element.write(one) for one in value] if isinstance(value, tuple) else []

    return Kind("array", read, write)


def _number(limits: msgspec.Meta) -> Kind:
    def read(raw: object, folder: Path) -> int:
        del folder
        low, high = int(limits.ge or 0), int(limits.le or 0)
        if not isinstance(raw, int) or isinstance(raw, bool) or not low <= raw <= high:
            raise Wrong(f"a whole number from {low} to {high}")
        return raw

    return Kind("number", read, lambda value: value)


def _read_switch(raw: object, folder: Path) -> bool:
    del folder
    if not isinstance(raw, bool):
        raise Wrong("true or false")
    return raw


def _read_size(raw: object, folder: Path) -> Size:
    del folder
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    try:
        return parse_size(raw if isinstance(raw, str) else "")
    except ValueError as error:
        raise Wrong(str(error)) from None


def _read_duration(raw: object, folder: Path) -> object:
    return _duration.read("0" if raw == 0 and not isinstance(raw, bool) else raw, folder)  # 0 needs no unit


def _read_path(raw: object, folder: Path) -> Path:
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise Wrong("a path")
    return Path(folder, Path(raw).expanduser()).absolute()


def _read_path_or_none(raw: object, folder: Path) -> Path | None:
    return None if raw == "" else _read_path(raw, folder)


def _parse_url(text: str) -> str:
    parts = urlsplit(text)  # raises ValueError itself for a broken IPv6 address
    is_bare = not (parts.query or parts.fragment or parts.username) and parts.path in ("", "/")
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_bare or (parts.port or 1) < 1:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _parse_feed(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in _FEED_SCHEMES or not parts.hostname or parts.username or not parts.path.strip("/"):
        raise ValueError
    return text


def _parse_pattern(text: str) -> str:
    try:
        re.compile(text.encode())
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from None
    return _parse_plain(text)


def _parse_literal(text: str) -> str:
    if len(text) < SHORTEST_LITERAL or "\0" in text:
        raise ValueError(f"a text of {SHORTEST_LITERAL} characters or more")
    return text


def _parse_place(text: str) -> str:
    registry, slash, repository = text.partition("/")
    if not slash:
        raise ValueError('a repository with its registry, like "local/pay"')
    return f"{_parse_declared_registry(registry)}/{_parse_declared_repository(repository)}"


def _read_statements(raw: object, folder: Path) -> Statements:
    del folder
    if raw == []:
        return Statements(())
    try:
        return Statements(convert_form({"statements": raw}).statements)
    except PolicyInvalid as error:
        raise Wrong("statements of a policy", f"; {error.message}") from None


def _parse_plain(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text")
    return text


def _read_span(raw: object, folder: Path) -> Span:
    del folder
    found = read_entry(raw) if isinstance(raw, str) else None
    if found is None or found.span is None:
        is_group = not isinstance(raw, str) or raw.startswith("@")
        raise Wrong(
            'an address or network like "10.0.0.7" or "10.0.0.0/8"', "" if is_group else f"; {explain(str(raw), {})}"
        )
    return found.span


def _parse_declared_registry(text: str) -> str:
    try:
        return parse_registry_name(text)
    except NameInvalid:
        raise ValueError("the name of a registry: 3 to 25 of a-z and 0-9, a letter first") from None


def _parse_declared_repository(text: str) -> str:
    try:
        return parse_repository_name(text)
    except NameInvalid:
        raise ValueError("the name of a repository: lower-case letters, digits, '.', '_' and '-'") from None


def _parse_tag(text: str) -> str:
    key, equals, value = text.partition("=")
    try:
        check_tags({key: value})
    except QueryInvalid as error:
        raise ValueError(f'a resource tag like "team=pay" ({error.message})') from None
    if not equals:
        raise ValueError('a resource tag like "team=pay"')
    return text


def _parse_registry(text: str) -> str:
    return text and _parse_declared_registry(text)


def _parse_domain(text: str) -> str:
    text = text.lower().rstrip(".")
    if text and (len(text) > LONGEST_DOMAIN or not _HOST.fullmatch(text) or text.rpartition(".")[2].isdigit()):
        raise ValueError('a domain like "registry.example.com", without a port and without *.')
    return text


_duration = _text(parse_duration)
_url = _text(_parse_url, str, 'an address like "https://registry.example.com", with nothing behind the host and port')
_KINDS: dict[object, Kind] = {
    bool: Kind("switch", _read_switch, lambda value: value),
    str: _text(_parse_plain),
    Size: Kind("text", _read_size, lambda value: size_text(int(str(value)))),
    Duration: Kind("text", _read_duration, lambda value: duration_text(int(str(value)))),
    Interval: _text(parse_interval, duration_text),
    Reserve: _text(parse_reserve, reserve_text),
    When: _text(parse_when, when_text),
    Address: _text(parse_address),
    Network: _text(
        ip_network, str, 'an address or network like "10.0.0.7" or "10.0.0.0/8" (no bits set behind the mask)'
    ),
    HostName: _matching(_HOST, 'a host name like "registry.example.com", without a port', fold=True),
    UserName: _text(parse_user),
    AccountName: _text(parse_account),
    OwnerName: _text(parse_owner),
    AccessKeyName: _text(parse_key),
    SecretHash: Kind(
        "secret",
        _matching(SECRET_HASH, "a hash that `scr key generate` printed (64 hexadecimal digits)").read,
        lambda value: HIDDEN if value else "",
    ),
    Place: _text(_parse_place),
    Statements: Kind("array", _read_statements, msgspec.to_builtins),
    PasswordHash: Kind(
        "secret",
        _matching(PASSWORD_HASH, "a hash that `scr user hash` printed ($argon2id$...)").read,
        lambda value: HIDDEN if value else "",
    ),
    Pattern: _text(_parse_pattern),
    SecretLiteral: _text(_parse_literal),
    Domain: _text(_parse_domain),
    FeedName: _matching(_FEED, "up to 40 of a-z, 0-9 and -"),
    FeedUrl: _text(
        _parse_feed, expected='an address as "https://...", "oci://<host>/<repository>:<tag>" or "scr://..."'
    ),
    OwnRegistry: _text(_parse_registry),
    GroupName: _matching(GROUP, "1 to 63 of a-z, 0-9 and '-', a letter first"),
    DeclaredRegistry: _text(_parse_declared_registry),
    DeclaredRepository: _text(_parse_declared_repository),
    TagText: _text(_parse_tag),
    Span: Kind("text", _read_span, str),
    Url: Kind("text", lambda raw, folder: Url("") if raw == "" else _url.read(raw, folder), str),
    Path: Kind("text", _read_path, str),
    Path | None: Kind("text", _read_path_or_none, lambda value: "" if value is None else str(value)),
}
