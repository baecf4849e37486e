"""What commands that make and edit resources have in common: resource tags, policies, values of options, the edit."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from appliance.cli.asking import time_text
from appliance.cli.client import Client
from appliance.cli.parser import Parser
from appliance.cli.terminal import say
from appliance.config.quantities import parse_size
from appliance.domain.image_policy import ImagePolicy
from appliance.domain.meant import near
from appliance.errors import QueryInvalid, Unknown

T = TypeVar("T")
Order = dict[str, object]  # the body of a request, as the API names its fields

_NONE = "none"
_POLICY = {
    f"{section.name}.{field.name}": (section.encode_name, field.encode_name, field.type)
    for section in msgspec.structs.fields(ImagePolicy)
    for field in msgspec.structs.fields(section.type)
}


def add_tags(parser: Parser, *, edits: bool) -> None:
    """Add the options for resource tags."""
    for is_there, option, value, what in (
        (True, "--resource-tag", "KEY=VALUE", "give it a resource tag; may be repeated"),
        (edits, "--no-resource-tag", "KEY", "take a resource tag away; may be repeated"),
    ):
        if is_there:
            parser.add_argument(option, action="append", default=[], metavar=value, help=what)


def tags_of(options: argparse.Namespace, current: Mapping[str, str]) -> dict[str, str]:
    """Return the resource tags that `options` ask for, beginning with `current`. Raises QueryInvalid."""
    tags = dict(current)
    for key in getattr(options, "no_resource_tag", []):
        if tags.pop(key, None) is None:
            raise QueryInvalid(f"it has no resource tag {key!r}{near(key, list(current))}")
    for text in options.resource_tag:
        key, equals, value = text.partition("=")
        if not equals:
            raise QueryInvalid(f"{text!r} is no resource tag; write {text}=<value>")
        tags[key] = value
    return tags


def add_policy(parser: Parser) -> None:
    """Add the option for fields of a policy."""
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a field of the policy as scr.toml calls it, e.g. pull_limit.critical=3; may be repeated",
    )


def policy_of(options: argparse.Namespace) -> dict[str, dict[str, object]]:
    """Return the edit of a policy that `options` ask for, as the API takes it. Raises QueryInvalid."""
    found: dict[str, dict[str, object]] = {}
    for text in options.policy:
        name, equals, value = text.partition("=")
        if name not in _POLICY or not equals:
            hint = near(name, list(_POLICY)) or f"; known are {', '.join(_POLICY)}"
            raise QueryInvalid(f"{text!r} is no field of a policy{hint}")
        section, field, type_ = _POLICY[name]
        found.setdefault(section, {})[field] = _policy_value(name, type_, value)
    return found


def _policy_value(name: str, type_: object, text: str) -> object:
    if type_ is bool:
        return switch(text, f"{name} is")
    if type_ == tuple[str, ...]:
        return [part.strip() for part in text.split(",") if part.strip()]
    return int(text) if text.isascii() and text.isdigit() else text


def switch(text: str, what: str = "it is") -> bool:
    """Return what `on` or `off` (true, false) means. Raises QueryInvalid."""
    known = {"on": True, "true": True, "off": False, "false": False}
    if text.lower() not in known:
        raise QueryInvalid(f"{what} {text!r}; write on or off")
    return known[text.lower()]


def kind(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return `parse` for argparse: what it raises is said as wrong usage."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except (ValueError, QueryInvalid) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def size_or_none(text: str) -> int | None:
    """Return the bytes of `20GiB`; None for `none`. Raises ValueError."""
    if text == _NONE:
        return None
    try:
        return int(parse_size(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is not {error}, or none") from None


def number_or_none(text: str) -> int | None:
    """Return a whole number; None for `none`. Raises ValueError."""
    if text == _NONE:
        return None
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no whole number, and not none")
    return int(text)


def given(options: argparse.Namespace, fields: Mapping[str, str]) -> Order:
    """Return the fields of the API whose options were given; `fields` are option -> field. What was not is absent."""
    return {field: getattr(options, option) for option, field in fields.items() if hasattr(options, option)}


def differences(current: Mapping[str, object], order: Order) -> Sequence[str]:
    """Return what `order` would change of `current`, a line each: `description: "a" -> "b"`."""
    lines = []
    for field, value in order.items():
        before = current.get(field)
        if isinstance(value, dict) and isinstance(before, dict) and field != "resourceTags":
            lines += [f"{field}.{line}" for line in differences(before, value)]
        elif before != value:
            lines.append(f"{field}: {_text(before)} -> {_text(value)}")
    return lines


def _text(value: object) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()


class Removed(Protocol):
    """What was deleted and can be restored."""

    id: str
    name: str
    removed_at: str | None


R = TypeVar("R", bound=Removed)


def pick_removed(removed: Iterable[R], wanted: str, noun: str) -> R:
    """Return the one of `removed` that has the name or the id `wanted`. Raises Unknown for none, and for several."""
    found = [one for one in removed if wanted in (one.id, one.name)]
    if not found:
        raise Unknown(f"no {noun} {wanted!r} was deleted; see: scr {noun} list --removed")
    if len(found) > 1:
        ids = ", ".join(f"{one.id} (deleted {time_text(one.removed_at)})" for one in found)
        raise Unknown(f"more than one {noun} {wanted} was deleted; name it by its id: {ids}")
    return found[0]


class Read(msgspec.Struct, frozen=True):
    """A resource as it was read, and which revision that was."""

    fields: dict[str, object]
    etag: str


def read(client: Client, path: str) -> Read:
    """Return the resource at `path`."""
    answer = client.ask("GET", path)
    return Read(msgspec.json.decode(answer.body, type=dict[str, object]), answer.headers["etag"])


def edit(client: Client, options: argparse.Namespace, path: str, current: Read, order: Order, what: str) -> None:
    """Change the resource at `path`, which was read as `current`, or with --dry-run only say what would change.

    Somebody else's edit in between is refused (If-Match), not overwritten.
    """
    changed = differences(current.fields, order)
    if not changed:
        say(f"{what} is as you want it already; nothing was changed")
        return
    if options.dry_run:
        say("\n".join([f"this would change {what} (--dry-run, nothing was changed):", *changed]))
        return
    headers = {"Content-Type": "application/json", "If-Match": current.etag}
    client.ask("PATCH", path, msgspec.json.encode(order), headers)
    say("\n".join([f"changed {what}:", *changed]))
