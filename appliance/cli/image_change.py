"""`scr image edit|lock|unlock|policy`: what can be changed of an image."""

import argparse

import msgspec

from appliance.cli.asking import Page, add_asking, field_text, value_text
from appliance.cli.client import Client
from appliance.cli.editing import Order, add_policy, add_tags, edit, given, kind, policy_of, read, switch, tags_of
from appliance.cli.parser import Parser
from appliance.cli.terminal import say, show_json, show_table
from appliance.errors import NameUnknown

_FIELDS = {"description": "description", "locked": "locked"}
Policy = dict[str, dict[str, object]]  # section, field, value


class _Found(msgspec.Struct):
    id: str


class _Settings(msgspec.Struct, rename="camel"):
    path: str
    policy: Policy
    template: Policy
    retention_due_at: str | None
    resource_tags: dict[str, str]


def add_place(parser: Parser, *, deletes: bool = False) -> None:
    """Add the options of a command about an image, and of one that deletes."""
    parser.add_argument("--registry", default="", metavar="NAME", help="the registry it is in (else the default one)")
    add_asking(parser, deletes=deletes)


def add(verbs: "argparse._SubParsersAction[Parser]") -> None:
    """Add the verbs."""
    editing = verbs.add_parser(
        "edit",
        help="change description, lock, policy or resource tags of an image",
        examples=(
            'scr image edit pay/api --description "the till"',
            "scr image edit pay/api --policy pull_limit.high=3",
        ),
    )
    editing.add_argument("image", metavar="IMAGE")
    absent = argparse.SUPPRESS
    editing.add_argument("--description", default=absent, metavar="TEXT", help="what it is for")
    editing.add_argument(
        "--lock", dest="locked", default=absent, type=kind(switch), metavar="on|off", help="hold what is in it"
    )
    add_policy(editing)
    editing.add_argument("--from-template", action="store_true", help="take over the policy of the template first")
    add_tags(editing, edits=True)
    editing.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    add_place(editing)
    for verb, about in (
        ("lock", "keep an image and its tags as they are; new tags may come"),
        ("unlock", "let an image be changed again"),
    ):
        one = verbs.add_parser(verb, help=about, examples=(f"scr image {verb} pay/api", f"scr image {verb} alpine"))
        one.add_argument("image", metavar="IMAGE")
        add_place(one)
    policy = verbs.add_parser(
        "policy",
        help="show the policy of an image beside the template of its repository",
        examples=("scr image policy pay/api", "scr image policy pay/api --json"),
    )
    policy.add_argument("image", metavar="IMAGE")
    add_place(policy)


def _edit(client: Client, options: argparse.Namespace) -> int:
    address = address_of(client, options.image, options.registry)
    found, current = client.get(address, _Settings), read(client, address)
    order = given(options, _FIELDS)
    policy: Policy = {section: dict(fields) for section, fields in found.template.items()}
    policy = policy if options.from_template else {}
    for section, fields in policy_of(options).items():
        policy.setdefault(section, {}).update(fields)
    if policy:
        order["policy"] = policy
    if options.resource_tag or options.no_resource_tag:
        order["resourceTags"] = tags_of(options, found.resource_tags)
    edit(client, options, address, current, order, f"image {found.path}")
    if options.json:
        show_json(read(client, address).fields)
    return 0


def _lock(client: Client, options: argparse.Namespace) -> int:
    order: Order = {"locked": options.verb == "lock"}
    found = client.change("PATCH", address_of(client, options.image, options.registry), order, _Settings)
    if options.json:
        show_json(found)
    else:
        say(f"{options.verb}ed {found.path}")
    return 0


def _policy(client: Client, options: argparse.Namespace) -> int:
    found = client.get(address_of(client, options.image, options.registry), _Settings)
    if options.json:
        show_json(found.policy)
        return 0
    rows = [
        (f"{field_text(section)}.{field_text(field)}", value_text(value), value_text(found.template[section][field]))
        for section, fields in found.policy.items()
        for field, value in fields.items()
    ]
    show_table(("FIELD", "VALUE", "TEMPLATE"), rows)
    if found.retention_due_at:
        say(f"tag deletion is due at {found.retention_due_at[:19]}Z; see: scr retention test {found.path}")
    return 0


VERBS = {"edit": _edit, "lock": _lock, "unlock": _lock, "policy": _policy}


def address_of(client: Client, path: str, registry: str) -> str:
    """Return where the API has the image at `path` of `registry` ("": the default one). Raises NameUnknown."""
    page = client.get("/api/v1/images", Page[_Found], path=path, registry=registry)
    if not page.items:
        raise NameUnknown(f"there is no image {path}; see: scr image list")
    return f"/api/v1/images/{page.items[0].id}"
