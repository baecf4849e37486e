"""`scr image edit|lock|unlock|policy`: what can be changed of an image."""

import argparse
import re

import msgspec

from appliance.cli.asking import Page, add_asking
from appliance.cli.client import Client
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show_json, show_table
from appliance.errors import ImagePolicyInvalid, NameUnknown

Policy = dict[str, dict[str, object]]  # section, field, value


class _Found(msgspec.Struct):
    id: str


class _Settings(msgspec.Struct, rename="camel"):
    path: str
    description: str
    locked: bool
    policy: Policy
    template: Policy
    retention_due_at: str | None


def add(verbs: "argparse._SubParsersAction[Parser]") -> None:
    """Add the verbs."""
    edit = verbs.add_parser(
        "edit",
        help="change the description of an image",
        examples=('scr image edit pay/api --description "the till"', 'scr image edit pay/api --description ""'),
    )
    edit.add_argument("image", metavar="IMAGE")
    edit.add_argument("--description", required=True, metavar="TEXT", help="what it is for")
    add_asking(edit)
    for verb, about in (
        ("lock", "keep an image and its tags as they are; new tags may come"),
        ("unlock", "let an image be changed again"),
    ):
        one = verbs.add_parser(verb, help=about, examples=(f"scr image {verb} pay/api", f"scr image {verb} alpine"))
        one.add_argument("image", metavar="IMAGE")
        add_asking(one)
    policy = verbs.add_parser(
        "policy",
        help="show or change the policy of an image: scan, pull limit, tag deletion",
        examples=("scr image policy pay/api", "scr image policy pay/api --set pull_limit.refuse_critical=true"),
    )
    policy.add_argument("image", metavar="IMAGE")
    policy.add_argument(
        "--set", action="append", default=[], metavar="SECTION.FIELD=VALUE", help="change a field; may be repeated"
    )
    policy.add_argument("--from-template", action="store_true", help="take over the repository's template first")
    add_asking(policy)


def _edit(client: Client, options: argparse.Namespace) -> int:
    return _change(client, options, {"description": options.description}, "changed")


def _lock(client: Client, options: argparse.Namespace) -> int:
    return _change(client, options, {"locked": True}, "locked")


def _unlock(client: Client, options: argparse.Namespace) -> int:
    return _change(client, options, {"locked": False}, "unlocked")


def _policy(client: Client, options: argparse.Namespace) -> int:
    address = address_of(client, options.image)
    found = client.get(address, _Settings)
    order = found.template if options.from_template else {}
    for text in options.set:
        section, field, value = parse_setting(text)
        order = {**order, section: {**order.get(section, {}), field: value}}
    if order:
        found = client.change("PATCH", address, {"policy": order}, _Settings)
        say(f"changed the policy of {found.path}")
    if options.json:
        show_json(found.policy)
        return 0
    rows = [
        (f"{_words(section)}.{_words(field)}", _text(value), _text(found.template[section][field]))
        for section, fields in found.policy.items()
        for field, value in fields.items()
    ]
    show_table(("FIELD", "VALUE", "TEMPLATE"), rows)
    if found.retention_due_at:
        say(f"tag deletion is due at {found.retention_due_at[:19]}Z; see: scr retention test {found.path}")
    return 0


VERBS = {"edit": _edit, "lock": _lock, "unlock": _unlock, "policy": _policy}


def address_of(client: Client, path: str) -> str:
    """Return where the API has the image at `path`. Raises NameUnknown."""
    page = client.get("/api/v1/images", Page[_Found], path=path)
    if not page.items:
        raise NameUnknown(f"there is no image {path}; see: scr image list")
    return f"/api/v1/images/{page.items[0].id}"


def parse_setting(text: str) -> tuple[str, str, object]:
    """Return section, field and value of `pull_limit.high=3`, named as the API names them. Raises ImagePolicyInvalid.

    What is no number, no switch and no list (`a,b`, for patterns) is a word.
    """
    name, equals, value = text.partition("=")
    section, dot, field = name.strip().partition(".")
    if not (equals and dot and field):
        raise ImagePolicyInvalid(f"{text!r} sets nothing; write <section>.<field>=<value>, as pull_limit.high=3")
    field = _camel(field)
    if field == "keepPatterns":
        return _camel(section), field, [part.strip() for part in value.split(",") if part.strip()]
    if re.fullmatch(r"-?\d{1,18}", value):
        return _camel(section), field, int(value)
    return _camel(section), field, {"true": True, "false": False}.get(value, value)


def _change(client: Client, options: argparse.Namespace, order: dict[str, object], done: str) -> int:
    found = client.change("PATCH", address_of(client, options.image), order, _Settings)
    if options.json:
        show_json(found)
    else:
        say(f"{done} {found.path}")
    return 0


def _camel(name: str) -> str:
    first, *rest = name.replace("-", "_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _words(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(one) for one in value) or "-"
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
